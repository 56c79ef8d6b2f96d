"""``faxgw watch``: follow a fax, page by page, to its end; or all of them."""

import json
from typing import Annotated

import typer

from faxgw.cli import remote

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def watch(
    fax: Annotated[
        str | None, typer.Argument(metavar="[FAX]", help="Id of the fax; all faxes from now on, if left out.")
    ] = None,
    server: remote.ServerOption = remote.LOCAL,
    ca: remote.AuthorityOption = None,
    as_json: remote.JsonOption = False,
) -> None:
    """Follow a fax to its end; exit 0 if it went through whole, else 1. All faxes are followed until interrupted."""
    with remote.connected(server, ca, as_json=as_json) as gateway:
        if fax is not None:
            remote.finish(remote.follow(gateway, fax), as_json=as_json)
        for event in gateway.events("/v1/events", last=frozenset()):
            typer.echo(json.dumps(event.data) if as_json else f"{event.data['fax']} {remote.event_in_words(event)}")
