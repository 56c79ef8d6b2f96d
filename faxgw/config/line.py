"""The settings of one telephone line."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer, model_validator

from drivers.registry import DRIVERS, LineUrl
from faxgw.documented import Documented
from faxgw.rules.routing import channel_of
from t30.capabilities import Station
from t30.identity import encoded
from t30.line import LineError
from t30.pages import Coding
from t30.policy import LADDERS, OPERATORS, QUALITIES, REFUSED, Policy
from t30.rates import Family

FAMILIES = {"v27ter": Family.V27TER, "v29": Family.V29, "v17": Family.V17}
CODINGS = {"mh": Coding.MH, "mr": Coding.MR, "mmr": Coding.MMR, "t85": Coding.T85}


def _line_url(text: str) -> str:
    try:
        scheme = LineUrl.parse(text).scheme
    except LineError as fault:
        raise ValueError(str(fault)) from None
    if scheme not in DRIVERS:
        known = ", ".join(f"{each}:" for each in sorted(DRIVERS))
        raise ValueError(f"there is no driver for {scheme}: lines; there is one for {known}")
    return text


def _identity(text: str) -> str:
    encoded(text)
    return text


class LineSettings(Documented, BaseModel):
    """A telephone line; there may be any number of these tables. With none, there is one line, sim:15550199."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$", examples=["front-desk"])]
    """What the line is called in routes, faxes and metrics: small letters, digits and any of "-_."."""
    url: Annotated[str, AfterValidator(_line_url), Field(examples=["class1:/dev/ttyACM0"])]
    """How the line is reached, such as class1:/dev/ttyACM0, sip:trunk.example or sim:15550199."""
    channels: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many calls at once a SIP trunk carries, those that come in and those that go out together."""
    use: Literal["send", "receive", "both"] = "both"
    """What the line is for."""
    ident: Annotated[str, AfterValidator(_identity), Field(examples=["+1 555 0199"])] = ""
    """The station identity that the other machine is shown: at most 20 characters, usually the line's number."""
    tenants: Annotated[frozenset[str], Field(examples=[["acme"]])] = frozenset()
    """Names of the tenants that send through this line and have its calls lead to them; all, if none is named."""
    ecm: bool = True
    """Error correction, where the other machine has it."""
    modems: Annotated[frozenset[Literal["v27ter", "v29", "v17"]], Field(min_length=1)] = frozenset(
        {"v27ter", "v29", "v17"}
    )
    """The modulations to use."""
    max_rate: Literal[2400, 4800, 7200, 9600, 12000, 14400] = 14400
    """The fastest rate to use, in bit/s."""
    coding: Annotated[frozenset[Literal["mh", "mr", "mmr", "t85"]], Field(min_length=1)] = frozenset(
        {"mh", "mr", "mmr"}
    )
    """The page codings to use; mh cannot be left out, since every fax machine must have it. t85 is JBIG:
    a fifth less than mmr for text, half of it for pictures, with machines that have it, in error correction mode."""

    ladder: Literal["hylafax", "spandsp", "efax"] = "hylafax"
    """In which order rates are tried: as that program does. hylafax leaves V.17 early, efax late."""
    refused: Literal["retransmit", "ignore", "retransmit-ignore", "give-up"] = "retransmit"
    """What is done about a page that the receiver refuses: it is sent three times in all, each time one rate lower, and
    then the call ends; with ignore, the next page follows at once. A page that was refused never counts as delivered,
    whatever the receiver did with it: it goes out again in the next call, if there is one."""
    quality: Literal["strict", "usual", "any"] = "usual"
    """When a page without error correction is confirmed to its sender. usual refuses it above 15 % of damaged scan
    lines or 5 in a row; strict above 5 % or 2 in a row; any confirms whatever arrives."""
    operator: Literal["go-on", "end"] = "go-on"
    """What is done when the other machine wants to be spoken to: the fax goes on as if it did not, or the call ends."""

    @field_serializer("tenants", "modems", "coding")
    def _in_order(self, several: frozenset[str]) -> list[str]:
        return sorted(several)

    dial: Annotated[
        dict[Annotated[str, Field(pattern=r"^\+[0-9]{0,15}$")], Annotated[str, Field(pattern=r"^[0-9*#,W]{0,20}$")]],
        Field(examples=[{"+49": "0", "+": "00"}]),
    ] = {}
    """What is dialled in place of the beginning of a number, the longest that fits: +49 becomes 0 within Germany, every
    other + 00, and a comma waits for the outside line. A modem with nothing here dials the digits without the +."""

    @model_validator(mode="after")
    def _has_mh(self) -> Self:
        if "mh" not in self.coding:
            raise ValueError("coding must have mh: every fax machine must be able to use it (T.30)")
        return self

    @model_validator(mode="after")
    def _has_channels(self) -> Self:
        if self.channels > 1 and self.scheme != "sip":
            raise ValueError(f"channels is for sip: lines; a {self.scheme}: line carries one call at once")
        return self

    def each_channel(self) -> tuple[Self, ...]:
        """Return the settings of each channel; those of one trunk are called NAME:1, NAME:2 and so on.

        >>> [each.name for each in LineSettings(name="a", url="sip:192.0.2.1", channels=2).each_channel()]
        ['a:1', 'a:2']
        """
        if self.channels == 1:
            return (self,)
        numbers = range(1, self.channels + 1)
        return tuple(self.model_copy(update={"name": channel_of(self.name, number)}) for number in numbers)

    def dialled(self, number: str) -> str:
        """Return what is dialled on this line for a number in E.164 form; a short number stays as it is.

        >>> LineSettings(name="a", url="class1:/dev/ttyS0", dial={"+49": "0,0", "+": "0,00"}).dialled("+4930123")
        '0,030123'
        """
        rules = self.dial or ({"+": ""} if self.scheme == "class1" else {})
        fitting = [prefix for prefix in rules if number.startswith(prefix)]
        if not fitting:
            return number
        prefix = max(fitting, key=len)
        return rules[prefix] + number.removeprefix(prefix)

    @property
    def scheme(self) -> str:
        """The kind of line: ``class1``, ``sim``, ..."""
        return LineUrl.parse(self.url).scheme

    @property
    def address(self) -> str:
        """What identifies the port or number within its kind."""
        return LineUrl.parse(self.url).address

    @property
    def sends(self) -> bool:
        """Whether calls may go out here."""
        return self.use != "receive"

    @property
    def receives(self) -> bool:
        """Whether calls are answered here."""
        return self.use != "send"

    def station(self) -> Station:
        """Return what this line says of itself; what its modem cannot do is still to be taken off."""
        return Station(
            ident=self.ident,
            ecm=self.ecm,
            families=frozenset(FAMILIES[each] for each in self.modems),
            max_bps=self.max_rate,
            codings=frozenset(CODINGS[each] for each in self.coding),
            policy=Policy(
                LADDERS[self.ladder],
                REFUSED[self.refused],
                quality=QUALITIES[self.quality],
                operator=OPERATORS[self.operator],
            ),
        )
