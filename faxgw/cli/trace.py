"""``faxgw trace``: explain a recorded call."""

import sys
from pathlib import Path

import typer
from rich.console import Console

from faxgw.errors import RequestError
from faxgw.trace.ladder import ladder
from faxgw.trace.listing import listing
from faxgw.trace.record import read

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_CALL = typer.Argument(metavar="CALL.jsonl", help="What --trace of send or receive has written.")
_LADDER = typer.Option(None, "--ladder", metavar="OUT.svg", help="Draw a ladder diagram into this file.")
_TEXT = typer.Option(False, "--text", help="Print one line per signal; done anyway when no ladder is asked for.")


@app.command()
def trace(call: Path = _CALL, ladder_file: Path | None = _LADDER, text: bool = _TEXT) -> None:
    """Explain a recorded call, in words or as a ladder diagram."""
    recorded = read(call)
    if ladder_file is not None:
        try:
            ladder_file.write_text(ladder(recorded), encoding="utf-8")
        except OSError as error:
            raise RequestError("usage", f"{ladder_file} cannot be written: {error.strerror}") from error
    if text or ladder_file is None:
        console = Console(highlight=False, soft_wrap=True, file=sys.stdout)
        for line in listing(recorded):
            console.print(line)
