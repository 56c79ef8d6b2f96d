"""The options that ``send`` and ``receive`` share, and the station that they make."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from faxgw.documents.layout import Paper
from faxgw.documents.screening import Screen
from t30.capabilities import Station
from t30.identity import encoded
from t30.pages import USUAL_CODINGS, Coding, Length, Resolution, Width
from t30.policy import LADDERS, OPERATORS, QUALITIES, REFUSED, Operator, Policy, Quality, Refused
from t30.rates import Family, Modulation

T = TypeVar("T")


class Switch(Enum):
    """A thing that is on or off."""

    ON = "on"
    OFF = "off"


_MODEMS = {"v27ter": Family.V27TER, "v29": Family.V29, "v17": Family.V17}
_CODINGS = {"mh": Coding.MH, "mr": Coding.MR, "mmr": Coding.MMR, "t85": Coding.T85}
_RESOLUTIONS = {resolution.label: resolution for resolution in Resolution}
_PAPERS = {paper.label: paper for paper in Paper}
_RATES = sorted({modulation.bps for modulation in Modulation if modulation.dcs})

LONGEST = {
    Paper.A4: Length.A4,
    Paper.LETTER: Length.A4,
    Paper.LEGAL: Length.B4,
    Paper.B4: Length.B4,
    Paper.A3: Length.UNLIMITED,
}
"""The page length that a receiver announces for its largest paper."""


def _one(table: dict[str, T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        if text not in table:
            raise typer.BadParameter(f"{text!r} is none of {', '.join(table)}")
        return table[text]

    return parse


def _several(table: dict[str, T]) -> Callable[[str], frozenset[T]]:
    one = _one(table)

    def parse(text: str) -> frozenset[T]:
        return frozenset(one(each.strip()) for each in text.split(","))

    return parse


def rate(text: str | int) -> int:
    """Take a rate in bit/s (Typer passes the default through here, too)."""
    if str(text) not in map(str, _RATES):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(map(str, _RATES))}")
    return int(text)


def identity(text: str) -> str:
    """Take a text that goes into one frame of T.30."""
    try:
        encoded(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def _metavar(table: dict[str, T]) -> str:
    return "|".join(table)


LineOption = Annotated[
    str,
    typer.Option(
        "--line",
        metavar="LINE",
        help="The line: class1:/dev/ttyACM0, sip:HOST, udptl:, tpkt: or sim:NUMBER.",
        show_default=False,
    ),
]
NumberOption = Annotated[str, typer.Option("--to", metavar="NUMBER", help="Whom to call.", show_default=False)]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", metavar="S", min=0, help="How long to wait for a call, by real time.")
]
IdentOption = Annotated[
    str, typer.Option("--ident", parser=identity, metavar="TEXT", help="Our station identity, such as a number.")
]
EcmOption = Annotated[Switch, typer.Option("--ecm", help="Error correction, where the other machine has it.")]
ModemsOption = Annotated[
    frozenset[Family] | None,
    typer.Option("--modems", parser=_several(_MODEMS), metavar="v27ter,v29,v17", help="Modulations to use."),
]
RateOption = Annotated[int, typer.Option("--max-rate", parser=rate, metavar="BPS", help="Fastest rate to use.")]
CodingOption = Annotated[
    frozenset[Coding] | None,
    typer.Option(
        "--coding",
        parser=_several(_CODINGS),
        metavar="mh,mr,mmr,t85",
        help="Codings to use; all but t85 (JBIG) unless given.",
    ),
]
LadderOption = Annotated[
    str,
    typer.Option(
        "--ladder",
        parser=_one({name: name for name in LADDERS}),
        metavar=_metavar(LADDERS),
        help="In which order rates are tried: as that program does; hylafax leaves V.17 early, efax late.",
    ),
]
RefusedOption = Annotated[
    Refused | None,
    typer.Option(
        "--refused",
        parser=_one(REFUSED),
        metavar=_metavar(REFUSED),
        help="What to do about a page that is refused: retransmit sends it three times in all, ignore goes on with the"
        " next page; one that was refused never counts as delivered.",
    ),
]
QualityOption = Annotated[
    Quality | None,
    typer.Option(
        "--quality",
        parser=_one(QUALITIES),
        metavar=_metavar(QUALITIES),
        help="When a page without error correction is confirmed: usual refuses it above 15 % of damaged scan lines, or"
        " 5 in a row; strict above 5 % or 2; any never does.",
    ),
]
OperatorOption = Annotated[
    Operator | None,
    typer.Option(
        "--operator",
        parser=_one(OPERATORS),
        metavar=_metavar(OPERATORS),
        help="What to do when the other machine wants to be spoken to: go on as if it did not, or end the call.",
    ),
]
ResolutionOption = Annotated[
    Resolution | None,
    typer.Option("--resolution", parser=_one(_RESOLUTIONS), metavar=_metavar(_RESOLUTIONS), help="Resolution."),
]
PaperOption = Annotated[
    Paper | None, typer.Option("--page", parser=_one(_PAPERS), metavar=_metavar(_PAPERS), help="Page size.")
]
ScreenOption = Annotated[
    Screen,
    typer.Option("--screen", help="How grey becomes black and white; auto tells text and pictures apart."),
]
TraceOption = Annotated[
    Path | None, typer.Option("--trace", metavar="CALL.jsonl", help="Record the call, without its pages' content.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]


def station(
    *,
    ident: str,
    ecm: Switch,
    modems: frozenset[Family] | None,
    max_rate: int,
    coding: frozenset[Coding] | None,
    subaddress: str = "",
    password: str = "",
    sender_id: str = "",
    ladder: str = "hylafax",
    refused: Refused | None = None,
    quality: Quality | None = None,
    operator: Operator | None = None,
) -> Station:
    """Return the station of these options; what was not given is not limited."""
    return Station(
        ident=ident,
        ecm=ecm is Switch.ON,
        families=modems or frozenset(_MODEMS.values()),
        max_bps=max_rate,
        codings=coding or USUAL_CODINGS,
        subaddress=subaddress,
        password=password,
        sender_id=sender_id,
        policy=Policy(
            LADDERS[ladder],
            refused or Refused(),
            quality=quality or Quality(),
            operator=operator or Operator.ABSENT,
        ),
    )


def up_to(resolution: Resolution | None) -> frozenset[Resolution]:
    """Return the resolutions that a receiver offers: all, or those not finer than this one."""
    finest = resolution or Resolution.R400
    return frozenset(each for each in Resolution if each.down <= finest.down and each.across <= finest.across)


def largest(paper: Paper | None) -> tuple[Width, Length]:
    """Return the largest page that a receiver offers."""
    return (paper.width, LONGEST[paper]) if paper else (Width.A3, Length.UNLIMITED)
