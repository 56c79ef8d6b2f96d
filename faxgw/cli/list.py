"""``faxgw list``: the faxes of a running gateway."""

import json
from enum import Enum
from typing import Annotated, Any

import typer

from faxgw.cli import remote

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Direction(Enum):
    """What the API takes."""

    IN = "in"
    OUT = "out"


@app.command("list")
def list_faxes(
    direction: Annotated[
        Direction | None, typer.Option("--direction", help="Only those that came in, or go out.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option("--state", metavar="STATE", help="Only those in this state; may be repeated.")
    ] = None,
    box: Annotated[str | None, typer.Option("--box", metavar="ID", help="Only those of this box.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many.")] = 20,
    server: remote.ServerOption = remote.LOCAL,
    ca: remote.AuthorityOption = None,
    as_json: remote.JsonOption = False,
) -> None:
    """List faxes, newest first."""
    with remote.connected(server, ca, as_json=as_json) as gateway:
        wanted = {"direction": direction and direction.value, "state": state, "box": box}
        faxes = list(gateway.items("/v1/faxes", most=limit, **wanted))
    if as_json:
        typer.echo(json.dumps({"items": faxes}))
        return
    for fax in faxes:
        typer.echo(_line(fax))


def _line(fax: dict[str, Any]) -> str:
    whom = f"to {fax['to']}" if fax["direction"] == "out" else f"from {fax['from'] or 'unknown'}"
    pages = f"{fax['pages_done']}/{fax['pages']}" if fax["pages"] else ""
    return f"{fax['id']}  {fax['created_at'][:19]}Z  {fax['state']:18}  {pages:>7}  {whom}"
