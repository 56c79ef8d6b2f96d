"""``faxgw send``: one outgoing call without a server."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from faxgw.cli import options
from faxgw.cli.conduct import Call, conduct, report
from faxgw.documents.document import Header, RenderOptions, open_document
from faxgw.documents.screening import Screen
from faxgw.documents.source import PageSource
from t30.calling import calling
from t30.outcome import Direction

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def send(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="PDF, TIFF, PNG, JPEG, text, DOCX, ODT, RTF or HTML.")
    ],
    line: options.LineOption,
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="Whom to call.", show_default=False)],
    ident: options.IdentOption = "",
    ecm: options.EcmOption = options.Switch.ON,
    modems: options.ModemsOption = None,
    max_rate: options.RateOption = 14400,
    coding: options.CodingOption = None,
    ladder: options.LadderOption = "hylafax",
    refused: options.RefusedOption = None,
    resolution: options.ResolutionOption = None,
    page: options.PaperOption = None,
    screen: options.ScreenOption = Screen.AUTO,
    subaddress: Annotated[
        str, typer.Option("--subaddress", parser=options.identity, metavar="TEXT", help="Said to a receiver that asks.")
    ] = "",
    password: Annotated[
        str, typer.Option("--password", parser=options.identity, metavar="TEXT", help="Said to a receiver that asks.")
    ] = "",
    header: Annotated[
        bool, typer.Option("--header", help="Print date, our identity and page k/n above every page.")
    ] = False,
    max_call: Annotated[
        float | None,
        typer.Option("--max-call", metavar="S", min=1, help="Longest time that the call may last, by real time."),
    ] = None,
    trace: options.TraceOption = None,
    json: options.JsonOption = False,
) -> None:
    """Convert documents, call a number and send them as one fax."""
    station = options.station(
        ident=ident,
        ecm=ecm,
        modems=modems,
        max_rate=max_rate,
        coding=coding,
        subaddress=subaddress,
        password=password,
        ladder=ladder,
        refused=refused,
    )
    above = Header(ident, datetime.now()) if header else None
    wanted = RenderOptions(resolution=resolution, paper=page, screen=screen, header=above)
    with open_document(files, wanted) as document:
        call = Call(
            Direction.OUT,
            line,
            station,
            lambda ours: calling(ours, to),
            trace,
            json,
            pages=len(document),
            longest=max_call,
        )
        report(call, conduct(call, PageSource(document)))
