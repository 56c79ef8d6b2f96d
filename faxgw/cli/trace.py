"""``faxgw trace``: explain a recorded call."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from faxgw.errors import RequestError
from faxgw.trace.ladder import ladder
from faxgw.trace.listing import listing
from faxgw.trace.pcap import pcap, reading
from faxgw.trace.reading import read
from faxgw.trace.record import Trace
from faxgw.trace.synthesis import SAID

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_CALL = typer.Argument(metavar="CALL.jsonl", help="What --trace of send or receive has written.")
_LADDER = typer.Option(None, "--ladder", metavar="OUT.svg", help="Draw a ladder diagram into this file.")
_PCAP = typer.Option(
    None,
    "--pcap",
    metavar="OUT.pcap",
    help="Write SIP and T.38 as a capture file for Wireshark; what travelled by TCP or TLS as UDP, to be read without "
    "keys; a modem's call as the SIP and T.38 that it would have been. Page content and secrets are masked. Says which "
    "options Wireshark needs to decode it.",
)
_TEXT = typer.Option(
    False,
    "--text",
    help="Say what the call came to, why, and what to do, then each signal in a line; done when no file is asked for.",
)


@app.command()
def trace(
    call: Path = _CALL, ladder_file: Path | None = _LADDER, pcap_file: Path | None = _PCAP, text: bool = _TEXT
) -> None:
    """Explain a recorded call, in words, as a ladder diagram, or as a capture file for Wireshark."""
    recorded = read(call)
    if ladder_file is not None:
        _write(ladder_file, ladder(recorded).encode())
    if pcap_file is not None:
        _capture(pcap_file, recorded)
    if text or (ladder_file is None and pcap_file is None):
        console = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        for line in listing(recorded):
            console.print(line)


def _capture(file: Path, recorded: Trace) -> None:
    if not recorded.steps:
        raise RequestError("usage", "the recording ends before the call began: there is nothing to write")
    _write(file, pcap(recorded))
    if not recorded.seen:
        typer.echo(f"{file}: SIP, addresses and packets are {SAID}; page data are zeros", err=True)
    if options := reading(recorded):
        typer.echo(f"to be read with: wireshark -r {file} {' '.join(options)}", err=True)


def _write(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise RequestError("usage", f"{file} cannot be written: {error.strerror}") from error
