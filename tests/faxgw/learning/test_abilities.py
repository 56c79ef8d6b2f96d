"""What a machine said that it can do."""

from faxgw.learning.abilities import Abilities, abilities
from faxgw.model import Direction


def test_dis_says_what_a_machine_can_do() -> None:
    assert abilities(Direction.OUT, bytes.fromhex("00 4E 70")) == Abilities(
        ("V.29 9600", "V.29 7200", "V.27ter 4800", "V.27ter 2400"),
        ecm=False,
        codings=("MH",),
        resolutions=("standard", "fine"),
    )


def test_dcs_says_what_a_caller_chose() -> None:
    assert abilities(Direction.IN, bytes.fromhex("00 06 70")) == Abilities(
        ("V.29 9600",), ecm=False, codings=("MH",), resolutions=("standard",)
    )


def test_of_a_machine_that_said_nothing_nothing_is_known() -> None:
    assert abilities(Direction.OUT, b"") is None
