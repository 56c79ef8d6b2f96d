"""Offer and answer: what two ends agree on, what stays when they do not, and what each description says."""

import pytest

from drivers.g711.law import Law
from drivers.sip.grammar import SipMalformed
from drivers.sip.negotiation import Image, Negotiation, Sound
from drivers.sip.sdp import Description
from drivers.sip.t38 import T38, Correction

T38_OURS = T38(version=0, max_buffer=2000, max_datagram=400, correction=Correction.REDUNDANCY)
SOUND, IMAGE = Sound(4000), Image(4002, T38_OURS)


def ends() -> tuple[Negotiation, Negotiation]:
    return Negotiation(host="192.0.2.1", session=1), Negotiation(host="2001:db8::2", session=2)


def waits(end: Negotiation) -> bool:
    return end.offered


def lines(octets: bytes | None, key: str = "m") -> list[str]:
    assert octets is not None
    return [line[2:] for line in octets.decode().splitlines() if line.startswith(f"{key}=")]


def theirs(*media: str, version: int = 1, host: str = "198.51.100.7") -> bytes:
    """Return a description of a far end, written by hand."""
    head = f"v=0\r\no=far 5 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return (head + "".join(f"{line}\r\n" for line in media)).encode()


def test_sound_is_agreed_on() -> None:
    caller, callee = ends()
    answer = callee.answer(caller.offer(SOUND), Sound(5000, (Law.PCMA,)), IMAGE)
    assert answer is not None
    at_caller = caller.accept(answer)
    assert at_caller is not None and callee.agreed is not None
    assert (at_caller.host, at_caller.port, at_caller.law, at_caller.payload_type) == ("2001:db8::2", 5000, Law.PCMA, 8)
    assert (callee.agreed.host, callee.agreed.port, callee.agreed.law) == ("192.0.2.1", 4000, Law.PCMA)
    assert lines(answer) == ["audio 5000 RTP/AVP 8"]
    assert lines(answer, "c") == ["IN IP6 2001:db8::2"]


def test_t38_takes_the_place_of_the_sound() -> None:
    caller, callee = ends()
    caller.accept(callee.answer(caller.offer(SOUND), Sound(5000)) or b"")
    offer = callee.offer(Image(5002, T38(version=3, max_datagram=72)))
    assert lines(offer) == ["image 5002 udptl t38"]
    answer = caller.answer(offer, SOUND, IMAGE)
    assert lines(answer) == ["image 4002 udptl t38"]
    agreed = callee.accept(answer or b"")
    assert agreed is not None and agreed.t38 is not None
    assert caller.agreed is not None and caller.agreed.t38 is not None
    assert (agreed.port, agreed.t38.version, agreed.t38.max_datagram) == (4002, 0, 400)
    assert (caller.agreed.port, caller.agreed.t38.version, caller.agreed.t38.max_datagram) == (5002, 0, 72)


def test_the_version_grows_if_and_only_if_something_else_is_said() -> None:
    caller, _ = ends()
    versions = []
    for stream in (SOUND, SOUND, IMAGE, SOUND, SOUND):
        versions.append(Description.parse(caller.offer(stream)).origin.version)
        caller.withdraw()
    assert versions == [1, 1, 2, 3, 3]


@pytest.mark.case("R12")
def test_the_refresh_of_a_session_gets_the_same_answer() -> None:
    _, callee = ends()
    offer = theirs("m=image 6000 udptl t38", "a=T38FaxVersion:0", "a=T38FaxUdpEC:t38UDPRedundancy")
    first = callee.answer(offer, SOUND, IMAGE)
    agreed = callee.agreed
    assert callee.answer(offer, SOUND, IMAGE) == first
    assert callee.agreed == agreed


@pytest.mark.case("R13")
def test_a_second_offer_of_t38_with_more_in_it_is_taken() -> None:
    _, callee = ends()
    callee.answer(theirs("m=image 6000 udptl t38"), IMAGE)
    answer = callee.answer(theirs("m=image 6000 udptl t38", "a=T38FaxMaxDatagram:176", version=2), IMAGE)
    assert lines(answer) == ["image 4002 udptl t38"]
    assert callee.agreed is not None and callee.agreed.t38 is not None
    assert callee.agreed.t38.max_datagram == 176


@pytest.mark.case("R09")
def test_after_a_refused_offer_the_old_agreement_holds_and_the_next_offer_gets_a_description() -> None:
    caller, callee = ends()
    caller.accept(callee.answer(caller.offer(SOUND), Sound(5000)) or b"")
    before = caller.agreed
    caller.offer(IMAGE)
    assert waits(caller)
    caller.withdraw()
    assert not waits(caller)
    assert caller.agreed == before
    answer = caller.answer(theirs("m=audio 6000 RTP/AVP 8", version=2), SOUND)
    assert lines(answer) == ["audio 4000 RTP/AVP 8"]


@pytest.mark.case("R10")
@pytest.mark.parametrize(
    "media", [("m=image 0 udptl t38",), ("m=audio 0 RTP/AVP 0",), ("m=audio 0 RTP/AVP 0", "m=image 0 udptl t38"), ()]
)
def test_an_answer_with_port_0_is_a_refusal(media: tuple[str, ...]) -> None:
    caller, _ = ends()
    caller.offer(SOUND)
    before = caller.accept(theirs("m=audio 6000 RTP/AVP 0"))
    caller.offer(IMAGE)
    assert caller.accept(theirs(*media, version=2)) is None
    assert caller.agreed == before


@pytest.mark.case("R10")
@pytest.mark.parametrize(
    "media",
    [
        ("m=audio 0 RTP/AVP 0", "m=image 6002 udptl t38"),
        ("m=audio 6000 RTP/AVP 0", "m=image 6002 udptl t38"),
        ("m=image 6002 udptl t38", "m=audio 6000 RTP/AVP 0"),
    ],
)
def test_an_answer_with_streams_nobody_offered_gives_one(media: tuple[str, ...]) -> None:
    caller, _ = ends()
    caller.offer(IMAGE)
    agreed = caller.accept(theirs(*media))
    assert agreed is not None
    assert (agreed.ours, agreed.port) == (IMAGE, 6002)


@pytest.mark.case("R10")
def test_of_an_offer_of_both_t38_is_taken_and_the_rest_refused_in_its_place() -> None:
    offer = theirs(
        "m=audio 6000 RTP/AVP 0 8", "m=video 6004 RTP/AVP 99", "m=image 6002 UDPTL t38", "m=image 6006 udptl t38"
    )
    _, callee = ends()
    assert lines(callee.answer(offer, SOUND, IMAGE)) == [
        "audio 0 RTP/AVP 0 8",
        "video 0 RTP/AVP 99",
        "image 4002 UDPTL t38",
        "image 0 udptl t38",
    ]
    assert lines(callee.answer(offer, SOUND)) == [
        "audio 4000 RTP/AVP 0",
        "video 0 RTP/AVP 99",
        "image 0 UDPTL t38",
        "image 0 udptl t38",
    ]


def test_places_that_were_used_once_stay() -> None:
    _, callee = ends()
    callee.answer(theirs("m=audio 6000 RTP/AVP 0", "m=video 6004 RTP/AVP 99"), SOUND)
    assert lines(callee.offer(IMAGE)) == ["image 4002 udptl t38", "video 0 RTP/AVP 99"]


@pytest.mark.parametrize(
    "media",
    [
        (),
        ("m=audio 6000 RTP/AVP 18",),
        ("m=audio 6000 RTP/SAVP 0",),
        ("m=audio 0 RTP/AVP 0",),
        ("m=image 6002 TCP t38",),
        ("m=video 6004 RTP/AVP 99",),
    ],
)
def test_an_offer_with_nothing_for_us_gets_no_answer_and_changes_nothing(media: tuple[str, ...]) -> None:
    _, callee = ends()
    callee.answer(theirs("m=audio 6000 RTP/AVP 0"), SOUND)
    before = callee.agreed
    assert callee.answer(theirs(*media, version=2), SOUND, IMAGE) is None
    assert callee.agreed == before


def test_the_coding_that_the_offerer_likes_best_is_taken() -> None:
    _, callee = ends()
    offer = theirs("m=audio 6000 RTP/AVP 18 97 0", "a=rtpmap:97 pcma/8000", "a=rtpmap:18 G729/8000")
    assert lines(callee.answer(offer, SOUND)) == ["audio 4000 RTP/AVP 97"]
    assert callee.agreed is not None
    assert (callee.agreed.law, callee.agreed.payload_type) == (Law.PCMA, 97)


@pytest.mark.parametrize(
    ("said", "answered", "held"),
    [("sendonly", "recvonly", True), ("recvonly", "sendonly", False), ("inactive", "inactive", True)],
)
def test_a_direction_is_answered_from_our_side(said: str, answered: str, held: bool) -> None:
    _, callee = ends()
    answer = callee.answer(theirs("m=audio 6000 RTP/AVP 0", f"a={said}"), SOUND)
    assert answered in lines(answer, "a")
    assert callee.agreed is not None
    assert callee.agreed.held is held


def test_a_hold_by_address_is_a_hold() -> None:
    _, callee = ends()
    assert callee.answer(theirs("m=audio 6000 RTP/AVP 0", host="0.0.0.0"), SOUND) is not None
    assert callee.agreed is not None and callee.agreed.held


def test_rubbish_for_an_answer_leaves_the_old_agreement() -> None:
    caller, _ = ends()
    caller.offer(SOUND)
    before = caller.accept(theirs("m=audio 6000 RTP/AVP 0"))
    caller.offer(IMAGE)
    with pytest.raises(SipMalformed):
        caller.accept(b"<html>")
    assert caller.agreed == before
    assert not waits(caller)


@pytest.mark.case("R07")
def test_an_answer_is_spelled_canonically_whatever_the_offer() -> None:
    _, callee = ends()
    answer = callee.answer(
        theirs(
            "m=image 6000 udptl t38", "a=t38faxversion:0", "a=T38FaxRateManagement:localTFC", "a=T38FaxUdpEc:T38UDPFEC"
        ),
        Image(4002, T38(correction=Correction.FEC, fill_bit_removal=True)),
    )
    assert lines(answer, "a") == [
        "T38FaxVersion:0",
        "T38MaxBitRate:14400",
        "T38FaxRateManagement:localTCF",
        "T38FaxUdpEC:t38UDPFEC",
    ]
