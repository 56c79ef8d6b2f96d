"""What efax and HylaFAX were seen to write, played to the modem word for word, with a fax machine at the far end."""

import asyncio

import numpy as np

from simulators.line import CircuitLine
from simulators.machine import Machine
from simulators.modem import CARRIER_TAIL, Firmware
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.hdlc import Deframer, stuffed
from t30.pages import Coding, Resolution
from t30.t4 import Bitmap, encode
from tests.simulators.desk import END, Desk, desk_test

IDENT = b"9910 555 1+".ljust(20)
CSI, TSI = bytes.fromhex("FF 03 40") + IDENT, bytes.fromhex("FF 03 43") + IDENT
NSF = bytes.fromhex("FF 03 20 AD 00 55") + b"HylaFAX (tm) Version 6.0.7"
DIS = bytes.fromhex("FF 13 80 00 6E 78")
DIS_ECM = bytes.fromhex("FF 13 80 00 EE F8 C4")
DCS = bytes.fromhex("FF 13 83 00 62 70")
"""14400 bit/s, fine, MH."""
DCS_ECM = bytes.fromhex("FF 13 83 00 62 F0 44")
"""The same with error correction, frames of 256 octets, MMR."""
CFR, MCF = bytes.fromhex("FF 13 84"), bytes.fromhex("FF 13 8C")
MPS, EOP, DCN = bytes.fromhex("FF 13 4F"), bytes.fromhex("FF 13 2F"), bytes.fromhex("FF 13 FB")
FCD, RCP, PPS_EOP = bytes.fromhex("FF 03 06"), bytes.fromhex("FF 03 86"), bytes.fromhex("FF 13 BF 2F 00 00")
TCF = bytes(2700)
OUR_TCF = bytes(2520)
HYLAFAX_SETS_UP = (
    *("ATZ", "ATS0=0", "ATE0", "ATV1", "ATQ0", "ATS8=2", "ATS7=60", "AT+FCLASS=?", "AT+FCLASS=1"),
    *("ATI3", "ATI0", "AT+FTM=?", "AT+FRM=?", "ATM0"),
)
EFAX_WAITS = 0.055

PAGE = Bitmap.from_pels((np.random.default_rng(3).random((60, 1728)) < 0.05).astype(np.uint8))


REAL = Firmware(tail=CARRIER_TAIL)


class Talk:
    """A DTE that writes what was recorded, and wants the answers that were recorded."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    async def ok(self, *commands: str) -> None:
        for command in commands:
            assert (await self.desk.at(command)).endswith(b"\r\nOK\r\n"), command

    async def connect(self, command: str) -> None:
        assert await self.desk.at(command) == b"\r\nCONNECT\r\n", command

    async def hears(self, command: str) -> bytes:
        """Ask for a frame and return it without its FCS."""
        await self.connect(command)
        octets = await self.desk.said(END + b"\r\nOK\r\n")
        return octets.removesuffix(END + b"\r\nOK\r\n").replace(b"\x10\x10", b"\x10")[:-2]

    async def says(self, command: str, *frames: bytes) -> None:
        """Send frames."""
        await self.connect(command)
        for number, frame in enumerate(frames, start=1):
            self.desk.cable.write(frame.replace(b"\x10", b"\x10\x10") + END)
            answer = b"\r\nCONNECT\r\n" if number < len(frames) else b"\r\nOK\r\n"
            assert await self.desk.said(b"T\r\n", b"K\r\n") == answer

    async def sends(self, command: str, octets: bytes) -> None:
        """Send data."""
        await self.connect(command)
        self.desk.cable.write(octets.replace(b"\x10", b"\x10\x10") + END)
        assert await self.desk.said(b"\r\nOK\r\n") == b"\r\nOK\r\n"

    async def takes(self, command: str) -> bytes:
        """Receive data."""
        await self.connect(command)
        octets = await self.desk.said(END + b"\r\nNO CARRIER\r\n")
        return octets.removesuffix(END + b"\r\nNO CARRIER\r\n").replace(b"\x10\x10", b"\x10")


def far_machine(desk: Desk, tray: Tray, *, ecm: bool = True) -> Machine:
    return Machine(Station(ident="far", ecm=ecm), CircuitLine(desk.far, desk.far.clock), tray)


def pages(tray: Tray) -> list[Bitmap]:
    return [page.decoded.bitmap for page in tray.received.values() if page.decoded]


def test_efax_sends_two_pages() -> None:
    async def play(desk: Desk) -> None:
        tray, dte = Tray(), Talk(desk)
        far = asyncio.create_task(far_machine(desk, tray).receive())
        await dte.ok("ATQ0V1", "ATE0", "ATI3", "AT+FCLASS=1", "AT+FTM=?")
        assert (await dte.hears("ATD200"))[2] == CSI[2]
        assert (await dte.hears("AT+FRH=3"))[2] == DIS[2]
        await dte.says("AT+FTH=3", TSI, DCS)
        await asyncio.sleep(EFAX_WAITS)
        await dte.sends("AT+FTM=145", TCF)
        await dte.ok("AT+FRS=1")
        assert await dte.hears("AT+FRH=3") == CFR
        for command in (MPS, EOP):
            await dte.sends("AT+FTM=146", encode(PAGE, Coding.MH))
            await asyncio.sleep(EFAX_WAITS)
            await dte.says("AT+FTH=3", command)
            assert await dte.hears("AT+FRH=3") == MCF
        await dte.says("AT+FTH=3", DCN)
        await dte.ok("ATH", "ATQ0V1", "ATH")
        assert (await far).verdict == "received"
        assert pages(tray) == [PAGE, PAGE]

    desk_test(play, REAL)


def test_efax_receives_two_pages() -> None:
    async def play(desk: Desk) -> None:
        dte = Talk(desk)
        await dte.ok("ATQ0V1", "ATE0", "ATI3", "AT+FCLASS=1", "AT+FRM=?")
        machine = far_machine(desk, Tray([Sheet(PAGE, resolution=Resolution.FINE)] * 2))
        far = asyncio.create_task(machine.send("100"))
        await dte.says("ATA", CSI, DIS)
        assert (await dte.hears("AT+FRH=3"))[2] == TSI[2]
        assert (await dte.hears("AT+FRH=3"))[2] == DCS[2]
        await dte.ok("AT+FTS=1")
        assert (await dte.takes("AT+FRM=145")).startswith(OUR_TCF)
        await dte.says("AT+FTH=3", CFR)
        for command in (MPS, EOP):
            assert (await dte.takes("AT+FRM=146")).startswith(encode(PAGE, Coding.MH))
            assert await dte.hears("AT+FRH=3") == command
            await dte.says("AT+FTH=3", MCF)
        assert await dte.hears("AT+FRH=3") == DCN
        await dte.ok("ATH", "ATQ0V1", "ATH")
        assert (await far).verdict == "delivered"

    desk_test(play, REAL)


def test_hylafax_sends_a_page_with_error_correction() -> None:
    async def play(desk: Desk) -> None:
        tray, dte = Tray(), Talk(desk)
        far = asyncio.create_task(far_machine(desk, tray).receive())
        await dte.ok(*HYLAFAX_SETS_UP, "AT+FCLASS=1")
        assert (await dte.hears("ATDT200"))[2] == CSI[2]
        assert (await dte.hears("AT+FRH=3"))[2] == DIS[2]
        await dte.ok("AT+FRS=7")
        await dte.says("AT+FTH=3", TSI, DCS_ECM)
        await dte.ok("AT+FTS=7")
        await dte.sends("AT+FTM=145", TCF)
        assert await dte.hears("AT+FRH=3") == CFR
        await dte.ok("AT+FRS=7")
        page = encode(PAGE, Coding.MMR, end_of_page=True)
        blocks = [page[start : start + 256].ljust(256, b"\0") for start in range(0, len(page), 256)]
        frames = [FCD + bytes([number]) + block for number, block in enumerate(blocks)]
        await dte.sends("AT+FTM=146", stuffed([*frames, RCP, RCP, RCP], flags_first=360))
        await dte.ok("AT+FTS=7")
        await dte.says("AT+FTH=3", PPS_EOP + bytes([len(blocks) - 1]))
        assert await dte.hears("AT+FRH=3") == MCF
        await dte.ok("AT+FRS=7")
        await dte.says("AT+FTH=3", DCN)
        await asyncio.sleep(1)
        await dte.ok("ATH0")
        assert (await far).verdict == "received"
        assert pages(tray) == [PAGE]

    desk_test(play, REAL)


def test_hylafax_receives_a_page_with_error_correction() -> None:
    async def play(desk: Desk) -> None:
        dte = Talk(desk)
        await dte.ok(*HYLAFAX_SETS_UP)
        machine = far_machine(desk, Tray([Sheet(PAGE, resolution=Resolution.FINE)]))
        far = asyncio.create_task(machine.send("100"))
        await desk.said(b"\r\nRING\r\n")
        await dte.says("ATA", NSF, CSI, DIS_ECM)
        assert (await dte.hears("AT+FRH=3"))[2] == TSI[2]
        assert (await dte.hears("AT+FRH=3"))[2] == DCS[2]
        assert (await dte.takes("AT+FRM=145")).startswith(OUR_TCF)
        await dte.ok("AT+FRS=7")
        await dte.says("AT+FTH=3", CFR)
        frames = Deframer().feed(await dte.takes("AT+FRM=146"))
        assert all(frame.good for frame in frames)
        assert [frame.octets for frame in frames[-3:]] == [RCP] * 3
        page = b"".join(frame.octets[4:] for frame in frames[:-3])
        assert page.startswith(encode(PAGE, Coding.MMR, end_of_page=True, shortest=True))
        assert (await dte.hears("AT+FRH=3"))[:3] == PPS_EOP[:3]
        await dte.ok("AT+FRS=7")
        await dte.says("AT+FTH=3", MCF)
        assert await dte.hears("AT+FRH=3") == DCN
        await dte.ok("ATH0")
        assert (await far).verdict == "delivered"

    desk_test(play, REAL)
