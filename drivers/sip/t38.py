"""What a stream says about T.38: the attributes of T.38 Annex D, misspelled ones too, and how two sides agree."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from drivers.sip.sdp import Attribute, Media


class TcfMethod(Enum):
    """Who makes the training check; the value is how the attribute T38FaxRateManagement spells it."""

    LOCAL = "localTCF"
    TRANSFERRED = "transferredTCF"


class Correction(Enum):
    """How lost packets are made good, the least first; the value is how the attribute T38FaxUdpEC spells it."""

    NONE = "t38UDPNoEC"
    REDUNDANCY = "t38UDPRedundancy"
    FEC = "t38UDPFEC"


@dataclass(frozen=True, slots=True, kw_only=True)
class T38:
    """What one side can do, or what both agreed on. None: not said.

    Attributes:
        version: T38FaxVersion.
        max_bit_rate: in bit/s.
        max_buffer: octets that its sender can keep.
        max_datagram: octets of the largest UDPTL packet that its sender takes.
        max_ifp: octets of the largest IFP packet that its sender takes.
        depth: fewest and most earlier packets that its sender puts into one.
        fec_span: most packets that one parity packet of its sender covers.
        vendor: country, extension, manufacturer.
    """

    version: int = 0
    max_bit_rate: int | None = 14400
    fill_bit_removal: bool = False
    transcoding_mmr: bool = False
    transcoding_jbig: bool = False
    tcf: TcfMethod = TcfMethod.TRANSFERRED
    max_buffer: int | None = None
    max_datagram: int | None = None
    max_ifp: int | None = None
    correction: Correction | None = None
    depth: tuple[int, int] | None = None
    fec_span: int | None = None
    vendor: str = ""

    @classmethod
    def of(cls, media: Media) -> "T38":
        """Read the attributes of a stream, in any case; what makes no sense counts as not said.

        A switch that is there is on, but for the value 0; of several error corrections the first known one counts.
        """
        said = _Said(media.attributes)
        return cls(
            version=said.number("T38FaxVersion") or 0,
            max_bit_rate=said.number("T38MaxBitRate", "T38FaxMaxBitRate"),
            fill_bit_removal=said.switch("T38FaxFillBitRemoval"),
            transcoding_mmr=said.switch("T38FaxTranscodingMMR"),
            transcoding_jbig=said.switch("T38FaxTranscodingJBIG"),
            tcf=TcfMethod.LOCAL if said.word("T38FaxRateManagement") in _LOCAL else TcfMethod.TRANSFERRED,
            max_buffer=said.number("T38FaxMaxBuffer", "T38MaxBuffer"),
            max_datagram=said.number("T38FaxMaxDatagram", "T38MaxDatagram"),
            max_ifp=said.number("T38FaxMaxIFP"),
            correction=said.correction(),
            depth=said.depth(),
            fec_span=said.number("T38FaxUdpFECMaxSpan"),
            vendor=next(said.values("T38VendorInfo"), ""),
        )

    def attributes(self) -> tuple[Attribute, ...]:
        """Return the attributes, in their canonical spelling."""
        depth = None if self.depth is None else f"{self.depth[0]} {self.depth[1]}"
        pairs: tuple[tuple[str, str | int | bool | None], ...] = (
            ("T38FaxVersion", self.version),
            ("T38MaxBitRate", self.max_bit_rate),
            ("T38FaxFillBitRemoval", self.fill_bit_removal),
            ("T38FaxTranscodingMMR", self.transcoding_mmr),
            ("T38FaxTranscodingJBIG", self.transcoding_jbig),
            ("T38FaxRateManagement", self.tcf.value),
            ("T38FaxMaxBuffer", self.max_buffer),
            ("T38FaxMaxDatagram", self.max_datagram),
            ("T38FaxMaxIFP", self.max_ifp),
            ("T38FaxUdpEC", self.correction.value if self.correction else None),
            ("T38FaxUdpECDepth", depth),
            ("T38FaxUdpFECMaxSpan", self.fec_span),
            ("T38VendorInfo", self.vendor or None),
        )
        return tuple(
            (name, None if value is True else str(value))
            for name, value in pairs
            if value is not None and value is not False
        )

    def answer(self, offer: "T38") -> "T38":
        """Return what we say to an offer, if these are our own wishes.

        Version, rates, switches and error correction are the lesser of both; who makes the training check is the
        offerer's choice; sizes are each side's own.
        """
        least = offer.correction and min(offer.correction, self.correction or Correction.REDUNDANCY, key=_ORDER.index)
        return replace(
            self,
            version=min(self.version, offer.version),
            max_bit_rate=min((rate for rate in (self.max_bit_rate, offer.max_bit_rate) if rate), default=None),
            fill_bit_removal=self.fill_bit_removal and offer.fill_bit_removal,
            transcoding_mmr=self.transcoding_mmr and offer.transcoding_mmr,
            transcoding_jbig=self.transcoding_jbig and offer.transcoding_jbig,
            tcf=offer.tcf,
            correction=least,
            depth=self.depth if least is not Correction.NONE else None,
            fec_span=self.fec_span if least is Correction.FEC else None,
        )

    def agreed(self, said: "T38") -> "T38":
        """Return what holds for what we send, if these are our own wishes and they said that: their sizes."""
        return replace(
            self.answer(said),
            max_buffer=said.max_buffer,
            max_datagram=said.max_datagram,
            max_ifp=said.max_ifp,
            depth=said.depth,
            fec_span=said.fec_span,
            vendor=said.vendor,
        )


_ORDER = list(Correction)
_LOCAL = {"localtcf", "localtfc"}
_CORRECTIONS = {each.value.lower(): each for each in Correction}
_DIGITS = re.compile(r"[0-9]{1,9}(?![0-9])")


class _Said:
    """Looks attributes up by any of their names."""

    def __init__(self, attributes: tuple[Attribute, ...]) -> None:
        self._pairs = [(name.lower(), value or "") for name, value in attributes]

    def values(self, *names: str) -> Iterator[str]:
        known = {name.lower() for name in names}
        return (value for name, value in self._pairs if name in known)

    def word(self, name: str) -> str:
        return next(self.values(name), "").strip().lower()

    def number(self, *names: str) -> int | None:
        found = (_DIGITS.match(value) for value in self.values(*names))
        return next((int(match[0]) for match in found if match), None)

    def switch(self, name: str) -> bool:
        return any(value not in {"0", "false", "no"} for value in map(str.lower, self.values(name)))

    def correction(self) -> Correction | None:
        known = (_CORRECTIONS.get(value.lower()) for value in self.values("T38FaxUdpEC"))
        return next((each for each in known if each), None)

    def depth(self) -> tuple[int, int] | None:
        numbers = [int(each) for each in _DIGITS.findall(next(self.values("T38FaxUdpECDepth"), ""))]
        return (numbers[0], max(numbers[:2])) if numbers else None
