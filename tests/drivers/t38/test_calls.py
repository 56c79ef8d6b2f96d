"""Faxes between two T.38 lines: every version and protection, over good networks and bad ones."""

import pytest

from drivers.t38.media import Agreed
from drivers.t38.udptl import Protection
from simulators.network import Weather
from t30.capabilities import Station
from t30.pages import Coding
from t30.rates import Family
from tests.drivers.t38.calls import call
from tests.simulators.calls import FIVE_WAYS, sheet

SHEETS = [sheet(1), sheet(2)]
PAGES = [each.bitmap for each in SHEETS]


@pytest.mark.parametrize("version", range(4))
@pytest.mark.parametrize("protection", [Protection(3), Protection(0), Protection(0, 3, 3)], ids=["3", "0", "fec"])
@pytest.mark.parametrize("ecm", [False, True])
def test_pages_arrive_pel_for_pel(version: int, protection: Protection, ecm: bool) -> None:
    station = Station("+49 30 1234567", ecm=ecm)
    done = call(SHEETS, sender=station, agreed=Agreed(version, protection))
    assert (done.sent.verdict, done.got.verdict) == ("delivered", "received"), done.told()
    assert (done.sent.ecm, done.sent.modulation and done.sent.modulation.bps) == (ecm, 14400)
    assert done.arrived() == PAGES


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS)
def test_every_coding_arrives(coding: Coding, ecm: bool) -> None:
    done = call(SHEETS, sender=Station(ecm=ecm, codings=frozenset({Coding.MH, coding})))
    assert done.arrived() == PAGES, done.told()


@pytest.mark.parametrize("ecm", [False, True])
@pytest.mark.parametrize(("families", "bps"), [({Family.V29, Family.V27TER}, 9600), ({Family.V27TER}, 4800)])
def test_every_family_of_modems_arrives(families: set[Family], bps: int, ecm: bool) -> None:
    done = call(SHEETS[:1], sender=Station(families=frozenset(families), ecm=ecm))
    assert (done.sent.verdict, done.sent.modulation and done.sent.modulation.bps) == ("delivered", bps), done.told()
    assert done.arrived() == PAGES[:1]


@pytest.mark.parametrize("ecm", [False, True])
def test_a_training_check_that_the_gateways_make_is_believed(ecm: bool) -> None:
    done = call(SHEETS, sender=Station(ecm=ecm), agreed=Agreed(local_tcf=True))
    assert done.arrived() == PAGES, done.told()


BAD = {
    "loss": Weather(loss=0.05),
    "bursts": Weather(loss=0.02, burst=3),
    "jitter": Weather(jitter=0.2),
    "doubled": Weather(doubled=0.3, jitter=0.05),
    "all": Weather(loss=0.02, jitter=0.2, doubled=0.1),
}


@pytest.mark.parametrize("weather", BAD.values(), ids=BAD)
@pytest.mark.parametrize("ecm", [False, True])
def test_bad_networks_cost_nothing_with_redundancy_3(weather: Weather, ecm: bool) -> None:
    done = call(SHEETS, sender=Station(ecm=ecm), there=weather)
    assert done.sent.verdict == "delivered", done.told()
    assert done.arrived() == PAGES
