"""``faxgw receive``: waits for one call and stores what it brings."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from faxgw.cli import options
from faxgw.cli.conduct import Call, conduct, report
from faxgw.documents.target import PageTarget
from t30.answering import answering
from t30.outcome import Direction

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def receive(
    line: options.LineOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for fax.tif and fax.pdf.", show_default=False)
    ],
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0, help="How long to wait for a call, by real time.")
    ] = None,
    max_call: Annotated[
        float | None,
        typer.Option("--max-call", metavar="S", min=1, help="Longest time that the call may last, by real time."),
    ] = None,
    ident: options.IdentOption = "",
    ecm: options.EcmOption = options.Switch.ON,
    modems: options.ModemsOption = None,
    max_rate: options.RateOption = 14400,
    coding: options.CodingOption = None,
    resolution: options.ResolutionOption = None,
    page: options.PaperOption = None,
    quality: options.QualityOption = None,
    trace: options.TraceOption = None,
    json: options.JsonOption = False,
) -> None:
    """Wait for one call, answer it, and store the fax as DIR/fax.tif and DIR/fax.pdf.

    --resolution and --page are the finest and the largest that are offered.
    """
    width, length = options.largest(page)
    station = replace(
        options.station(ident=ident, ecm=ecm, modems=modems, max_rate=max_rate, coding=coding, quality=quality),
        resolutions=options.up_to(resolution),
        width=width,
        length=length,
    )
    call = Call(Direction.IN, line, station, answering, trace, json, wait=timeout, longest=max_call)
    report(call, conduct(call, PageTarget(out)))
