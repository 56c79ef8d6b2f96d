"""What the scripted machines say and hear, as it is on the wire; by hand from T.4, T.6 and T.30, not by our code.

Frames are hex from the address octet on: ``FF``; ``13`` final or ``03`` not; what the frame says, its lowest bit set by
the station that has received DIS; its information field. The first bit on the wire is the least significant.
"""

from t30.rates import Modulation

# ----------------------------------------------------------------------------------------------------- the rates of DCS

RATES = {
    "02": Modulation.V27TER_2400,
    "0A": Modulation.V27TER_4800,
    "0E": Modulation.V29_7200,
    "06": Modulation.V29_9600,
    "2E": Modulation.V17_7200,
    "26": Modulation.V17_9600,
    "2A": Modulation.V17_12000,
    "22": Modulation.V17_14400,
}
"""Second octet of DCS: "receiver", and the rate."""
LADDER = ("22", "2A", "06", "0E", "0A", "02")
"""How our sender goes down."""
CHECK = {code: bytes(rate.bps * 7 // 40) for code, rate in RATES.items()}
"""1.4 s of zeros at each rate: what our sender sends; T.30 allows 1.35 s to 1.65 s."""

# ---------------------------------------------------------------------------------- what an answerer of a script says

CSI = "FF 03 40 35 35 35 20 31 2B 20 20 20 20 20 20 20 20 20 20 20 20 20 20"  # +1 555
DIS = "FF 13 80 00 2E 70"  # V.17, V.29 and V.27ter; MH, standard, A4, 0 ms a line
DIS_ECM = "FF 13 80 00 2E F0 04"
DIS_MMR = "FF 13 80 00 2E F0 44"
CFR, FTT, CTR, CRP = "FF 13 84", "FF 13 44", "FF 13 C4", "FF 13 1A"
MCF, RTN, RTP, RNR, ERR = "FF 13 8C", "FF 13 4C", "FF 13 CC", "FF 13 EC", "FF 13 1C"
DCN_ANSWERER = "FF 13 FA"


def ppr(*missing: int) -> str:
    """PPR that asks for these frames."""
    wanted = sum(1 << number for number in missing).to_bytes(32, "little")
    return "FF 13 BC " + wanted.hex(" ").upper()


# ------------------------------------------------------------------------------------ what a caller of a script says

TSI = "FF 03 43 31 20 30 33 20 39 34 2B 20 20 20 20 20 20 20 20 20 20 20 20"  # +49 30 1
DCS = "FF 13 83 00 22 70"  # V.17 14400, MH, standard, A4
DCS_V29 = "FF 13 83 00 06 70"
DCS_ECM = "FF 13 83 00 06 F0 04"  # V.29 9600, MH, error correction, frames of 256 octets
DCS_MMR = "FF 13 83 00 06 F0 44"
MPS, EOM, EOP = "FF 13 4F", "FF 13 8F", "FF 13 2F"
RR, DCN, CRP_CALLER = "FF 13 6F", "FF 13 FB", "FF 13 1B"


def pps(after: str, frames: int, *, page: int = 0, block: int = 0) -> str:
    """PPS: what follows (``00`` the next block, else as MPS, EOM, EOP), page, block, frames less one."""
    return f"FF 13 BF {after} {page:02X} {block:02X} {frames - 1:02X}"


# ---------------------------------------------------------------------------------------------------------------- pages

EOL = "000000000001"
WHITE = "010011011" + "00110101"  # 1728 and 0 white pels
LINE = {
    1728: WHITE,
    2048: "000000010011" + "00110101",
    2432: "000000011101" + "00110101",
    2592: "000000011111" + "00011011",  # 2560 and 32
    3456: "000000011111" + "011010011" + "00110101",  # 2560, 896 and 0
}
"""One white line of each width."""
SHORT = "011000" + "00110101"  # 1664 white pels: a damaged line


def octets(bits: str) -> bytes:
    """Return the octets of bits in the order of the wire, filled up with zeros."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))


def mh(rows: int, *, pels: int = 1728, bad: range = range(0), fill: int = 0, rtc: bool = True, least: int = 0) -> bytes:
    """Return a white page in MH.

    Args:
        rows: how many lines it has.
        pels: in each of them.
        bad: lines that are too short by 64 pels.
        fill: bits after the first line.
        rtc: six EOL end it.
        least: bits of each line, its EOL and its fill included.
    """
    lines = [(EOL + (SHORT if row in bad else LINE[pels])).ljust(least, "0") for row in range(rows)]
    lines[0] += "0" * fill
    return octets("".join(lines) + EOL * 6 * rtc)


def mr(rows: int) -> bytes:
    """Return a white page in MR with K = 2: each second line is coded by the one above it."""
    lines = [EOL + ("1" + WHITE if row % 2 == 0 else "0" + "1") for row in range(rows)]
    return octets("".join(lines) + (EOL + "1") * 6)


def mmr(rows: int) -> bytes:
    """Return a white page in MMR: V0 for each line, then EOFB."""
    return octets("1" * rows + EOL * 2)


JBIG = bytes.fromhex("00 00 01 00 00 00 06 C0 00 00 00 C8 00 00 00 80 00 00 00 08 FF 02 FF 02")
"""A white page of 200 lines in T.85, as jbigkit codes it: its header, then two stripes."""


def pieces(page: bytes, size: int = 256, *, first: int = 0) -> list[bytes]:
    """Return frames of page data, numbered from ``first``; the last one is filled up with zeros."""
    cut = [page[at : at + size].ljust(size, b"\0") for at in range(0, len(page), size)]
    return [bytes.fromhex("FF 03 06") + bytes((number,)) + each for number, each in enumerate(cut, first)]


RCP = [bytes.fromhex("FF 03 86")] * 3
"""The end of a partial page."""

# ------------------------------------------------------------------------------------------------------------- our side

OUR_DIS = "FF 13 80 00 EE FA C4 80 17"
"""V.17, all resolutions, MR, A3, unlimited length, 0 ms a line, error correction, MMR, metric."""
OUR_DIS_PLAIN = "FF 13 80 00 EE FA 80 80 17"

# -------------------------------------------------------------------------------------------------------------- polling

DIS_POLLED = "FF 13 80 00 2F 70"  # as DIS; a document to be polled
DIS_POLLED_ECM = "FF 13 80 00 2F F0 04"
DIS_SELECTIVE = "FF 13 80 00 2F F0 80 80 C0 02"  # and it takes an address (SEP) and a password (PWD)
OUR_DTC = "FF 13 81 00 EE FA C4 80 17"  # what OUR_DIS says, by a caller
DTC = "FF 13 81 00 2E 70"
DTC_ECM = "FF 13 81 00 2E F0 04"
OUR_OFFER = "FF 13 80 00 ED FA C4 80 17"  # no receiver, but a document
OUR_OFFER_TOO = "FF 13 80 00 EF FA C4 80 17"  # both
OUR_LOCKED_OFFER = "FF 13 80 00 ED FA C4 80 D7 02"  # for an address and a password

# The called station sends: it has not received DIS, so that bit X is clear in what it says, and set in the answers.
POLLED_TSI = "FF 03 42 35 35 35 20 31 2B 20 20 20 20 20 20 20 20 20 20 20 20 20 20"  # +1 555
POLLED_DCS = "FF 13 82 00 06 70"  # V.29 9600, MH, standard, A4
POLLED_DCS_V17 = "FF 13 82 00 22 70"
POLLED_DCS_ECM = "FF 13 82 00 06 F0 04"
POLLED_DCS_V17_ECM = "FF 13 82 00 22 F0 04"
POLLED_MPS, POLLED_EOM, POLLED_EOP, POLLED_DCN = "FF 13 4E", "FF 13 8E", "FF 13 2E", "FF 13 FA"
POLLER_CFR, POLLER_FTT, POLLER_CTR, POLLER_CRP = "FF 13 85", "FF 13 45", "FF 13 C5", "FF 13 1B"
POLLER_MCF, POLLER_RTN, POLLER_DCN = "FF 13 8D", "FF 13 4D", "FF 13 FB"


def said(frame: str, text: str) -> str:
    """Return a frame of twenty characters, the last one first: ``A1`` SEP, ``C1`` PWD, ``41`` CIG, ``61`` PSA."""
    return f"FF 03 {frame} " + text[::-1].ljust(20).encode().hex(" ").upper()


def polled_pps(after: str, frames: int, *, page: int = 0, block: int = 0) -> str:
    """PPS of a called station."""
    return pps(after, frames, page=page, block=block).replace("FF 13 BF", "FF 13 BE")


def poller_ppr(*missing: int) -> str:
    """PPR of a caller."""
    return ppr(*missing).replace("FF 13 BC", "FF 13 BD")
