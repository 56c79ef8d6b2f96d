"""``faxgw cancel``: cancel faxes of a running gateway."""

import json
from typing import Annotated

import typer

from faxgw.cli import remote

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def cancel(
    faxes: Annotated[list[str], typer.Argument(metavar="FAX...", help="Ids of the faxes.")],
    server: remote.ServerOption = remote.LOCAL,
    ca: remote.AuthorityOption = None,
    as_json: remote.JsonOption = False,
) -> None:
    """Cancel faxes, in whatever state they are; one that is on the line is hung up in a moment."""
    with remote.connected(server, ca, as_json=as_json) as gateway:
        done = [gateway.post(f"/v1/faxes/{each}:cancel") for each in faxes]
    if as_json:
        typer.echo(json.dumps({"items": done}))
        return
    for each in done:
        typer.echo(f"{each['id']} {each['state']}")
