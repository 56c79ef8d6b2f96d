"""DIS, DTC and DCS (T.30 Table 2), declared once; what a station can do; and what two stations agree on."""

import math
from dataclasses import dataclass, field, replace

from t30.fif import Fif, Pattern, bit
from t30.pages import USUAL_CODINGS, Coding, Length, PageFormat, PageLimits, Resolution, Width
from t30.policy import Policy
from t30.rates import Family, Modulation, best_first

# ------------------------------------------------------------------------------------------------------ declarations

_V27TER, _V29, _V17 = Family.V27TER, Family.V29, Family.V17

_CAN_RECEIVE = {
    "0000": frozenset({Modulation.V27TER_2400}),
    "0100": frozenset(best_first([_V27TER])),
    "1000": frozenset(best_first([_V29])),
    "1100": frozenset(best_first([_V27TER, _V29])),
    "1101": frozenset({*best_first([_V27TER, _V29, _V17]), Modulation.V17_9600, Modulation.V17_7200}),
    "1110": frozenset(best_first([_V27TER, _V29])),  # before V.17 it said V.33, too
}
_BEST = (Modulation.V27TER_4800, Modulation.V29_9600, Modulation.V17_14400)
_RATE = {m.dcs: m for m in Modulation if m.dcs is not None and not m.short_training}

_WIDTHS = {"00": Width.A4, "10": Width.B4, "01": Width.A3}
_LENGTHS = {"00": Length.A4, "10": Length.B4, "01": Length.UNLIMITED}


@dataclass(frozen=True, slots=True)
class ScanTime:
    """Shortest time a receiver needs for one scan line, in ms: at standard resolution, and at fine."""

    standard: int
    fine: int

    def __str__(self) -> str:
        return f"{self.standard} ms" + (f", {self.fine} ms when fine" if self.fine != self.standard else "")


_SCAN_TIMES = {
    "000": ScanTime(20, 20),
    "100": ScanTime(5, 5),
    "010": ScanTime(10, 10),
    "110": ScanTime(20, 10),
    "001": ScanTime(40, 40),
    "101": ScanTime(40, 20),
    "011": ScanTime(10, 5),
    "111": ScanTime(0, 0),
}
_CHOSEN_SCAN_TIMES = {"000": 20, "100": 5, "010": 10, "001": 40, "111": 0}


class _Common(Fif):
    """What means the same in all three."""

    __slots__ = ()

    receiver = bit(10, "receives fax pages")
    fine = bit(15, "fine resolution (8 x 7.7 lines/mm)")
    two_d = bit(16, "2-D coding (MR)")
    width = Pattern(17, _WIDTHS, "recording width", otherwise=Width.A4)
    length = Pattern(19, _LENGTHS, "recording length", otherwise=Length.A4)
    ecm = bit(27, "error correction mode")
    mmr = bit(31, "T.6 coding (MMR)")
    superfine = bit(41, "superfine resolution (8 x 15.4 lines/mm)")
    r300 = bit(42, "300 x 300 pels/inch")
    r400 = bit(43, "16 x 15.4 lines/mm or 400 x 400 pels/inch")
    letter = bit(76, "North American Letter")
    legal = bit(77, "North American Legal")
    t85 = bit(78, "T.85 coding (JBIG)")
    t85_stripes = bit(79, "T.85 coding, any stripe height (L0)")


class Dis(_Common):
    """What the answerer can do (T.30 Table 2, DIS column)."""

    __slots__ = ()

    internet = bit(1, "Internet fax, store and forward (T.37)")
    realtime_internet = bit(3, "Internet fax in real time (T.38)")
    v8 = bit(6, "V.8 capabilities")
    small_frames = bit(7, "prefers 64-octet frames")
    polled = bit(9, "has a document to be polled")
    modulations = Pattern(11, _CAN_RECEIVE, "receives at", otherwise=_CAN_RECEIVE["0100"])
    scan_time = Pattern(21, _SCAN_TIMES, "time per scan line", otherwise=ScanTime(20, 20))
    inch = bit(44, "prefers resolutions in inches")
    metric = bit(45, "prefers metric resolutions")
    half_scan_time = bit(46, "half the scan line time at 15.4 lines/mm")
    field_not_valid = bit(33, "can say that a field is not valid (FNV)")
    multiple_polling = bit(34, "several selective polling addresses")
    polled_subaddress = bit(35, "takes a polled subaddress (PSA)")
    t43 = bit(36, "T.43 coding")
    selective_polling = bit(47, "selective polling")
    subaddress = bit(49, "takes a subaddress")
    password = bit(50, "takes a password")
    data_file = bit(51, "has a data file to be polled")
    binary_files = bit(53, "binary file transfer")
    jpeg = bit(68, "JPEG coding")
    colour = bit(69, "full colour")

    @property
    def resolutions(self) -> frozenset[Resolution]:
        """The resolutions that can be received; standard always."""
        declared = {
            Resolution.FINE: self.fine,
            Resolution.SUPERFINE: self.superfine,
            Resolution.R300: self.r300,
            Resolution.R400: self.r400,
        }
        return frozenset({Resolution.STANDARD, *(resolution for resolution, can in declared.items() if can)})

    def codings(self) -> frozenset[Coding]:
        """Return the codings that can be received; MMR and T.85 only in error correction mode."""
        corrected = {Coding.MMR: self.mmr and self.ecm, Coding.T85: self.t85 and self.ecm}
        declared = {Coding.MR: self.two_d, **corrected}
        return frozenset({Coding.MH, *(coding for coding, can in declared.items() if can)})

    def row_milliseconds(self, resolution: Resolution) -> float:
        """Return the shortest time that one scan line may take, in ms, without error correction."""
        if resolution is Resolution.STANDARD:
            return self.scan_time.standard
        if resolution is Resolution.FINE or not self.half_scan_time:
            return self.scan_time.fine
        return self.scan_time.fine / 2


class Dtc(Dis):
    """What a polling caller can receive (T.30 Table 2, DTC column): the bits of DIS."""

    __slots__ = ()


class Dcs(_Common):
    """What the sender chose (T.30 Table 2, DCS column)."""

    __slots__ = ()

    modulation = Pattern(11, _RATE, "rate", otherwise=None)
    scan_time = Pattern(21, _CHOSEN_SCAN_TIMES, "ms per scan line", otherwise=20)
    small_frames = bit(28, "64-octet frames")
    inch = bit(44, "resolution in inches")
    subaddress = bit(49, "a subaddress comes with it")
    sender_id = bit(50, "a sender identification comes with it")

    @property
    def resolution(self) -> Resolution:
        """The resolution of the pages that follow."""
        chosen = (
            (self.r400, Resolution.R400),
            (self.r300, Resolution.R300),
            (self.superfine, Resolution.SUPERFINE),
            (self.fine, Resolution.FINE),
        )
        return next((resolution for is_set, resolution in chosen if is_set), Resolution.STANDARD)

    @property
    def coding(self) -> Coding:
        """The coding of the pages that follow."""
        if self.t85:
            return Coding.T85
        if self.mmr:
            return Coding.MMR
        return Coding.MR if self.two_d else Coding.MH

    @property
    def format(self) -> PageFormat:
        """The pages that follow, as the page target needs to know them."""
        return PageFormat(self.width, self.length, self.resolution, self.coding, self.ecm)

    @property
    def frame_octets(self) -> int:
        """Octets of page data per frame in error correction mode."""
        return 64 if self.small_frames else 256


# ---------------------------------------------------------------------------------------------------------- stations

RESOLUTION_BITS = {
    Resolution.STANDARD: {},
    Resolution.FINE: {"fine": True},
    Resolution.SUPERFINE: {"superfine": True},
    Resolution.R300: {"r300": True, "inch": True},
    Resolution.R400: {"r400": True},
}
"""How DCS says a resolution. 300 pels are always per inch; 16 x 15.4 is offered and chosen in metric."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A document that callers may fetch. Whether what a caller says is right, the page port knows."""

    selective: bool = False
    """A caller may have to say which document it wants (SEP)."""
    password: bool = False
    """A caller may have to say a password (PWD)."""


@dataclass(frozen=True, slots=True)
class Station:
    """One fax station: who it is and what it may do. Everything is allowed by default."""

    ident: str = ""
    families: frozenset[Family] = frozenset({Family.V27TER, Family.V29, Family.V17})
    max_bps: int = 14400
    ecm: bool = True
    codings: frozenset[Coding] = USUAL_CODINGS
    resolutions: frozenset[Resolution] = frozenset(Resolution)
    width: Width = Width.A3
    length: Length = Length.UNLIMITED
    frame_octets: int = 256
    sender_id: str = ""
    """Sent (SID) to a receiver that takes passwords: it takes this, too."""
    subaddress: str = ""
    """Sent to a receiver that takes one (SUB), or to say which document is to be fetched (SEP)."""
    password: str = field(default="", repr=False)
    """Sent (PWD) to a receiver that takes one, or to a machine that gives its document for one."""
    takes_subaddress: bool = False
    """Announced: a sender may say for whom its pages are (SUB)."""
    receives: bool = True
    """Called, it takes faxes."""
    offer: Offer | None = None
    """Called, it has a document that the caller may fetch."""
    nonstandard: bytes = b""
    """Information field of NSF, sent before DIS when there is one: country and provider code, then the vendor's own."""
    policy: Policy = field(default_factory=Policy)
    """What it chooses where T.30 leaves the choice."""

    def limited_to(self, modulations: frozenset[Modulation]) -> "Station":
        """Return this station on a modem that can do only these: without the families that it lacks a rate of."""
        able = {family for family in self.families if all(m.long in modulations for m in best_first([family]))}
        return replace(self, families=frozenset(able))

    def dis(self) -> Dis:
        """Return what this station says that it can do."""
        offer = self.offer or Offer()
        return Dis().but(
            polled=self.offer is not None,
            selective_polling=offer.selective,
            password=offer.password,
            receiver=self.receives,
            modulations=_announced(self.families, self.max_bps),
            two_d=Coding.MR in self.codings,
            width=self.width,
            length=self.length,
            scan_time=ScanTime(0, 0),
            ecm=self.ecm,
            subaddress=self.takes_subaddress,
            mmr=self.ecm and Coding.MMR in self.codings,
            t85=self.ecm and Coding.T85 in self.codings,
            t85_stripes=self.ecm and Coding.T85 in self.codings,
            small_frames=self.ecm and self.frame_octets == 64,
            fine=Resolution.FINE in self.resolutions,
            superfine=Resolution.SUPERFINE in self.resolutions,
            r300=Resolution.R300 in self.resolutions,
            r400=Resolution.R400 in self.resolutions,
            metric=bool(self.resolutions & {Resolution.R300, Resolution.R400}),
        )

    def dtc(self) -> Dtc:
        """Return what this station says when it has called to fetch a document."""
        poller = replace(self, receives=True, offer=None, takes_subaddress=False)
        return Dtc(poller.dis().octets)


def _announced(families: frozenset[Family], max_bps: int) -> frozenset[Modulation]:
    """Return the smallest set that DIS can name which has every family that keeps to ``max_bps`` at its best."""
    wanted = {modulation for modulation in _BEST if modulation.family in families and modulation.bps <= max_bps}
    return next(can for can in _CAN_RECEIVE.values() if wanted <= can)


# --------------------------------------------------------------------------------------------------------- agreement


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sender may use toward one receiver."""

    receiver: Dis
    ladder: tuple[Modulation, ...]
    """Rates to try, the first first."""
    limits: PageLimits
    frame_octets: int

    def dcs(self, format: PageFormat, modulation: Modulation) -> Dcs:
        """Return the choice of a page format and a rate."""
        return Dcs().but(
            receiver=True,
            modulation=modulation.long,
            two_d=format.coding is Coding.MR,
            mmr=format.coding is Coding.MMR,
            t85=format.coding is Coding.T85,
            width=format.width,
            length=format.length,
            scan_time=0 if format.ecm else self._scan_time(format.resolution),
            ecm=format.ecm,
            small_frames=format.ecm and self.frame_octets == 64,
            **RESOLUTION_BITS[format.resolution],
        )

    def min_row_bits(self, resolution: Resolution, modulation: Modulation) -> int:
        """Return how many bits a scan line must have at least, fill included."""
        if self.limits.ecm:
            return 0
        return math.ceil(modulation.bps * self._scan_time(resolution) / 1000)

    def _scan_time(self, resolution: Resolution) -> int:
        """Return how long a scan line takes at least, in ms, as DCS can say it: it has no word for half of 5 ms."""
        asked = self.receiver.row_milliseconds(resolution)
        return min(each for each in _CHOSEN_SCAN_TIMES.values() if each >= asked)


def agree(station: Station, receiver: Dis) -> Terms:
    """Return what ``station`` may use toward ``receiver``; the ladder is empty if they share no rate."""
    ecm = station.ecm and receiver.ecm
    codings = station.codings & receiver.codings()
    best = (Coding.T85, Coding.MMR, Coding.MR, Coding.MH) if ecm else (Coding.MR, Coding.MH)
    allowed = best_first(station.families, station.max_bps, station.policy.ladder)
    ladder = [modulation for modulation in allowed if modulation in receiver.modulations]
    return Terms(
        receiver,
        tuple(ladder),
        PageLimits(
            width=min(station.width, receiver.width, key=lambda width: width.value),
            length=min(station.length, receiver.length, key=lambda length: length.value or math.inf),
            resolutions=station.resolutions & receiver.resolutions | {Resolution.STANDARD},
            coding=next((coding for coding in best if coding in codings), Coding.MH),
            ecm=ecm,
            codings=codings if ecm else frozenset(),
        ),
        64 if station.frame_octets == 64 or receiver.small_frames else 256,
    )
