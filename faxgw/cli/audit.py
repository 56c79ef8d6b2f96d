"""``faxgw audit``: check an exported audit log, without the gateway that it came from."""

import json
from pathlib import Path

import typer

from faxgw.audit.notes import ORIGIN, Verifier, encoded
from faxgw.audit.verify import Refuted, Verified, verify
from faxgw.errors import RequestError
from faxgw.keys.jwk import read_jwks

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

_EXPORT = typer.Argument(metavar="EXPORT", help="What GET /v1/audit:export has given.")
_KEY = typer.Option(
    None,
    "--key",
    metavar="KEY",
    help="The gateway's public key: a file with /.well-known/audit-keys.json, or a text that begins with faxgw.audit/.",
)
_CHECKPOINT = typer.Option(
    None,
    "--checkpoint",
    metavar="FILE",
    help="A checkpoint kept from earlier: the log must still begin so. May be repeated.",
)
_JSON = typer.Option(False, "--json", help="Print the result as one JSON object.")


@app.callback()
def audit() -> None:
    """Check exported audit logs."""


@app.command("verify")
def verify_export(
    export: Path = _EXPORT, key: str | None = _KEY, checkpoint: list[Path] | None = _CHECKPOINT, as_json: bool = _JSON
) -> None:
    """Say whether an exported log is what was signed; if not, what is wrong with it, and where.

    Exit code 0: it is; 1: it is not; 2: there is nothing to check, or nothing to check it with.
    """
    keys = _keys(key)
    notes = [_text(path) for path in checkpoint or []]
    try:
        with export.open("rb") as file:
            found: Verified | Refuted = verify(file, keys=keys, earlier=notes)
    except OSError as error:
        raise RequestError("usage", f"{export} cannot be read: {error.strerror}") from error
    except Refuted as refuted:
        found = refuted
    typer.echo(json.dumps(_result(found)) if as_json else _in_words(found, pinned=bool(keys)))
    raise typer.Exit(0 if isinstance(found, Verified) else 1)


def _keys(given: str | None) -> list[bytes]:
    if given is None:
        return []
    try:
        return [Verifier.parse(given).public] if given.startswith(ORIGIN) else read_jwks(_text(Path(given)))
    except ValueError as refused:
        raise RequestError("usage", f"--key: {refused}.") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise RequestError("usage", f"{path} cannot be read: {reason}") from error


def _result(found: Verified | Refuted) -> dict[str, object]:
    if isinstance(found, Refuted):
        return {"outcome": "refuted", "reason": {"code": found.code, "text": found.text}, "row": found.row}
    return {
        "outcome": "verified",
        "reason": {"code": "", "text": ""},
        "row": None,
        "tenant": found.tenant,
        "rows": found.rows,
        "root": encoded(found.root),
        "key": found.key,
    }


def _in_words(found: Verified | Refuted, *, pinned: bool) -> str:
    if isinstance(found, Refuted):
        return f"refuted: {found.text}"
    said = f"verified: {found.rows} rows of tenant {found.tenant} are what was signed by {found.key}"
    return said if pinned else f"{said}\nThe file itself names that key: compare it, or give it with --key."
