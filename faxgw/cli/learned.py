"""``faxgw learned``: what a running gateway has learned of the machines at the other end, and why."""

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from faxgw.cli import remote
from faxgw.cli.list import Direction

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("learned")
def list_learned(
    number: Annotated[
        str | None, typer.Option("--number", metavar="NUMBER", help="Only what is known of this number.")
    ] = None,
    direction: Annotated[
        Direction | None, typer.Option("--direction", help="Only machines that call (in), or are called (out).")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many machines.")] = 100,
    server: remote.ServerOption = remote.LOCAL,
    ca: remote.AuthorityOption = None,
    as_json: remote.JsonOption = False,
) -> None:
    """Say what calls have taught, machine by machine, the newest first."""
    wanted = {"direction": direction and direction.value, "number": number}
    with remote.connected(server, ca, as_json=as_json) as gateway:
        found = list(gateway.items("/v1/machines", most=limit, **wanted))
    if as_json:
        typer.echo(json.dumps({"items": found}))
        return
    for machine in found:
        for line in _lines(machine):
            typer.echo(line)


def _lines(machine: dict[str, Any]) -> Iterator[str]:
    way = "to" if machine["direction"] == "out" else "from"
    calls = f"{machine['calls']} call{'s' if machine['calls'] != 1 else ''}"
    yield f"{machine['id']}  {way} {machine['number'] or machine['station']}  ({calls})"
    yield from (f"    {limit['text']}" for limit in machine["limits"])
