"""How makes of modem differ from T.31 and lie about the line: one table, and how a make is recognised."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class Flow(Enum):
    """How the modem tells this machine to stop writing; the value is the ``flow=`` of a line URL."""

    RTSCTS = "rtscts"
    XONXOFF = "xonxoff"
    NONE = "none"


Commands = Mapping[Flow, tuple[str, ...]]

ANY_MAKE: Commands = MappingProxyType(
    {
        Flow.RTSCTS: ("+IFC=2,2", "&K3", "\\Q3"),
        Flow.XONXOFF: ("+IFC=1,1", "&K4", "\\Q1"),
        Flow.NONE: ("+IFC=0,0", "&K0", "\\Q0"),
    }
)
ROCKWELL: Commands = MappingProxyType({Flow.RTSCTS: ("&K3",), Flow.XONXOFF: ("&K4",), Flow.NONE: ("&K0",)})
USROBOTICS: Commands = MappingProxyType(
    {Flow.RTSCTS: ("&H1&I0&R2",), Flow.XONXOFF: ("&H2&I2&R1",), Flow.NONE: ("&H0&I0&R1",)}
)


@dataclass(frozen=True, slots=True)
class Quirks:
    """One make of modem; the defaults are what T.31 says."""

    recognised_by: tuple[str, ...] = ()
    """Any of these, in lower case, in what ATI, ATI3, +FMI? and +FMM? answer."""
    abort_gives_ok: bool = True
    """OK comes when a reception is aborted; else only an answer to AT shows that the modem listens again."""
    doubles_dle: bool = True
    """A DLE in received data comes doubled."""
    connect_to_data: float = 0.0
    """Seconds to wait between CONNECT to +FTM, given before the training is over, and the first octet."""
    fcerror_retries: int = 2
    """How often to try again when +FRM says +FCERROR, which many a make says too early (HylaFAX's default: 2), or NO
    CARRIER before there was any."""
    joins_commands: bool = True
    """``AT+FTS=8;+FTM=145`` on one line works."""
    class_1_0: bool = True
    """+FCLASS=1.0 works where the modem lists it."""
    adaptive: bool = True
    """+FAR=1 works where the modem lists it."""
    flow_commands: Commands = field(default_factory=lambda: ANY_MAKE)
    """What sets flow control; the first command that the modem takes is enough."""


QUIRKS: Mapping[str, Quirks] = MappingProxyType(
    {
        "standard": Quirks(),
        "conexant": Quirks(recognised_by=("conexant", "rockwell", "ac/k56", "cx93", "cx81"), flow_commands=ROCKWELL),
        # CONNECT comes at once, and +FCERROR before the carrier; HylaFAX waits 400 ms and asks +FRS first.
        "lucent": Quirks(
            recognised_by=("lt v.9", "lucent", "agere", "mt5634zba", "mt5634zpx"),
            connect_to_data=0.4,
            fcerror_retries=3,
        ),
        "mainpine": Quirks(recognised_by=("mainpine",), connect_to_data=0.4),
        # +FCLASS=1 switches these to XON/XOFF by itself, and only their own commands undo it.
        "usrobotics": Quirks(
            recognised_by=("usrobotics", "u.s. robotics", "us robotics", "sportster", "courier"),
            flow_commands=USROBOTICS,
            class_1_0=False,
        ),
        # For a modem that nobody knows and that fails with "standard": trusts as little as can be.
        "careful": Quirks(
            abort_gives_ok=False,
            connect_to_data=0.4,
            fcerror_retries=5,
            joins_commands=False,
            class_1_0=False,
            adaptive=False,
        ),
        "bare-dle": Quirks(doubles_dle=False),
    }
)
"""Name, as in ``quirks=NAME`` of a line URL, to what it means."""


def recognised(answers: str) -> str:
    """Return the name of the quirks that fit a modem, from all that it says about itself.

    >>> recognised("LT V.92 Data+Fax Modem"), recognised("56000")
    ('lucent', 'standard')
    """
    said = answers.lower()
    return next(
        (name for name, quirks in QUIRKS.items() if any(word in said for word in quirks.recognised_by)), "standard"
    )
