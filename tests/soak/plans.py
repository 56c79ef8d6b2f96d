"""One call of thousands, drawn from its seed: two machines and their habits, a document, a line and its faults."""

from dataclasses import dataclass
from enum import Enum
from random import Random

from simulators.circuit import Faults
from simulators.machine import Several
from simulators.network import Weather
from t30 import timers
from t30.capabilities import Station
from t30.pages import Coding, Length, Resolution, Width
from t30.policy import Correction, Policy, Quality, Refused, Then, TrainingCheck
from t30.rates import LADDER, Family, Modulation
from tests.simulators.habits import CHANGED_ANSWERS, FALSE_SENDERS, RECEIVERS, SENDERS
from tests.soak.paper import MOST_PAGES, Page

SIGNAL = 300.0
"""Seconds: no signal of these calls is longer, be it at 2400 bit/s."""
EVERY_RATE = tuple(one for one in reversed(Modulation) if one.dcs and one is one.long)
PERSISTENCE = 8
"""So often at most in these calls a page is corrected further at the lowest rate."""
CHANCES = (0.0, 0.0, 0.0, 0.02, 0.1, 0.3)
IDENTS = ("", "+49 30 1234567", "+1 555 0100", "Fax (3) #* ~|", "x" * 20)


class Way(Enum):
    """What carries the call."""

    CIRCUIT = "signals on a circuit"
    MODEMS = "Class 1 drivers on simulated modems"
    T38 = "T.38 over a network that loses packets"


@dataclass(frozen=True, slots=True)
class End:
    """One machine: what it can do, and how it misbehaves."""

    station: Station
    habits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """One call."""

    seed: int
    way: Way
    sender: End
    receiver: End
    pages: tuple[Page, ...]
    faults: Faults
    weather: Weather
    lies: tuple[str, ...]
    """Of the modems, both of which are given the quirks that fit."""
    slow: int
    """How often in a row a page is not safe yet."""

    @classmethod
    def drawn(cls, seed: int) -> "Plan":
        def random(what: str) -> Random:
            return Random(f"{seed} {what}")

        way = random("way").choices(list(Way), (94, 3, 3))[0]
        count = random("pages").choice((1, 1, 1, 2, 2, 3, 4, MOST_PAGES)) if random("none").random() > 0.01 else 0
        return cls(
            seed,
            way,
            End(_station(random("sender")), _habits(random("its habits"), tuple(SENDERS))),
            End(_station(random("receiver")), _habits(random("their habits"), tuple(RECEIVERS))),
            tuple(Page.drawn(random(f"page {number}"), number) for number in range(count)),
            _faults(random("faults"), seed),
            _weather(random("weather"), seed),
            _lies(random("lies")),
            random("slow").choice((0, 0, 0, 0, 1, 3)),
        )

    @property
    def limit(self) -> float:
        """Return the sum of the timers: every command as often as may be, every answer as late as may be."""
        exchange = timers.TRIES * (SIGNAL + timers.T4 + timers.T2)
        page = (
            len(LADDER) * (self.sender.station.policy.correction.requests + 2) + timers.TRIES
        ) * exchange + timers.T5
        return timers.T0 + timers.T1 + (len(self.pages) + 1) * page

    def habits(self) -> tuple[Several, Several]:
        """Return the sender's and the receiver's habits, for one call."""
        return (
            Several(*(SENDERS[name]() for name in self.sender.habits)),
            Several(*(RECEIVERS[name]() for name in self.receiver.habits)),
        )

    @property
    def true_sender(self) -> bool:
        """The sender says of nothing but the page that it is the page."""
        return not FALSE_SENDERS & set(self.sender.habits)

    @property
    def true_receiver(self) -> bool:
        """The receiver says what it does."""
        return not CHANGED_ANSWERS & set(self.receiver.habits)


def _station(random: Random) -> Station:
    families = random.choice([[Family.V27TER], [Family.V27TER, Family.V29], *[list(Family)[1:]] * 6])
    codings = [coding for coding in Coding if coding is not Coding.MH and random.random() < 0.7]
    resolutions = [resolution for resolution in Resolution if random.random() < 0.7]
    return Station(
        random.choice(IDENTS),
        families=frozenset(families),
        max_bps=random.choice((14400, 14400, 14400, 14400, 12000, 9600, 7200, 4800, 2400)),
        ecm=random.random() < 0.7,
        codings=frozenset({Coding.MH, *codings}),
        resolutions=frozenset({Resolution.STANDARD, *resolutions}),
        width=random.choice((Width.A3, Width.A3, Width.A4, Width.B4)),
        length=random.choice(list(Length)),
        frame_octets=random.choice((256, 64)),
        subaddress=random.choice(("", "", "4711")),
        password=random.choice(("", "", "secret")),
        takes_subaddress=random.random() < 0.5,
        nonstandard=random.choice((b"", b"", bytes.fromhex("AD 00 55 12 34"))),
        policy=_policy(random) if random.random() < 0.4 else Policy(),
    )


def _policy(random: Random) -> Policy:
    return Policy(
        ladder=random.choice((LADDER, LADDER[2:], EVERY_RATE)),
        refused=Refused(random.choice((1, 3, 5)), random.choice(list(Then))),
        slower_when_poor=random.random() < 0.5,
        correction=Correction(random.choice((1, 4, 7)), random.random() < 0.5, random.random() < 0.5),
        quality=random.choice((Quality(), Quality(confirm=0.0, retrain=0.0, longest_run=0), Quality(confirm=0.5))),
        training=random.choice((TrainingCheck(), TrainingCheck(zeros=0.1, damaged=0.5))),
    )


def _habits(random: Random, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(random.sample(names, random.choice((0, 0, 0, 0, 0, 1, 1, 1, 2, 3))))


def _faults(random: Random, seed: int) -> Faults:
    if random.random() < 0.4:
        return Faults(seed=seed)
    return Faults(
        seed=seed,
        lost=random.choice(CHANCES),
        corrupted=random.choice(CHANCES),
        delayed=random.choice(CHANCES),
        echoed=random.choice(CHANCES),
        dropouts=random.choice(CHANCES),
        error_density=random.choice((0.0003, 0.002, 0.02)),
        untrainable=frozenset(modulation for modulation in LADDER if random.random() < 0.15),
        drop_at=random.uniform(0.0, 90.0) if random.random() < 0.1 else None,
    )


def _weather(random: Random, seed: int) -> Weather:
    return Weather(
        loss=random.choice((0.0, 0.0, 0.01, 0.05, 0.2)),
        burst=random.choice((1, 1, 3)),
        jitter=random.choice((0.0, 0.05, 0.2)),
        doubled=random.choice((0.0, 0.1)),
        seed=seed,
    )


def _lies(random: Random) -> tuple[str, ...]:
    return random.choice(((), ("no-abort-ok", "early-connect", "early-fcerror", "no-far", "no-class-1.0")))
