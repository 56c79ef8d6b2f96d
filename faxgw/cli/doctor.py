"""``faxgw doctor``: what on this machine is missing, unsafe or slow."""

import json
from typing import Annotated

import typer
from rich.console import Console

from faxgw.cli.serve import ConfigOption, DataOption
from faxgw.config import load
from faxgw.doctor import Level, Machine, examined
from faxgw.doctor.storage import as_table

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

MARKS = {Level.OK: "ok      ", Level.ADVICE: "advice  ", Level.BAD: "bad     "}


@app.command()
def doctor(
    config_file: ConfigOption = None,
    data: DataOption = None,
    lines: Annotated[
        bool,
        typer.Option(
            "--lines",
            help="Ask modems what they are, which takes their ports for some seconds, and trunks and the mail host "
            "whether they answer.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON object.")] = False,
) -> None:
    """Say what on this machine is missing, unsafe or slow, each with the way out; exit 1 if anything is bad."""
    config = load(config_file, data_dir=data)
    findings = examined(config, open_lines=lines)
    well = not any(each.level is Level.BAD for each in findings)
    if as_json:
        said = [
            {"area": each.area, "level": each.level.value, "text": each.text, "way_out": each.way_out}
            for each in findings
        ]
        typer.echo(json.dumps({"ok": well, "findings": said, "paths": as_table(config, Machine())}))
    else:
        console = Console(highlight=False, soft_wrap=True, markup=False)
        for finding in sorted(findings, key=lambda each: list(MARKS).index(each.level)):
            console.print(f"{MARKS[finding.level]}{finding.area}: {finding}")
    raise typer.Exit(0 if well else 1)
