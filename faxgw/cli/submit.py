"""``faxgw submit``: send a fax through a running gateway."""

import json
import mimetypes
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from faxgw.cli import remote
from faxgw.errors import RequestError

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


class Resolution(Enum):
    """What the API takes."""

    STANDARD = "standard"
    FINE = "fine"
    SUPERFINE = "superfine"
    R300 = "300"
    R400 = "400"


class Paper(Enum):
    """What the API takes."""

    A4 = "a4"
    LETTER = "letter"
    LEGAL = "legal"
    B4 = "b4"
    A3 = "a3"


@app.command()
def submit(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The documents, in the order of their pages.")],
    to: Annotated[str, typer.Option("--to", metavar="NUMBER", help="Whom to send it to.", show_default=False)],
    resolution: Annotated[Resolution | None, typer.Option("--resolution", help="Resolution of the pages.")] = None,
    page: Annotated[Paper | None, typer.Option("--page", help="Page size; else each page keeps its own.")] = None,
    ident: Annotated[str | None, typer.Option("--ident", metavar="TEXT", help="Our station identity.")] = None,
    send_at: Annotated[
        datetime | None, typer.Option("--send-at", help="Not before this time, by this machine's clock and time zone.")
    ] = None,
    priority: Annotated[int | None, typer.Option("--priority", min=0, max=100, help="0 goes first.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A word of your own; may be repeated.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the fax to its end, as watch does.")] = False,
    server: remote.ServerOption = remote.LOCAL,
    ca: remote.AuthorityOption = None,
    as_json: remote.JsonOption = False,
) -> None:
    """Send documents through a running gateway; exit 1 if --wait was asked for and they did not go through whole."""
    contents = [(file, _read(file)) for file in files]
    wishes: dict[str, Any] = {
        "to": to,
        "resolution": resolution and resolution.value,
        "paper": page and page.value,
        "sender": ident,
        "send_at": send_at and send_at.astimezone().isoformat(),
        "priority": priority,
        "labels": dict(map(_label, label)) if label else None,
    }
    with remote.connected(server, ca, as_json=as_json) as gateway:
        documents = [_upload(gateway, file, content) for file, content in contents]
        asked = {name: value for name, value in wishes.items() if value is not None}
        fax = gateway.post("/v1/faxes", {**asked, "documents": documents})
        if wait:
            remote.finish(remote.follow(gateway, fax["id"]), as_json=as_json)
        typer.echo(json.dumps(fax) if as_json else f"{fax['id']} {fax['state']}")


def _upload(gateway: remote.Gateway, file: Path, content: bytes) -> str:
    media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return str(gateway.upload(file.name, content, media_type)["id"])


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RequestError("usage", f"{file} cannot be read: {error.strerror}") from error


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise RequestError("usage", f"{text!r} is no label; one looks like --label order=4711")
    return name, value
