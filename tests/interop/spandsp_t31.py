"""A Class 1 modem and a fax machine that nobody here wrote: libspandsp by ctypes, on a pseudo-terminal.

Run as a program, because a crash in C must not end pytest::

    python -m tests.interop.spandsp_t31 --answer OUT.tif --ecm on --speed 8
    python -m tests.interop.spandsp_t31 --call-with IN.tif --compression mmr

    DTE under test -- pseudo-terminal -- T.31 modem -- 8 kHz audio, 20 ms blocks -- T.30 terminal -- TIFF

The path of the pseudo-terminal is the first line on standard output. The modem serves until standard input closes or
``--seconds`` have passed; then one JSON object about the call is the last line. ``--dialogue FILE`` keeps what went
over the pseudo-terminal, with the line's clock; ``--verbose`` lets libspandsp tell its story on standard error.

What it does not model: noise, echo, delay, control lines (a pseudo-terminal has none) and XON/XOFF: the modem just
stops reading. The line stays up when the terminal has ended the call, as on a real exchange without supervision; the
DTE must hang up (but see ``--hang-event``). ``--drop-after`` leaves the modem with silence, ``--unplug-after`` ends
the program and with it the pseudo-terminal.
"""

import argparse
import contextlib
import ctypes as c
import json
import os
import select
import sys
import time
import tty
from pathlib import Path
from typing import TextIO

from faxgw.bench.libspandsp import (
    ALERTING,
    ANSWER,
    ANSWERED,
    BLOCK,
    BUSY,
    CALL,
    CONNECTED,
    HANG_UP,
    HUNG_UP,
    NO_ANSWER,
    NO_DIALTONE,
    RATE,
    Modem,
    Samples,
    Terminal,
    add_machine_options,
    load,
)

READ_AT_ONCE = 256  # the modem says "stop" with 1 kB of room left
RING_EVERY = 6.0

REFUSALS = {"busy": BUSY, "no-dialtone": NO_DIALTONE, "no-answer": NO_ANSWER}


def main() -> None:
    """Serve one call and print what libspandsp's terminal thought of it."""
    options = parse(sys.argv[1:])
    library = load()
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
    parser.add_argument("--caller", help="number that the terminal calls from, told to a DTE that asked by +VCID=1")
    parser.add_argument("--ring-after", type=float, default=2.0, help="line seconds from +FCLASS=1 to the first RING")
    parser.add_argument("--speed", type=float, default=1.0, help="line seconds in a second")
    parser.add_argument("--hang-event", action="store_true", help="tell the modem when the terminal has hung up")
    parser.add_argument(
        "--drop-after", type=float, metavar="S", help="line seconds after which the far end falls silent"
    )
    parser.add_argument("--unplug-after", type=float, metavar="S", help="line seconds after which the modem is gone")
    parser.add_argument("--seconds", type=float, default=120.0, help="give up after so many real seconds")
    parser.add_argument("--dialogue", type=Path, help="file for what goes over the pseudo-terminal")
    add_machine_options(parser)
    return parser.parse_args(arguments)


class Line:
    """The pseudo-terminal, the two machines, and the clock that carries audio between them."""

    def __init__(self, library: c.CDLL, options: argparse.Namespace, dialogue: TextIO | None) -> None:
        self._library = library
        self._options = options
        self._dialogue = dialogue
        self._modem = Modem(library, control=self._operate, verbose=options.verbose)
        self._terminal: Terminal | None = None
        self._connected = False
        self._began: float | None = None
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
        while (now := time.monotonic()) < until and not self._lasted(self._options.unplug_after):
            if now >= due:
                self._carry_audio()
                due = max(due + period, now)
            if not self._carry_octets(within=max(0.0, due - time.monotonic())):
                break
        if self._terminal and self._connected:
            self._terminal.machine.cut_off()

    def report(self) -> dict[str, object]:
        """Return what is known of the call."""
        call = self._terminal.machine.report() if self._terminal else {"result": None, "text": "no call", "pages": 0}
        return call | {"dialled": self._number, "on_hook": not self._connected, "line_seconds": round(self._now(), 2)}

    def _now(self) -> float:
        return self._blocks * BLOCK / RATE

    def _lasted(self, seconds: float | None) -> bool:
        """Whether the call has lasted so long; a fault that was not asked for never comes."""
        return seconds is not None and self._began is not None and self._now() - self._began >= seconds

    def _carry_audio(self) -> None:
        from_modem = self._modem.speak()
        if self._connected and self._terminal and not self._lasted(self._options.drop_after):
            self._modem.hear(self._terminal.speak())
            self._terminal.hear(from_modem)
            if self._terminal.machine.result is not None and self._options.hang_event:
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
                self._terminal.machine.cut_off()

    def _connect(self) -> None:
        options = self._options
        self._terminal = Terminal(self._library, options, sends=options.call_with, stores=options.answer)
        self._connected = True
        self._began = self._now()

    def _note(self, direction: str, octets: bytes) -> None:
        if self._dialogue:
            shown = octets if len(octets) <= 80 else octets[:40] + b"..." + octets[-20:]
            self._dialogue.write(f"{self._now():9.2f} {direction} {len(octets):5} {shown!r}\n")
            self._dialogue.flush()


if __name__ == "__main__":
    main()
