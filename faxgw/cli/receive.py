"""``faxgw receive``: one fax stored without a server: of the next caller, or fetched by calling."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from faxgw.cli import options
from faxgw.cli.conduct import Call, conduct, report
from faxgw.documents.target import PageTarget
from faxgw.errors import RequestError
from t30.answering import answering
from t30.calling import polling
from t30.outcome import Direction

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def receive(
    line: options.LineOption,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder for fax.tif and fax.pdf.", show_default=False)
    ],
    timeout: options.TimeoutOption = None,
    poll: Annotated[bool, typer.Option("--poll", help="Call --to and fetch the document that it offers.")] = False,
    to: options.NumberOption = "",
    subaddress: Annotated[
        str,
        typer.Option(
            "--subaddress", parser=options.identity, metavar="TEXT", help="With --poll: which document to fetch."
        ),
    ] = "",
    password: Annotated[
        str,
        typer.Option("--password", parser=options.identity, metavar="TEXT", help="With --poll: what opens it."),
    ] = "",
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
    operator: options.OperatorOption = None,
    trace: options.TraceOption = None,
    json: options.JsonOption = False,
) -> None:
    """Wait for one call, or make one (--poll), and store the fax as DIR/fax.tif and DIR/fax.pdf.

    --resolution and --page are the finest and the largest that are offered.
    """
    _check(poll=poll, timeout=timeout, by_poller={"--to": to, "--subaddress": subaddress, "--password": password})
    width, length = options.largest(page)
    station = replace(
        options.station(
            ident=ident,
            ecm=ecm,
            modems=modems,
            max_rate=max_rate,
            coding=coding,
            subaddress=subaddress,
            password=password,
            quality=quality,
            operator=operator,
        ),
        resolutions=options.up_to(resolution),
        width=width,
        length=length,
    )
    procedure = (lambda ours: polling(ours, to)) if poll else answering
    call = Call(Direction.IN, line, station, procedure, trace, json, wait=timeout, longest=max_call)
    report(call, conduct(call, PageTarget(out)))


def _check(*, poll: bool, timeout: float | None, by_poller: dict[str, str]) -> None:
    """Refuse options that do not go together."""
    if poll and not by_poller["--to"]:
        raise RequestError("usage", "--poll calls to fetch a document: give --to NUMBER.")
    if poll and timeout is not None:
        raise RequestError("usage", "--timeout limits the wait for a call: with --poll there is none.")
    for option, text in by_poller.items():
        if text and not poll:
            raise RequestError("usage", f"{option} goes with --poll only: without it, others call.")
