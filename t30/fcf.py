"""The facsimile control field: every command and response, its code on the wire, and what it says in plain words."""

from enum import Enum

_DIRECTION = 0x01
"""Bit X, the first on the wire: set by the station that received DIS (T.30 5.3.6.1)."""


class Fcf(Enum):
    """A command or response; the value is its code (first bit on the wire least significant, X clear) and its words."""

    DIS = (0x80, "what the answerer can do")
    CSI = (0x40, "called station's identity")
    NSF = (0x20, "answerer's own extensions")
    DTC = (0x81, "what the caller can receive: send me your document")
    CIG = (0x41, "polling station's identity")
    NSC = (0x21, "poller's own extensions")
    PWD = (0xC1, "password")
    SEP = (0xA1, "selective polling address")
    PSA = (0x61, "polled subaddress")
    CIA = (0xE1, "caller's Internet address")
    ISP = (0x11, "Internet selective polling address")

    DCS = (0x82, "what the sender chose")
    TSI = (0x42, "sending station's identity")
    NSS = (0x22, "sender's own extensions")
    SUB = (0xC2, "subaddress")
    SID = (0xA2, "sender identification")
    TSA = (0x62, "sender's Internet address")
    IRA = (0xE2, "Internet routing address")
    CTC = (0x12, "go on correcting, at this rate")

    CFR = (0x84, "ready to receive")
    FTT = (0x44, "training failed")
    CTR = (0xC4, "go on correcting")
    CSA = (0x24, "called station's Internet address")

    EOM = (0x8E, "end of page, then negotiate again")
    MPS = (0x4E, "end of page, another follows")
    EOP = (0x2E, "end of the last page")
    PRI_EOM = (0x9E, "end of page, negotiate again, operator wanted")
    PRI_MPS = (0x5E, "end of page, another follows, operator wanted")
    PRI_EOP = (0x3E, "end of the last page, operator wanted")
    PPS = (0xBE, "end of partial page")
    EOR = (0xCE, "end of retransmission: giving up this page")
    RR = (0x6E, "are you ready?")
    EOS = (0x1E, "end of selection")

    MCF = (0x8C, "page confirmed")
    RTP = (0xCC, "page confirmed, train again")
    RTN = (0x4C, "page refused, train again")
    PIP = (0xAC, "page confirmed, operator wanted")
    PIN = (0x2C, "page refused, operator wanted")
    PPR = (0xBC, "send these frames again")
    RNR = (0xEC, "not ready yet")
    ERR = (0x1C, "end of retransmission understood")
    FDM = (0xFC, "file diagnostics")

    DCN = (0xFA, "goodbye")
    CRP = (0x1A, "say that again")
    FNV = (0xCA, "field not valid")
    TNR = (0xEA, "transmitter not ready")
    TR = (0x6A, "transmitter ready")
    PID = (0x6C, "procedure interrupt disconnect")

    FCD = (0x06, "page data")
    RCP = (0x86, "partial page is complete")

    def __init__(self, code: int, words: str) -> None:
        self.code = code
        self.words = words

    def octet(self, *, x: bool) -> int:
        """Return the octet that a station sends: ``x`` = it has received DIS."""
        return self.code | _DIRECTION if x and self not in _UNDIRECTED else self.code

    @classmethod
    def of(cls, octet: int) -> "Fcf | None":
        """Return what the octet says, or None for a code that T.30 does not know.

        >>> print(Fcf.of(0x83), Fcf.of(0x81), Fcf.of(0x55))
        DCS DTC None
        """
        return _BY_CODE.get(octet) or _BY_CODE.get(octet & ~_DIRECTION)

    def __str__(self) -> str:
        return self.name.replace("_", "-")


_UNDIRECTED = frozenset(
    {Fcf.DIS, Fcf.CSI, Fcf.NSF, Fcf.DTC, Fcf.CIG, Fcf.NSC, Fcf.PWD, Fcf.SEP, Fcf.PSA, Fcf.CIA, Fcf.ISP}
    | {Fcf.FCD, Fcf.RCP}
)
_BY_CODE = {fcf.code: fcf for fcf in Fcf}

PLAIN = {Fcf.PRI_MPS: Fcf.MPS, Fcf.PRI_EOM: Fcf.EOM, Fcf.PRI_EOP: Fcf.EOP}
"""Post-page commands with a wish for an operator, and what they are without it."""

CONFIRMATIONS = frozenset({Fcf.MCF, Fcf.RTP, Fcf.PIP})
"""Responses that confirm a page."""

POST_PAGE: dict[int, Fcf | None] = {
    0x00: None,
    **{fcf.octet(x=x): PLAIN.get(fcf, fcf) for fcf in (*PLAIN, *PLAIN.values()) for x in (False, True)},
}
"""Second control field of PPS and EOR: what comes after this partial page (None: the next part of the same page)."""
