"""What a modem's commands set, as the factory left it, and the commands that set little or nothing."""

from dataclasses import dataclass, field

from simulators.modem.firmware import Flow

REGISTERS = {0: 0, 1: 0, 2: 43, 3: 13, 4: 10, 5: 8, 6: 2, 7: 60, 8: 2, 10: 14, 12: 50}
"""S-registers as the factory sets them: S0 rings before it answers, S7 seconds for carrier, S8 seconds of a comma, S12
guard time of ``+++`` in fiftieths of a second. S3 and S4 end what the modem says. S2, S5, S6, S10 are kept and change
nothing."""

FLOW_COMMANDS = {
    "+IFC": {"0,0": Flow.NONE, "1,1": Flow.SOFTWARE, "2,2": Flow.HARDWARE},
    "+FLO": {"0": Flow.NONE, "1": Flow.SOFTWARE, "2": Flow.HARDWARE},
    "&K": {"0": Flow.NONE, "3": Flow.HARDWARE, "4": Flow.SOFTWARE},
    "&H": {"0": Flow.NONE, "1": Flow.HARDWARE, "2": Flow.SOFTWARE},
    "\\Q": {"0": Flow.NONE, "1": Flow.SOFTWARE, "3": Flow.HARDWARE},
}
NO_EFFECT = ("B", "C", "L", "M", "N", "P", "T", "W", "Y", "&C", "&G", "&I", "&P", "&R", "&S", "&W", "%C", "%E")
"""Taken with any number, and nothing comes of it: a speaker, a data mode or a memory would be needed."""


@dataclass(slots=True)
class Settings:
    """What commands set and ATZ sets back."""

    echo: bool = True
    verbose: bool = True
    quiet: bool = False
    progress: int = 4
    """ATX."""
    dtr: int = 2
    """AT&D: 0 means that a drop of DTR changes nothing, 3 that it also resets."""
    fax_class: str = "0"
    adaptive: bool = False
    """``+FAR``: a +FRM that meets V.21 goes over to it."""
    caller_id: int = 0
    """``+VCID``, ``#CID``: 1 the caller's number, 10 also the number dialled."""
    registers: dict[int, int] = field(default_factory=REGISTERS.copy)
