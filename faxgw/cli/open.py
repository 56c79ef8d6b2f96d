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
    """Open an exported object with your password, recovery code or an API key that may read content.

    A page becomes a TIFF, or a PDF where FILE ends so.
    """
    export = read_export(path)
    content = _file(export.media_type, asyncio.run(export.open(_secret(secret_env))), out)
    try:
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    except OSError as error:
        raise RequestError("usage", f"{out} cannot be written: {error.strerror}") from error
    typer.echo(f"{out}: {export.label.kind}, {export.media_type or 'octets'}, {len(content)} octets")


def _file(media_type: str, content: bytes, out: Path) -> bytes:
    """Return content as a file that people open: a page as TIFF, or as PDF if it is to be called so."""
    if not media_type.startswith("image/g4"):
        return content
    # NumPy is slow to import, and a document needs none of it.
    from faxgw.documents.coded import page_of  # noqa: PLC0415
    from faxgw.documents.pdf import pdf_octets  # noqa: PLC0415
    from faxgw.documents.tiff import tiff_octets  # noqa: PLC0415

    page = page_of(media_type, content)
    if page is None:
        return content
    return pdf_octets([page]) if out.suffix.lower() == ".pdf" else tiff_octets([page])


def _secret(variable: str | None) -> str:
    if variable is not None:
        if variable not in os.environ:
            raise RequestError("usage", f"there is no environment variable {variable}")
        return os.environ[variable]
    if not sys.stdin.isatty():
        raise RequestError("usage", "there is no terminal to ask for the secret on: use --secret-env VAR")
    return str(typer.prompt("Password, recovery code or API key", hide_input=True, err=True))
