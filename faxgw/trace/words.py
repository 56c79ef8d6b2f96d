"""Frames, actions and events in plain words: the names of the Recommendation with what they mean."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from t30.capabilities import Dcs, Dis, Dtc
from t30.fcf import POST_PAGE, Fcf
from t30.fif import Fif
from t30.frame import SECRET, Frame
from t30.identity import decoded, internet
from t30.line import FrameReceived, SendFrames, Tone
from t30.pages import Coding, PageFormat, Resolution
from t30.vendors import maker

_LONGEST = 80
"""Characters shown of an Internet address, which may be anything."""
TONES = {Tone.CED: "answering tone", Tone.CNG: "calling tone"}


@dataclass(frozen=True, slots=True)
class FrameWords:
    """A frame in words.

    Attributes:
        name: as T.30 has it; empty for what is no readable frame.
        meaning: what the name means.
        gist: what its information field says, in short.
        bits: every field of DIS, DTC and DCS that says more than the plainest of machines would.
        good: it arrived undamaged.
    """

    name: str
    meaning: str
    gist: str = ""
    bits: tuple[str, ...] = ()
    good: bool = True

    @property
    def words(self) -> str:
        """All but the name."""
        return f"{self.meaning}: {self.gist}" if self.gist else self.meaning

    @property
    def explained(self) -> str:
        """Everything on one line."""
        told = f"{self.name}, {self.words}" if self.name else self.words
        return f"{told} ({'; '.join(self.bits)})" if self.bits else told


def frame(octets: bytes, *, good: bool = True) -> FrameWords:
    """Say what a frame says; of one with a wrong FCS, what it seems to have been."""
    read = Frame.parse(octets)
    fcf = read.fcf if read else None
    if not good:
        return FrameWords(
            "", f"damaged frame of {counted(len(octets), 'octet')}{f', perhaps {fcf}' if fcf else ''}", good=False
        )
    if read is None:
        return FrameWords("", "no frame of T.30", _hex(octets))
    if fcf is None:
        return FrameWords(f"{read.code:02X}", "a code unknown to T.30", _hex(read.fif))
    name, meaning = _NAMES.get(fcf, _plain_name)(fcf, read.fif)
    declared = _DECLARED.get(fcf)
    bits = tuple(_bits(declared(read.fif))) if declared else ()
    return FrameWords(name, meaning, _GISTS.get(fcf, _hex)(read.fif), bits)


def frames_of(what: object) -> list[str]:
    """Explain the frames of an action or event, one text each; page data is left to the ladder."""
    match what:
        case SendFrames(frames=frames):
            told = [frame(octets) for octets in frames]
        case FrameReceived(octets, good):
            told = [frame(octets, good=good)]
        case _:
            return []
    return [each.explained for each in told if each.name not in (str(Fcf.FCD), str(Fcf.RCP))]


def page_format(format: PageFormat) -> str:
    """Say what a page is on the wire.

    >>> from t30.pages import Length, Width
    >>> page_format(PageFormat(Width.A4, Length.UNLIMITED, Resolution.FINE, Coding.MMR, True))
    'A4 wide, fine, MMR'
    """
    return f"{format.width.name} wide, {resolution_words(format.resolution)}, {format.coding.name}"


def resolution_words(resolution: Resolution) -> str:
    """Return the name of a resolution, with its unit where it is a number."""
    return f"{resolution.label} dpi" if resolution.label.isdigit() else resolution.label


def counted(number: int, noun: str) -> str:
    """Return a number and its noun.

    >>> [counted(1, "page"), counted(18_103, "octet")]
    ['1 page', '18,103 octets']
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shortened(parts: list[str], most: int = 8) -> str:
    """Return a list with commas, and how many there are if not all can be shown.

    >>> shortened(["3", "7", "8"], 2)
    '3, 7, ... (3 in all)'
    """
    return ", ".join(parts if len(parts) <= most else [*parts[:most], f"... ({len(parts)} in all)"])


def seconds(duration: float) -> str:
    """Return a duration as one says it.

    >>> [seconds(0.076), seconds(2.94), seconds(61.23)]
    ['0.08 s', '2.9 s', '61.2 s']
    """
    return f"{duration:.2f} s" if duration < 1 else f"{duration:.1f} s"


# ------------------------------------------------------------------------------------------------- names of frames


def _plain_name(fcf: Fcf, fif: bytes) -> tuple[str, str]:  # noqa: ARG001
    return str(fcf), fcf.words


def _with_what_follows(fcf: Fcf, fif: bytes) -> tuple[str, str]:
    """PPS and EOR carry the post-page command inside."""
    code = fif[0] if fif else 0
    after = POST_PAGE.get(code) or Fcf.of(code)
    return f"{fcf}-{after or 'NULL'}", f"{fcf.words}, {_AFTER.get(after, after.words if after else '')}"


_AFTER = {
    None: "more of the page follows",
    Fcf.MPS: "another page follows",
    Fcf.EOM: "then negotiate again",
    Fcf.EOP: "and of the last page",
}
_NAMES: dict[Fcf, Callable[[Fcf, bytes], tuple[str, str]]] = dict.fromkeys((Fcf.PPS, Fcf.EOR), _with_what_follows)


# ------------------------------------------------------------------------------------------- information fields


def _hex(fif: bytes) -> str:
    return fif[:16].hex(" ").upper() + (" ..." if len(fif) > 16 else "")


def _extensions(fif: bytes) -> str:
    return ", ".join(filter(None, (maker(fif), _hex(fif))))


def _bits(fif: Fif) -> Iterator[str]:
    """Yield every field that is not as in the plainest of machines, and every bit that is set and has no name here."""
    yield from (each for each in fif.explain() if each != _PLAIN)
    named = {number for each in fif.fields() for number in range(each.first, each.first + each.count)}
    for number in range(1, 8 * len(fif.octets) + 1):
        is_extension = number >= 24 and number % 8 == 0
        if number not in named and not is_extension and fif.bits(number, 1) == "1":
            yield f"bit {number}"


_PLAIN = Dis.receiver.words
"""What every fax machine says."""


def _dis(fif: bytes) -> str:
    dis = Dis(fif)
    modulation = max(dis.modulations, key=lambda one: one.bps)
    resolution = max(dis.resolutions, key=lambda one: one.across * one.down)
    codings = ", ".join(coding.name for coding in Coding if coding in dis.codings())
    told = (
        f"up to {modulation}, {codings}, {resolution_words(resolution)}, {dis.width.name} wide, {_correction(dis.ecm)}"
    )
    offers = "offers a document to be fetched; " if dis.polled else ""
    return offers + (told if dis.receiver else f"does not receive; {told}")


def _dcs(fif: bytes) -> str:
    dcs = Dcs(fif)
    return f"{dcs.modulation or 'unknown rate'}, {page_format(dcs.format)}, {_correction(dcs.ecm)}"


def _correction(ecm: bool) -> str:
    return "error correction" if ecm else "no error correction"


def _ctc(fif: bytes) -> str:
    return str(Dcs(fif).modulation or "unknown rate")


def _pps(fif: bytes) -> str:
    return f"page {fif[1] + 1}, part {fif[2] + 1}, {counted(fif[3] + 1, 'frame')}" if len(fif) == 4 else _hex(fif)


def _ppr(fif: bytes) -> str:
    """Read the map of wanted frames: the bits at its end that stand for no frame are set, too."""
    bits = "".join(f"{octet:08b}"[::-1] for octet in fif)
    used = bits.rstrip("1")
    if not used:
        return "all"
    wanted = [str(number) for number, bit in enumerate(used) if bit == "1"]
    if len(used) < len(bits):
        wanted.append(f"all from {len(used)} on")
    return shortened(wanted)


_GISTS: dict[Fcf, Callable[[bytes], str]] = {
    **dict.fromkeys((Fcf.CSI, Fcf.TSI, Fcf.CIG, Fcf.SID), decoded),
    **dict.fromkeys((Fcf.CSA, Fcf.TSA, Fcf.CIA), lambda fif: internet(fif)[:_LONGEST]),
    **dict.fromkeys((Fcf.NSF, Fcf.NSS, Fcf.NSC), _extensions),
    **dict.fromkeys(SECRET, lambda _: "not recorded"),
    **dict.fromkeys((Fcf.DIS, Fcf.DTC), _dis),
    Fcf.DCS: _dcs,
    Fcf.CTC: _ctc,
    Fcf.PPS: _pps,
    Fcf.EOR: lambda fif: _hex(fif[1:]),
    Fcf.PPR: _ppr,
}
_DECLARED: dict[Fcf, type[Fif]] = {Fcf.DIS: Dis, Fcf.DTC: Dtc, Fcf.DCS: Dcs}
