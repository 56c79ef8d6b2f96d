"""A Class 1 modem and a fax machine that nobody here wrote: libspandsp by ctypes, on a pseudo-terminal.

Run as a program, because a crash in C must not end pytest::

    python spandsp_t31.py --answer OUT.tif --ecm on --speed 8
    python spandsp_t31.py --call-with IN.tif --compression mmr

    DTE under test -- pseudo-terminal -- T.31 modem -- 8 kHz audio, 20 ms blocks -- T.30 terminal -- TIFF

The path of the pseudo-terminal is the first line on standard output. The modem serves until standard input closes or
``--seconds`` have passed; then one JSON object about the call is the last line. ``--dialogue FILE`` keeps what went
over the pseudo-terminal, with the line's clock; ``--verbose`` lets libspandsp tell its story on standard error.

What it does not model: noise, echo, delay, a telephone exchange that drops the line by itself (but see
``--hang-event``), control lines (a pseudo-terminal has none) and XON/XOFF: the modem just stops reading.
"""

import argparse
import contextlib
import ctypes as c
import ctypes.util
import json
import os
import select
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

RATE = 8000
BLOCK = 160
READ_AT_ONCE = 256  # the modem says "stop" with 1 kB of room left
RING_EVERY = 6.0

# The numbers and shapes below are those of the public headers of libspandsp 0.0.6.
CALL, ANSWER, HANG_UP, CLEAR_TO_SEND = 0, 1, 2, 7
ALERTING, CONNECTED, ANSWERED, BUSY, NO_DIALTONE, NO_ANSWER, HUNG_UP = range(1, 8)
REFUSALS = {"busy": BUSY, "no-dialtone": NO_DIALTONE, "no-answer": NO_ANSWER}
CODINGS = {"mh": 0x02, "mr": 0x04, "mmr": 0x08}
CODING_NAMES = {1: "MH", 2: "MR", 3: "MMR"}
MODEMS = {"v27ter": 0x01, "v29": 0x02, "v17": 0x04}
EVERY_RESOLUTION = 0x01 | 0x02 | 0x04 | 0x20000 | 0x40000 | 0x100000 | 0x200000
EVERY_SIZE = 0x01 | 0x02 | 0x04 | 0x10000 | 0x20000 | 0x40000 | 0x80000 | 0x100000
STORED_AS_T6 = 3
FLOW_LOG = 5 | 0x0200 | 0x0400 | 0x2000

Samples = c.c_int16 * BLOCK
AtTransmit = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_uint8), c.c_size_t)
ModemControl = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_void_p)
T38Packet = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_uint8), c.c_int, c.c_int)
PhaseD = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int)
PhaseE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_int)


class Statistics(c.Structure):
    """What ``t30_get_transfer_statistics`` fills in."""

    _fields_ = [
        ("bit_rate", c.c_int),
        ("ecm", c.c_int),
        ("pages_sent", c.c_int),
        ("pages_received", c.c_int),
        ("pages_in_file", c.c_int),
        ("x_resolution", c.c_int),
        ("y_resolution", c.c_int),
        ("width", c.c_int),
        ("rows", c.c_int),
        ("octets", c.c_int),
        ("coding", c.c_int),
        ("bad_rows", c.c_int),
        ("longest_bad_run", c.c_int),
        ("ecm_retries", c.c_int),
        ("status", c.c_int),
    ]


PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "at_set_call_info": (None, [c.c_void_p, c.c_char_p, c.c_char_p]),
    "fax_get_t30_state": (c.c_void_p, [c.c_void_p]),
    "fax_init": (c.c_void_p, [c.c_void_p, c.c_int]),
    "fax_rx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "fax_set_transmit_on_idle": (None, [c.c_void_p, c.c_int]),
    "fax_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "span_log_bump_samples": (c.c_int, [c.c_void_p, c.c_int]),
    "span_log_set_level": (c.c_int, [c.c_void_p, c.c_int]),
    "span_log_set_tag": (c.c_int, [c.c_void_p, c.c_char_p]),
    "t30_completion_code_to_str": (c.c_char_p, [c.c_int]),
    "t30_get_logging_state": (c.c_void_p, [c.c_void_p]),
    "t30_get_rx_ident": (c.c_char_p, [c.c_void_p]),
    "t30_get_transfer_statistics": (None, [c.c_void_p, c.POINTER(Statistics)]),
    "t30_set_ecm_capability": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_phase_d_handler": (None, [c.c_void_p, PhaseD, c.c_void_p]),
    "t30_set_phase_e_handler": (None, [c.c_void_p, PhaseE, c.c_void_p]),
    "t30_set_rx_encoding": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_rx_file": (None, [c.c_void_p, c.c_char_p, c.c_int]),
    "t30_set_supported_compressions": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_image_sizes": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_modems": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_resolutions": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_tx_file": (None, [c.c_void_p, c.c_char_p, c.c_int, c.c_int]),
    "t30_set_tx_ident": (c.c_int, [c.c_void_p, c.c_char_p]),
    "t30_terminate": (None, [c.c_void_p]),
    "t31_at_rx": (c.c_int, [c.c_void_p, c.c_char_p, c.c_int]),
    "t31_call_event": (None, [c.c_void_p, c.c_int]),
    "t31_get_logging_state": (c.c_void_p, [c.c_void_p]),
    "t31_init": (c.c_void_p, [c.c_void_p, AtTransmit, c.c_void_p, ModemControl, c.c_void_p, T38Packet, c.c_void_p]),
    "t31_rx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "t31_set_transmit_on_idle": (None, [c.c_void_p, c.c_int]),
    "t31_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
}


def main() -> None:
    """Serve one call and print what libspandsp's terminal thought of it."""
    options = parse(sys.argv[1:])
    library = load(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    with contextlib.ExitStack() as stack:
        dialogue = stack.enter_context(options.dialogue.open("w")) if options.dialogue else None
        line = Line(library, options, dialogue)
        print(line.path, flush=True)
        line.serve(until=time.monotonic() + options.seconds)
        print(json.dumps(line.report()), flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    work = parser.add_mutually_exclusive_group(required=True)
    work.add_argument("--answer", type=Path, metavar="OUT.tif", help="the terminal answers and stores what it receives")
    work.add_argument("--call-with", type=Path, metavar="IN.tif", help="the terminal calls and sends these pages")
    work.add_argument("--refuse", choices=sorted(REFUSALS), help="the call never comes about")
    parser.add_argument("--ecm", choices=("on", "off"), default="on")
    parser.add_argument("--compression", default="mh,mr,mmr", help="codings of the terminal, of mh, mr, mmr")
    parser.add_argument("--modems", default="v27ter,v29,v17", help="modems of the terminal, of v27ter, v29, v17")
    parser.add_argument("--ident", default="+1 555 0100", help="the terminal's CSI or TSI")
    parser.add_argument("--caller", help="number that the terminal calls from, told to a DTE that asked by +VCID=1")
    parser.add_argument("--ring-after", type=float, default=2.0, help="line seconds from +FCLASS=1 to the first RING")
    parser.add_argument("--speed", type=float, default=1.0, help="line seconds in a second")
    parser.add_argument("--hang-event", action="store_true", help="tell the modem when the terminal has hung up")
    parser.add_argument("--seconds", type=float, default=120.0, help="give up after so many real seconds")
    parser.add_argument("--dialogue", type=Path, help="file for what goes over the pseudo-terminal")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args(arguments)


def load(name: str) -> c.CDLL:
    """Open libspandsp and declare what is used of it."""
    library = c.CDLL(name)
    for function, (result, arguments) in PROTOTYPES.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


class Terminal:
    """libspandsp's fax machine at the far end of the line."""

    def __init__(self, library: c.CDLL, options: argparse.Namespace) -> None:
        self._library = library
        self._fax = library.fax_init(None, 1 if options.call_with else 0)
        self._t30 = library.fax_get_t30_state(self._fax)
        self._handlers = PhaseD(self._page_done), PhaseE(self._call_done)
        self.result: int | None = None
        self.pages: list[dict[str, object]] = []
        library.fax_set_transmit_on_idle(self._fax, 1)
        library.t30_set_tx_ident(self._t30, options.ident.encode())
        library.t30_set_ecm_capability(self._t30, options.ecm == "on")
        library.t30_set_supported_compressions(self._t30, sum(CODINGS[name] for name in options.compression.split(",")))
        library.t30_set_supported_modems(self._t30, sum(MODEMS[name] for name in options.modems.split(",")))
        library.t30_set_supported_resolutions(self._t30, EVERY_RESOLUTION)
        library.t30_set_supported_image_sizes(self._t30, EVERY_SIZE)
        library.t30_set_phase_d_handler(self._t30, self._handlers[0], None)
        library.t30_set_phase_e_handler(self._t30, self._handlers[1], None)
        if options.call_with:
            library.t30_set_tx_file(self._t30, os.fsencode(options.call_with), -1, -1)
        else:
            library.t30_set_rx_file(self._t30, os.fsencode(options.answer), -1)
            library.t30_set_rx_encoding(self._t30, STORED_AS_T6)
        self._log = library.t30_get_logging_state(self._t30)
        library.span_log_set_level(self._log, FLOW_LOG if options.verbose else 0)
        library.span_log_set_tag(self._log, b"terminal")

    def hear(self, block: "c.Array[c.c_int16]") -> None:
        """Take a block of audio from the line."""
        self._library.fax_rx(self._fax, block, BLOCK)

    def speak(self) -> "c.Array[c.c_int16]":
        """Return the next block of audio, silence when there is nothing to say."""
        block = Samples()
        self._library.fax_tx(self._fax, block, BLOCK)
        self._library.span_log_bump_samples(self._log, BLOCK)
        return block

    def cut_off(self) -> None:
        """Tell the terminal that the line is gone; it has no effect once the call is over."""
        if self.result is None:
            self._library.t30_terminate(self._t30)

    def report(self) -> dict[str, object]:
        """Return the outcome as libspandsp sees it."""
        statistics = self._statistics()
        text = self._library.t30_completion_code_to_str(self.result) if self.result is not None else b"still going on"
        return {
            "result": self.result,
            "text": text.decode(),
            "pages": statistics.pages_sent + statistics.pages_received,
            "rate": statistics.bit_rate,
            "ecm": bool(statistics.ecm),
            "coding": CODING_NAMES.get(statistics.coding),
            "ecm_retries": statistics.ecm_retries,
            "remote_id": (self._library.t30_get_rx_ident(self._t30) or b"").decode("latin-1"),
            "each_page": self.pages,
        }

    def _statistics(self) -> Statistics:
        statistics = Statistics()
        self._library.t30_get_transfer_statistics(self._t30, c.byref(statistics))
        return statistics

    def _page_done(self, _t30: int, _data: int, _code: int) -> int:
        page = self._statistics()
        self.pages.append({"width": page.width, "rows": page.rows, "rate": page.bit_rate, "bad_rows": page.bad_rows})
        return 0

    def _call_done(self, _t30: int, _data: int, code: int) -> None:
        self.result = code


class Modem:
    """libspandsp's T.31 modem; ``answers`` is what it wants to write to the DTE."""

    def __init__(self, library: c.CDLL, *, control: Callable[[int, int | None], None], verbose: bool) -> None:
        self._library = library
        self._control = control
        self._handlers = AtTransmit(self._answer), ModemControl(self._operate), T38Packet(lambda *_: 0)
        self.answers = bytearray()
        self.clear_to_send = True
        self._t31 = library.t31_init(None, self._handlers[0], None, self._handlers[1], None, self._handlers[2], None)
        library.t31_set_transmit_on_idle(self._t31, 1)
        self._log = library.t31_get_logging_state(self._t31)
        library.span_log_set_level(self._log, FLOW_LOG if verbose else 0)
        library.span_log_set_tag(self._log, b"modem")

    def take(self, octets: bytes) -> None:
        """Take what the DTE wrote."""
        self._library.t31_at_rx(self._t31, octets, len(octets))

    def tell(self, event: int) -> None:
        """Tell the modem what happened to the call."""
        self._library.t31_call_event(self._t31, event)

    def caller_is(self, number: str) -> None:
        """Set the caller id of the next RING. The AT interpreter's state is the first member of the modem's."""
        for name, value in (("DATE", "1231"), ("TIME", "2359"), ("NMBR", number)):
            self._library.at_set_call_info(self._t31, name.encode(), value.encode())

    def hear(self, block: "c.Array[c.c_int16]") -> None:
        """Take a block of audio from the line."""
        self._library.t31_rx(self._t31, block, BLOCK)

    def speak(self) -> "c.Array[c.c_int16]":
        """Return the next block of audio, silence when there is nothing to say."""
        block = Samples()
        self._library.t31_tx(self._t31, block, BLOCK)
        self._library.span_log_bump_samples(self._log, BLOCK)
        return block

    def _answer(self, _at: int, _data: int, octets: "c._Pointer[c.c_uint8]", length: int) -> int:
        self.answers += bytes(octets[:length])
        return 0

    def _operate(self, _t31: int, _data: int, operation: int, value: int | None) -> int:
        if operation == CLEAR_TO_SEND:
            self.clear_to_send = bool(value)
        else:
            self._control(operation, value)
        return 0


class Line:
    """The pseudo-terminal, the two machines, and the clock that carries audio between them."""

    def __init__(self, library: c.CDLL, options: argparse.Namespace, dialogue: TextIO | None) -> None:
        self._library = library
        self._options = options
        self._dialogue = dialogue
        self._modem = Modem(library, control=self._operate, verbose=options.verbose)
        self._terminal: Terminal | None = None
        self._connected = False
        self._blocks = 0
        self._pending: list[tuple[int, int]] = []
        self._heard = b""
        self._number = ""
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)

    def serve(self, *, until: float) -> None:
        """Carry octets as they come and audio by the clock, until standard input closes or the time is up.

        When this machine is too busy the line slows down: two blocks without a chance for the DTE between them would
        make its answers late through no fault of its own.
        """
        period = BLOCK / RATE / self._options.speed
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if now >= due:
                self._carry_audio()
                due = max(due + period, now)
            if not self._carry_octets(within=max(0.0, due - time.monotonic())):
                break
        if self._terminal and self._connected:
            self._terminal.cut_off()

    def report(self) -> dict[str, object]:
        """Return what is known of the call."""
        call = self._terminal.report() if self._terminal else {"result": None, "text": "no call", "pages": 0}
        return call | {"dialled": self._number, "on_hook": not self._connected, "line_seconds": round(self._now(), 2)}

    def _now(self) -> float:
        return self._blocks * BLOCK / RATE

    def _carry_audio(self) -> None:
        from_modem = self._modem.speak()
        if self._connected and self._terminal:
            self._modem.hear(self._terminal.speak())
            self._terminal.hear(from_modem)
            if self._terminal.result is not None and self._options.hang_event:
                self._connected = False
                self._later(0.5, HUNG_UP)
        else:
            self._modem.hear(Samples())
        self._blocks += 1
        while self._pending and self._pending[0][0] <= self._blocks:
            self._tell(self._pending.pop(0)[1])

    def _carry_octets(self, *, within: float) -> bool:
        wanted = [sys.stdin, *([self._master] if self._modem.clear_to_send else [])]
        readable, _, _ = select.select(wanted, [self._master] if self._modem.answers else [], [], within)
        if sys.stdin in readable and not os.read(sys.stdin.fileno(), 4096):
            return False
        if self._master in readable:
            octets = os.read(self._master, READ_AT_ONCE)
            self._note(">", octets)
            self._heard = (self._heard + octets)[-64:]
            self._modem.take(octets)
            self._ring_once_ready()
        if self._modem.answers:
            with contextlib.suppress(BlockingIOError):
                written = os.write(self._master, self._modem.answers)
                self._note("<", bytes(self._modem.answers[:written]))
                del self._modem.answers[:written]
        return True

    def _ring_once_ready(self) -> None:
        if self._options.call_with and not self._terminal and b"+FCLASS=1" in self._heard.upper():
            self._heard = b""
            self._pending.clear()
            self._later(self._options.ring_after, ALERTING)

    def _later(self, seconds: float, event: int) -> None:
        self._pending.append((self._blocks + round(seconds * RATE / BLOCK), event))

    def _tell(self, event: int) -> None:
        if event == ALERTING:
            if self._options.caller:
                self._modem.caller_is(self._options.caller)
            self._later(RING_EVERY, ALERTING)
        self._modem.tell(event)

    def _operate(self, operation: int, value: int | None) -> None:
        """Do what the modem asks of the telephone line."""
        if operation == CALL:
            self._number = c.string_at(value).decode() if value else ""
            if self._options.answer:
                self._connect()
                self._later(0.02, CONNECTED)
            else:
                self._later(2.0, REFUSALS.get(self._options.refuse, NO_ANSWER))
        elif operation == ANSWER:
            self._pending.clear()
            self._connect()
            self._later(0.02, ANSWERED)
        elif operation == HANG_UP:
            self._pending.clear()
            self._connected = False
            if self._terminal:
                self._terminal.cut_off()

    def _connect(self) -> None:
        self._terminal = Terminal(self._library, self._options)
        self._connected = True

    def _note(self, direction: str, octets: bytes) -> None:
        if self._dialogue:
            shown = octets if len(octets) <= 80 else octets[:40] + b"..." + octets[-20:]
            self._dialogue.write(f"{self._now():9.2f} {direction} {len(octets):5} {shown!r}\n")
            self._dialogue.flush()


if __name__ == "__main__":
    main()
