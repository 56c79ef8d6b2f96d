"""``faxgw open``: open an exported sealed object with the user's secret, without the gateway."""

import asyncio
import os
import sys
from pathlib import Path

import typer

from faxgw.errors import RequestError
from faxgw.keys.export import read_export

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_OBJECT = typer.Argument(metavar="OBJECT", help="A sealed object as the gateway exported it.")
_OUT = typer.Option(..., "--out", metavar="FILE", help="Where its content goes; must not exist yet.")
_SECRET = typer.Option(
    None, "--secret-env", metavar="VAR", help="Environment variable with the secret; asked for on the terminal else."
)


@app.command("open")
def open_object(path: Path = _OBJECT, out: Path = _OUT, secret_env: str | None = _SECRET) -> None:
    """Open an exported object with your password, recovery code or an API key that may read content."""
    export = read_export(path)
    content = asyncio.run(export.open(_secret(secret_env)))
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise RequestError("usage", f"{out} cannot be written: {error.strerror}") from error
    typer.echo(f"{out}: {export.label.kind}, {export.media_type or 'octets'}, {len(content)} octets")


def _secret(variable: str | None) -> str:
    if variable is not None:
        if variable not in os.environ:
            raise RequestError("usage", f"there is no environment variable {variable}")
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise RequestError("usage", "there is no terminal to ask for the secret on: use --secret-env VAR")
    return str(typer.prompt("Password, recovery code or API key", hide_input=True, err=True))
