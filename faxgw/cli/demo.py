"""``faxgw demo``: a PDF faxed from one Class 1 modem to another over a simulated telephone line."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from faxgw.cli.conduct import in_words
from faxgw.demo import Files, Shown
from faxgw.demo import demo as show

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the result goes.")] = Path("demo"),
    speed: Annotated[
        float, typer.Option("--speed", metavar="X", min=1, max=20, help="Speed of the line's clock.")
    ] = 10.0,
) -> None:
    """Send a three-page PDF from one Class 1 modem to another over a simulated telephone line."""
    console = Console()
    began = time.monotonic()
    shown = show(out, console, speed=speed)
    seconds = time.monotonic() - began
    _tell(console, shown, Files(out), seconds)
    raise typer.Exit(0 if shown.whole else 1)


def _tell(console: Console, shown: Shown, files: Files, seconds: float) -> None:
    console.print()
    console.print(f"sender    {in_words(shown.sent)}", highlight=False, soft_wrap=True)
    console.print(f"receiver  {in_words(shown.received)}", highlight=False, soft_wrap=True)
    for page, equal in zip(shown.received.pages, shown.equal, strict=False):
        verdict = "equal to what was sent, bit for bit" if equal else "DIFFERENT from what was sent"
        size = f"{page.format.pels} x {page.rows} pels, {page.format.coding}, {page.octets} octets"
        console.print(f"page {page.index + 1}    {size}: {verdict}", highlight=False, soft_wrap=True)
    console.print()
    for path, what in (
        (files.document, "the document that was sent"),
        (files.tiff, "the fax as received"),
        (files.pdf, "the same as PDF"),
        (files.ladder, "a picture of the call"),
        (files.trace, "its recording, for faxgw trace and faxgw replay"),
    ):
        console.print(f"  {path}  {what}", highlight=False, soft_wrap=True)
    console.print(f"\n{seconds:.0f} s by the clock on the wall", highlight=False, soft_wrap=True)
