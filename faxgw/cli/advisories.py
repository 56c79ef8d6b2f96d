"""``faxgw advisories``: what is known of this version, what it is made of; and feeds signed by whoever issues them."""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from faxgw import __version__
from faxgw.cli.options import JsonOption
from faxgw.cli.serve import ConfigOption, DataOption
from faxgw.config import load
from faxgw.errors import RequestError

app = typer.Typer(
    help="Known faults of this version.", add_completion=False, rich_markup_mode=None, no_args_is_help=True
)


@app.command()
def check(config_file: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check the configured feed now; exit 1 if this version has a known fault, or the feed is not to be believed."""
    from faxgw.advisories.board import checked  # noqa: PLC0415

    state = asyncio.run(checked(load(config_file, data_dir=data), now=datetime.now(UTC)))
    if as_json:
        typer.echo(json.dumps({"version": __version__, **state.as_json()}, default=str))
    else:
        typer.echo(state.text)
        for each in state.advisories:
            typer.echo(
                f"{each.id}  {each.severity}  {each.title}  fixed in {each.fixed_in or 'no version yet'}  {each.url}"
            )
    raise typer.Exit(1 if state.is_degraded else 0)


@app.command()
def sbom() -> None:
    """Print what this installation is made of, as CycloneDX JSON."""
    from faxgw.advisories.sbom import bill  # noqa: PLC0415

    typer.echo(json.dumps(bill(), indent=1))


@app.command("new-key")
def new_key(
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE", help="Where the secret key goes, in PEM; keep it offline.")
    ],
) -> None:
    """Make a key to sign feeds with, and print its public half for `advisories.keys`."""
    from base64 import b64encode  # noqa: PLC0415

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = Ed25519PrivateKey.generate()
    _write_new(to, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    typer.echo(b64encode(key.public_key().public_bytes_raw()).decode())


@app.command()
def sign(
    payload: Annotated[
        Path, typer.Argument(metavar="PAYLOAD", help="The advisories: JSON, as docs/advisories.md says.")
    ],
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The secret key, in PEM.")],
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where the feed goes.")],
) -> None:
    """Sign advisories as a feed."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    from faxgw.advisories.feed import FeedRefused, sign_feed  # noqa: PLC0415

    try:
        secret = load_pem_private_key(key.read_bytes(), None)
        octets = payload.read_bytes()
    except (OSError, ValueError, TypeError) as error:
        raise RequestError("usage", f"The key or the advisories cannot be read: {error}.") from error
    if not isinstance(secret, Ed25519PrivateKey):
        raise RequestError("usage", f"{key} is no key of Ed25519.")
    try:
        _write_new(to, sign_feed(octets, secret))
    except FeedRefused as refused:
        raise RequestError("usage", str(refused)) from refused


def _write_new(path: Path, octets: bytes) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(octets)
    except OSError as error:
        raise RequestError("usage", f"{path} cannot be written: {error.strerror}.") from error
