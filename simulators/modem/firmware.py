"""What one make of modem is: its names, what it can do, and how its firmware lies.

The numbers are those of T.31: what ``+FTM`` and ``+FRM`` take. This table is the modem's own; a driver has another.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from simulators.modem.dte import Result
from t30.rates import Modulation

CARRIERS: Mapping[int, Modulation] = {
    24: Modulation.V27TER_2400,
    48: Modulation.V27TER_4800,
    72: Modulation.V29_7200,
    73: Modulation.V17_7200,
    74: Modulation.V17_7200_SHORT,
    96: Modulation.V29_9600,
    97: Modulation.V17_9600,
    98: Modulation.V17_9600_SHORT,
    121: Modulation.V17_12000,
    122: Modulation.V17_12000_SHORT,
    145: Modulation.V17_14400,
    146: Modulation.V17_14400_SHORT,
}
"""Value of ``+FTM`` and ``+FRM`` -> what is on the line."""


CARRIER_TAIL = b"\xff" * 20 + bytes.fromhex("5B 92 E4 71 0D C8 3A 96")
"""What a receiver makes of the end of a fast carrier: the ones that it is turned off with, and noise before the modem
notices. efax does not find the RTC of a page that nothing follows."""


class Flow(Enum):
    """How the modem says that its buffer is full."""

    NONE = "none"
    HARDWARE = "rtscts"
    SOFTWARE = "xonxoff"


@dataclass(frozen=True, slots=True)
class Firmware:
    """One make of modem. The defaults are a modem that does what T.31 says."""

    manufacturer: str = "faxgw"
    model: str = "simulated modem"
    revision: str = "1.0"
    information: Mapping[int, str] = field(default_factory=lambda: {0: "14400", 3: "faxgw simulated modem"})
    """What ``ATI`` n answers beside OK; an n that is not listed is ERROR."""
    classes: tuple[str, ...] = ("0", "1", "1.0")
    carriers: tuple[int, ...] = tuple(CARRIERS)
    tail: bytes = b""
    """What the DTE gets after the last octet that was sent: ``CARRIER_TAIL`` from a real receiver. With nothing the
    receiver knows the end to the bit, which lets a test compare."""
    adaptive: bool = True
    """It has ``+FAR``: with ``+FAR=1`` a +FRM that meets V.21 goes over to it (``+FRH:3``)."""
    buffer: int = 4096
    """Octets that it holds for the line."""
    flow: Flow = Flow.HARDWARE
    flow_commands: tuple[str, ...] = ("+IFC", "+FLO", "&K", "\\Q")
    """Which commands set flow control, of these and ``&H``; the others are ERROR."""

    abort_answers: bool = True
    """OK after a reception was aborted by a character of the DTE."""
    doubles_dle: bool = True
    """A DLE in received data goes to the DTE as two."""
    deaf_after_connect: float = 0.0
    """Seconds after a CONNECT to +FTM, given before training ends, in which what the DTE writes is lost."""
    false_fcerrors: int = 0
    """How often +FRM says +FCERROR before there is any carrier at all, again after each carrier received."""
    connects_to_any: bool = False
    """CONNECT to +FRM and +FRH also on another carrier than the one asked for; what it gives then is rubbish."""
    early_ok: float = 0.0
    """Seconds by which OK, after a transmission, comes before the carrier is off."""
    early_no_carrier: float = math.inf
    """Seconds without octets on a fast carrier that is still there after which +FRM ends in NO CARRIER."""
    false_hook: Result | None = None
    """What it says at each operation as though the call were gone, which it is not: BUSY or RING by the way, or NO
    CARRIER instead of every other operation."""


LIES: Mapping[str, Mapping[str, Any]] = {
    "no-abort-ok": {"abort_answers": False},
    "bare-dle": {"doubles_dle": False},
    "early-connect": {"deaf_after_connect": 0.4},
    "early-fcerror": {"false_fcerrors": 2},
    "any-carrier": {"connects_to_any": True},
    "early-ok": {"early_ok": 0.3},
    "early-no-carrier": {"early_no_carrier": 0.15},
    "false-busy": {"false_hook": Result.BUSY},
    "false-ring": {"false_hook": Result.RING},
    "false-no-carrier": {"false_hook": Result.NO_CARRIER},
    "no-far": {"adaptive": False},
    "no-class-1.0": {"classes": ("0", "1")},
}
"""Name of a lie, or a lack -> what makes a firmware so."""


def lying(*lies: str, firmware: Firmware | None = None) -> Firmware:
    """Return a firmware with these of ``LIES``.

    >>> lying("bare-dle", "no-far").doubles_dle
    False
    """
    changes = {name: value for lie in lies for name, value in LIES[lie].items()}
    return replace(firmware or Firmware(), **changes)
