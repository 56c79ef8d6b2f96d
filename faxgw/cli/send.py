"""``faxgw send``: one document sent without a server: by calling, or to whoever calls to fetch it."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from faxgw.cli import options
from faxgw.cli.conduct import Call, conduct, report
from faxgw.documents.document import Header, RenderOptions, open_document
from faxgw.documents.screening import Screen
from faxgw.documents.source import PageSource
from faxgw.errors import RequestError
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Offer
from t30.outcome import Direction
from t30.pages import ANYBODY, Key

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def send(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="PDF, TIFF, PNG, JPEG, text, DOCX, ODT, RTF or HTML.")
    ],
    line: options.LineOption,
    to: options.NumberOption = "",
    poll: Annotated[
        bool, typer.Option("--poll", help="Call nobody: offer the document to the first who calls and asks for it.")
    ] = False,
    timeout: options.TimeoutOption = None,
    ident: options.IdentOption = "",
    ecm: options.EcmOption = options.Switch.ON,
    modems: options.ModemsOption = None,
    max_rate: options.RateOption = 14400,
    coding: options.CodingOption = None,
    ladder: options.LadderOption = "hylafax",
    refused: options.RefusedOption = None,
    operator: options.OperatorOption = None,
    resolution: options.ResolutionOption = None,
    page: options.PaperOption = None,
    screen: options.ScreenOption = Screen.AUTO,
    subaddress: Annotated[
        str,
        typer.Option(
            "--subaddress",
            parser=options.identity,
            metavar="TEXT",
            help="Said to a receiver that takes one; with --poll, what a caller must name.",
        ),
    ] = "",
    password: Annotated[
        str,
        typer.Option(
            "--password",
            parser=options.identity,
            metavar="TEXT",
            help="Said to a receiver that takes one; with --poll, what a caller must know.",
        ),
    ] = "",
    sender_id: Annotated[
        str,
        typer.Option(
            "--sender-id", parser=options.identity, metavar="TEXT", help="Who sends, said to a receiver that takes it."
        ),
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
    """Convert documents, call a number and send them as one fax; or wait for a caller who fetches them (--poll)."""
    _check(to=to, poll=poll, timeout=timeout)
    station = options.station(
        ident=ident,
        ecm=ecm,
        modems=modems,
        max_rate=max_rate,
        coding=coding,
        subaddress=subaddress,
        password=password,
        sender_id=sender_id,
        ladder=ladder,
        refused=refused,
        operator=operator,
    )
    key = ANYBODY
    if poll:
        key = Key(subaddress, password)
        offer = Offer(selective=bool(subaddress), password=bool(password))
        station = replace(station, subaddress="", password="", receives=False, offer=offer)
    above = Header(ident, datetime.now()) if header else None
    wanted = RenderOptions(resolution=resolution, paper=page, screen=screen, header=above)
    with open_document(files, wanted) as document:
        call = Call(
            Direction.OUT,
            line,
            station,
            answering if poll else lambda ours: calling(ours, to),
            trace,
            json,
            pages=len(document),
            wait=timeout,
            longest=max_call,
        )
        report(call, conduct(call, PageSource(document, key=key)))


def _check(*, to: str, poll: bool, timeout: float | None) -> None:
    """Refuse options that do not go together."""
    if poll and to:
        raise RequestError("usage", "--poll waits for a caller: give --to or --poll, not both.")
    if not poll and not to:
        raise RequestError("usage", "Whom to call is missing: give --to NUMBER, or --poll to wait for a caller.")
    if timeout is not None and not poll:
        raise RequestError("usage", "--timeout limits the wait for a caller: it goes with --poll only.")
