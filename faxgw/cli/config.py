"""``faxgw config``: check a configuration, and write one to begin with."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from faxgw.config import Config, ConfigError, load
from faxgw.config.names import LISTS, toml
from faxgw.config.reading import strange_variables
from faxgw.config.sample import sample as sample_file

app = typer.Typer(
    help="Check the configuration of the service, or print one to begin with.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command()
def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The file; the one that FAXGW_CONFIG names, or none.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Print what a file and the environment come to, secrets hidden; exit 2 with every mistake."""
    try:
        config = load(file)
    except ConfigError as error:
        if as_json:
            mistakes = [{"setting": each.setting, "wrong": each.wrong, "right": each.right} for each in error.mistakes]
            typer.echo(json.dumps({"ok": False, "mistakes": mistakes}))
        for each in error.mistakes:
            typer.echo(str(each), err=True)
        raise typer.Exit(2) from None
    warnings = [str(each) for each in strange_variables()]
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    if as_json:
        typer.echo(json.dumps({"ok": True, "config": config.model_dump(mode="json"), "warnings": warnings}))
    else:
        typer.echo(effective(config), nl=False)


@app.command()
def sample() -> None:
    """Print a configuration file with every setting in it, commented out."""
    typer.echo(sample_file(), nl=False)


def effective(config: Config) -> str:
    """Return the whole configuration as a file, secrets hidden."""
    top, tables = [], []
    for name, value in _without_nothing(config.model_dump(mode="json")).items():
        if name in LISTS:
            tables += [f"\n[[{name}]]\n{_assignments(each)}" for each in value]
        elif isinstance(value, dict):
            tables.append(f"\n[{name}]\n{_assignments(value)}")
        else:
            top.append(f"{name} = {toml(value)}\n")
    return "".join(top + tables)


def _assignments(table: dict[str, Any]) -> str:
    return "".join(f"{name} = {toml(value)}\n" for name, value in _without_nothing(table).items())


def _without_nothing(table: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not set: TOML has no word for it."""
    return {name: value for name, value in table.items() if value is not None}
