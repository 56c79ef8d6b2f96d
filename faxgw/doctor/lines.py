"""Telephone lines on serial ports: is the port there, may we open it, does a modem answer, how long does it take."""

import asyncio
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from drivers.registry import open_line
from faxgw.config import Config, LineSettings
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok
from t30.line import LineError

WANTED = 55
"""Milliseconds within which a Class 1 modem wants to be answered."""
SHARE = WANTED // 2
"""Milliseconds of these that this machine's event loop may take: the port and the modem need the rest."""
MEASURED, EVERY = 0.4, 0.004
"""Seconds that the measurement takes, and seconds from one look to the next."""
SLOW = 2
"""Milliseconds that an FTDI adapter may keep octets back; it is 16 where nobody asked for less."""


def ports(config: Config, machine: Machine) -> Iterator[Finding]:
    """Look at each line without opening it."""
    if not config.lines:
        yield bad("lines", "There is no line.", "Name one in the configuration, such as class1:/dev/ttyACM0.")
    for line in config.lines:
        match line.scheme:
            case "class1":
                yield _port(line, machine)
            case "sim":
                yield ok("lines", f"Line {line.name} is simulated.")
            case "udptl":
                yield ok("lines", f"Line {line.name} is T.38 straight over UDP, {line.address}.")


def lateness(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Measure how late this machine is, if there is a line that minds."""
    if any(line.scheme == "class1" for line in config.lines):
        yield told_lateness(math.ceil(1000 * asyncio.run(worst_lateness())))


async def worst_lateness() -> float:
    """Return the longest time, in seconds, by which the event loop woke us too late in ``MEASURED`` seconds."""
    loop = asyncio.get_running_loop()
    worst, ends = 0.0, loop.time() + MEASURED
    while (due := loop.time() + EVERY) < ends:
        await asyncio.sleep(EVERY)
        worst = max(worst, loop.time() - due)
    return worst


def told_lateness(late: int) -> Finding:
    """Say what so many milliseconds of lateness mean to a Class 1 modem."""
    text = f"This machine woke up at most {late} ms late; a Class 1 modem wants its answer within {WANTED} ms."
    if late <= SHARE:
        return ok("lines", text)
    return advice(
        "lines",
        text,
        "Take load off it; give a virtual machine processors of its own, set the latency timer of a USB adapter to "
        "1 ms, and put no serial over IP between it and the modem.",
    )


def modems(config: Config, machine: Machine) -> Iterator[Finding]:
    """Open each serial line and ask its modem what it is."""
    for line in config.lines:
        if line.scheme != "class1":
            continue
        try:
            answers = asyncio.run(_answers(line.url))
        except LineError as fault:
            wrong, _, way_out = str(fault).partition("; ")
            yield bad("lines", f"Line {line.name}: {wrong.rstrip('.')}.", way_out or "Check the modem and its cable.")
            continue
        yield ok("lines", f"Line {line.name}: a modem answers; it sends at up to {answers} bit/s.")
        waits = _latency(line, machine)
        if waits is not None and waits > SLOW:
            yield advice(
                "lines",
                f"Line {line.name}: its adapter keeps octets back for {waits} ms, which costs calls.",
                f"Run: echo 1 > /sys/class/tty/{Path(line.address).resolve().name}/device/latency_timer",
            )


def _port(line: LineSettings, machine: Machine) -> Finding:
    path = Path(line.address)
    try:
        status = path.stat()
    except OSError:
        return bad("lines", f"Line {line.name}: there is no port {path}.", "Plug the modem in, or correct its url.")
    if not stat.S_ISCHR(status.st_mode):
        return bad("lines", f"Line {line.name}: {path} is no serial port.", "Correct its url.")
    if not os.access(path, os.R_OK | os.W_OK):
        return bad(
            "lines",
            f"Line {line.name}: this user may not open {path}.",
            "Add the user to the group that owns it, which is often dialout.",
        )
    waits = _latency(line, machine)
    known = f", behind an FTDI adapter (latency {waits} ms; the driver asks for less)" if waits is not None else ""
    return ok("lines", f"Line {line.name}: the port {path} is there{known}.")


async def _answers(url: str) -> int:
    line = await open_line(url)
    try:
        return max((each.bps for each in line.sends), default=0)
    finally:
        await line.close()


def _latency(line: LineSettings, machine: Machine) -> int | None:
    told = machine.read(f"/sys/class/tty/{Path(line.address).resolve().name}/device/latency_timer")
    return int(told) if told.isdigit() else None
