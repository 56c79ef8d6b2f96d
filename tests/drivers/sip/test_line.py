"""Faxes between two trunks: signalled over SIP, T.38 from the start or after sound, over good networks and bad ones."""

import pytest

from simulators.network import Weather
from t30.capabilities import Station
from t30.line import LineError
from t30.pages import Coding
from tests.drivers.sip.calls import Call, call
from tests.simulators.calls import sheet

SHEETS = [sheet(1), sheet(2)]
PAGES = [each.bitmap for each in SHEETS]
WAYS = {
    "the one who was called offers": ("t38=answer", ""),
    "the caller offers": ("t38_after=2", "t38=answer"),
    "offered at once": ("t38=offer", ""),
    "both offer at the same time": ("t38_after=1", "t38_after=1"),
}
"""Who offers T.38, as options of both ends."""


def check(done: Call, *, pages: int = 2) -> None:
    """Hold that a fax came through, and that nothing of its call is left."""
    assert (done.sent.verdict, done.got.verdict) == ("delivered", "received"), done.told()
    assert done.arrived() == PAGES[:pages], done.told()
    assert not done.left, done.left
    assert not done.lan._bound, "a port was not released"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("ecm", [False, True])
@pytest.mark.slow
def test_pages_arrive_pel_for_pel_whoever_offers_t38(way: tuple[str, str], ecm: bool) -> None:
    done = call(SHEETS[:1], ours=way[0], theirs=way[1], sender=Station("+49 30 1234567", ecm=ecm))
    check(done, pages=1)
    assert done.sent.ecm == ecm


def test_the_goodbye_of_the_sender_is_heard_out_before_the_call_is_hung_up() -> None:
    done = call(SHEETS[:1], weather=Weather(delay=0.001))
    check(done, pages=1)
    assert not [step for step in done.sender.transcript if isinstance(step.event, LineError)], done.told()


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("protection", ["redundancy=3", "redundancy=0", "fec=3"])
def test_both_agree_on_the_version_and_on_what_repairs_losses(version: int, protection: str) -> None:
    options = f"version={version}&{protection}"
    done = call(SHEETS[:1], ours=options, theirs=options)
    check(done, pages=1)
    for media in done.media:
        assert media is not None
        assert media.agreed.version == version
        assert media.agreed.protection.redundancy == (3 if protection == "redundancy=3" else 0)
        assert media.agreed.protection.span == (3 if protection == "fec=3" else 0)
        assert media.forms.malformed == 0


def test_the_lesser_version_and_the_training_check_of_who_offers_are_agreed_on() -> None:
    done = call(SHEETS[:1], ours="version=3", theirs="version=1&tcf=local")
    check(done, pages=1)
    for media in done.media:
        assert media is not None
        assert (media.agreed.version, media.agreed.local_tcf) == (1, True)


@pytest.mark.parametrize("switch", ["fill=on", "mmr=on", "fill=on&mmr=on"])
def test_fill_is_left_out_and_pages_go_as_mmr_where_both_sides_say_so(switch: str) -> None:
    station = Station(ecm=False, codings=frozenset({Coding.MH}))
    both, one = (call(SHEETS[:1], ours=switch, theirs=theirs, sender=station) for theirs in (switch, ""))
    for done in (both, one):
        check(done, pages=1)
        assert done.sent.pages[0].format.coding is Coding.MH
    for done, agreed in ((both, True), (one, False)):
        assert done.media[0] is not None
        held = done.media[0].agreed
        assert (held.fill_bit_removal, held.transcoding_mmr) == (
            agreed and "fill" in switch,
            agreed and "mmr" in switch,
        )


BAD = {
    "loss": Weather(loss=0.05, seed=1),
    "bursts": Weather(loss=0.02, burst=3, seed=2),
    "jitter": Weather(jitter=0.2, seed=3),
    "doubled": Weather(doubled=0.3, jitter=0.05, seed=4),
}


@pytest.mark.parametrize("weather", BAD.values(), ids=BAD)
@pytest.mark.parametrize("ecm", [False, True])
def test_bad_networks_cost_no_page_with_redundancy_3(weather: Weather, ecm: bool) -> None:
    check(call(SHEETS, weather=weather, sender=Station(ecm=ecm)))


@pytest.mark.case("R11")
def test_offers_that_cross_are_settled_and_the_fax_goes_on() -> None:
    done = call(SHEETS[:1], ours="t38_after=1", theirs="t38_after=0.9", weather=Weather(delay=0.2))
    check(done, pages=1)
    assert any("491" in each for each in done.said()), done.told()


def test_both_waiting_for_the_other_to_offer_ends_with_its_own_cause() -> None:
    done = call(SHEETS[:1], ours="t38=answer", theirs="t38=answer")
    assert done.sent.reason.code == "call.no_t38", done.told()
    assert done.got.reason.code in {"call.no_t38", "line.dropped"}, done.told()
    assert not done.left


@pytest.mark.case("R12")
@pytest.mark.parametrize("ours", ["session_expires=90", "session_expires=0"])
def test_a_session_is_refreshed_in_mid_fax_and_the_fax_goes_on(ours: str) -> None:
    done = call([sheet(number, rows=600) for number in range(5)], ours=ours, theirs="session_expires=90")
    assert done.sent.seconds > 60, "too short a fax to be refreshed"
    assert done.sent.verdict == "delivered", done.told()
    refreshes = [each for each in done.said() if "UPDATE" in each or each.endswith("3 INVITE image")]
    assert refreshes, done.told()
    assert [media.ordering.counts.restarts for media in done.media if media] == [0, 0]


def test_sound_without_a_law_in_common_is_a_call_that_the_network_cannot_carry() -> None:
    done = call(SHEETS[:1], ours="law=pcmu", theirs="law=pcma&t38=answer&ring=5")
    assert (done.sent.reason.code, done.sent.reason.text) == (
        "call.network",
        "the network could not carry the call (488 Not Acceptable Here)",
    )
    assert not done.left
