"""Line URLs, and what the registry says of those that it has no driver for."""

import pytest

from drivers.class1.quirks import QUIRKS, Flow, recognised
from drivers.class1.setup import Options
from drivers.registry import DRIVERS, LineUrl, open_line
from simulators.clock import run
from t30.line import LineError


def test_the_example_of_the_manual_says_what_it_means() -> None:
    url = LineUrl.parse("class1:/dev/ttyACM0?quirks=auto&flow=rtscts&init=ATX3&speed=10")
    assert (url.scheme, url.address) == ("class1", "/dev/ttyACM0")
    assert Options.of(url) == Options(quirks="", flow=Flow.RTSCTS, init=("X3",), speed=10.0)


def test_a_plus_in_an_init_command_stays_a_plus_and_commands_add_up() -> None:
    url = LineUrl.parse("class1:/dev/ttyS0?init=AT%2BMS=1&init=+IFC=2,2&quirks=lucent")
    assert Options.of(url).init == ("+MS=1", "+IFC=2,2")
    assert Options.of(url).quirks == "lucent"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/dev/ttyACM0", "one looks like class1:/dev/ttyACM0"),
        ("class1:", "is not a line"),
        ("class1:/dev/ttyACM0?flow", "name=value"),
        ("class1:/dev/ttyACM0?flow=cts", "there are rtscts, xonxoff, none"),
        ("class1:/dev/ttyACM0?quirks=best", "there are auto, standard"),
        ("class1:/dev/ttyACM0?speed=0", "speed=0 is not a number above 0"),
        ("class1:/dev/ttyACM0?speed=nan", "speed=nan is not"),
        ("class1:/dev/ttyACM0?baud=fast", "baud=fast is not"),
        ("class1:/dev/ttyACM0?ecm=off", "there is no option ecm"),
        ("sim:+1-555-0199?speed=0", "speed=0 is not a number above 0"),
        ("sim:15550199?speed=fast", "speed=fast is not"),
        ("sim:15550199?flow=rtscts", "there is no option flow; there are speed, ring_after"),
        ("sim:office", "the line has a number"),
        ("sim:15550100", "take sim:15550199"),
        ("udptl:127.0.0.1:4000", "it is udptl:LOCALHOST:PORT@PEERHOST:PORT"),
        ("tape:fax@example.com", "there is no driver for tape: lines; there is one for class1, sim, sip, tpkt, udptl:"),
    ],
)
def test_a_url_that_makes_no_sense_is_a_mistake_of_usage_that_says_what_would(url: str, says: str) -> None:
    with pytest.raises(LineError) as error:
        run(open_line(url))
    assert error.value.code == "usage"
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_every_driver_named_is_there() -> None:
    for scheme in DRIVERS:
        with pytest.raises(LineError, match="/nowhere/at-all") as error:
            run(open_line(f"{scheme}:/nowhere/at-all"))
        assert error.value.code == ("line.unavailable" if scheme == "class1" else "usage")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("spandsp\nwww.soft-switch.org", "standard"),
        ("U.S. Robotics 56K FAX EXT", "usrobotics"),
        ("LT V.92 1.0 MT5634ZBA", "lucent"),
        ("CX93001-EIS_V0.2013-V92", "conexant"),
        ("Mainpine CFAX34", "mainpine"),
        ("14400", "standard"),
    ],
)
def test_a_modem_is_recognised_by_what_it_says_about_itself(said: str, name: str) -> None:
    assert recognised(said) == name


def test_no_word_recognises_two_makes() -> None:
    words = [word for quirks in QUIRKS.values() for word in quirks.recognised_by]
    assert len(words) == len(set(words))
    assert all(word == word.lower() for word in words)
    assert [one for one in words for other in words if one is not other and one in other] == []
