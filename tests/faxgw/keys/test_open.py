"""``faxgw open``: each of the owner's secrets opens an exported object; nothing else does, and the reason is said."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from faxgw.cli.open import app
from faxgw.errors import RequestError
from faxgw.ids import new_id
from faxgw.keys.export import Export, Holder, read_export
from faxgw.keys.sealing import Label, new_dek, seal
from faxgw.keys.slots import ApiSecret, Password, RecoveryCode, Secret, make_slot
from faxgw.keys.tokens import ApiKey
from faxgw.keys.wraps import KeyPair, member_context, wrap, wrap_context, wrap_key_pair

PAIR = KeyPair.generate()
PASSWORD = "correct horse"
CODE = RecoveryCode.generate()
OLD_CODE = RecoveryCode.generate()
API_KEY = ApiKey.generate(new_id())
USER = new_id()
LABEL = Label(new_id(), new_id(), "document")
CONTENT = b"%PDF-1.7 of a fax" + bytes(100_000)


async def holder(*secrets: Secret) -> Holder:
    """Return a key of the person that these secrets open, and that the owner's key is wrapped to."""
    person = KeyPair.generate()
    wrapped = wrap_key_pair(PAIR, person.public, context=member_context(LABEL.tenant, USER))
    return Holder(person.public, wrapped, tuple([await make_slot(person, secret) for secret in secrets]))


@pytest.fixture
async def export() -> Export:
    dek = new_dek()
    context = wrap_context(tenant=LABEL.tenant, object_id=LABEL.object, kind="owner")
    return Export(
        label=LABEL,
        media_type="application/pdf",
        public_key=PAIR.public,
        wrap=wrap(dek, PAIR.public, context=context),
        user=USER,
        slots=(await make_slot(PAIR, ApiSecret(API_KEY.secret)),),
        holders=(await holder(Password(PASSWORD, memory=64, passes=1), CODE), await holder(OLD_CODE)),
        sealed=seal(CONTENT, dek=dek, label=LABEL),
    )


@pytest.fixture
def exported(export: Export, tmp_path: Path) -> Path:
    path = tmp_path / "letter.faxgw"
    path.write_bytes(export.octets())
    return path


def open_with(secret: str, path: Path, out: Path) -> str:
    result = CliRunner().invoke(app, [str(path), "--out", str(out), "--secret-env", "SECRET"], env={"SECRET": secret})
    if isinstance(result.exception, RequestError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    "secret",
    [PASSWORD, CODE.text, CODE.text.lower(), API_KEY.text, OLD_CODE.text],
    ids=["password", "code", "small", "key", "code of before a reset"],
)
def test_each_of_the_owners_secrets_opens(exported: Path, tmp_path: Path, secret: str) -> None:
    out = tmp_path / "letter.pdf"
    assert open_with(secret, exported, out) == f"{out}: document, application/pdf, {len(CONTENT)} octets\n"
    assert out.read_bytes() == CONTENT
    assert out.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "secret",
    ["", "Correct horse", RecoveryCode.generate().text, ApiKey.generate(new_id()).text, API_KEY.text[:-1]],
    ids=["nothing", "password", "code", "key", "cut key"],
)
def test_another_secret_opens_nothing(exported: Path, tmp_path: Path, secret: str) -> None:
    with pytest.raises(RequestError, match="it opens with: api key, password, recovery") as refused:
        open_with(secret, exported, tmp_path / "letter.pdf")
    assert refused.value.code == "object.secret"
    assert not (tmp_path / "letter.pdf").exists()


async def test_a_password_may_look_like_a_recovery_code(export: Export) -> None:
    odd = RecoveryCode.generate().text
    holders = (await holder(CODE, Password(odd, memory=64, passes=1)),)
    assert await replace(export, holders=holders).open(odd) == CONTENT


async def test_an_altered_object_is_told_from_a_wrong_secret(export: Export) -> None:
    for altered in (
        replace(export, sealed=export.sealed[:-1]),
        replace(export, label=replace(LABEL, kind="page")),
        replace(export, wrap=bytes(len(export.wrap))),
        replace(export, holders=(replace(export.holders[0], wrap=bytes(len(export.holders[0].wrap))),)),
        replace(export, user=new_id()),
    ):
        with pytest.raises(RequestError, match="the secret is right") as refused:
            await altered.open(PASSWORD)
        assert refused.value.code == "object.broken"


def test_an_export_is_read_as_it_was_written(export: Export, exported: Path) -> None:
    assert read_export(exported) == export


async def test_an_export_of_the_first_version_opens(export: Export, tmp_path: Path) -> None:
    password = await make_slot(PAIR, Password(PASSWORD, memory=64, passes=1))
    manifest = manifest_with(replace(export, slots=(password,)), version=1)
    del manifest["user"], manifest["holders"]
    path = tmp_path / "old.faxgw"
    path.write_bytes(packed(manifest, sealed=export.sealed))
    assert await read_export(path).open(PASSWORD) == CONTENT


def test_an_export_shows_nothing_of_the_content_or_the_secrets(exported: Path) -> None:
    octets = exported.read_bytes()
    for part in (b"%PDF", PASSWORD.encode(), CODE.octets, API_KEY.secret, API_KEY.text.encode(), PAIR.seed):
        assert part not in octets


def packed(manifest: object, *, sealed: bytes | None = b"", compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("manifest.json", manifest if isinstance(manifest, str) else json.dumps(manifest))
        if sealed is not None:
            archive.writestr("object", sealed)
    return file.getvalue()


def manifest_with(export: Export, **changes: object) -> dict[str, object]:
    with zipfile.ZipFile(io.BytesIO(export.octets())) as archive:
        return {**json.loads(archive.read("manifest.json")), **changes}


@pytest.mark.parametrize(
    "make",
    [
        lambda _: b"",
        lambda export: export.sealed,
        lambda export: export.octets()[:-30],
        lambda export: packed("{", sealed=export.sealed),
        lambda export: packed([], sealed=export.sealed),
        lambda export: packed({}, sealed=export.sealed),
        lambda export: packed(manifest_with(export), sealed=None),
        lambda export: packed(manifest_with(export), sealed=export.sealed, compression=zipfile.ZIP_DEFLATED),
        lambda export: packed(manifest_with(export, version=3)),
        lambda export: packed(manifest_with(export, user="x")),
        lambda export: packed(manifest_with(export, holders=[{"slots": []}])),
        lambda export: packed(manifest_with(export, tenant="x")),
        lambda export: packed(manifest_with(export, tenant=1)),
        lambda export: packed(manifest_with(export, public_key="AA==")),
        lambda export: packed(manifest_with(export, wrap=None)),
        lambda export: packed(manifest_with(export, slots=[{"kind": "password"}])),
        lambda export: packed(manifest_with(export, padding="x" * 2_000_000)),
    ],
)
def test_what_is_no_export_is_told(make: Callable[[Export], bytes], export: Export, tmp_path: Path) -> None:
    path = tmp_path / "letter.faxgw"
    path.write_bytes(make(export))
    with pytest.raises(RequestError, match="no object that faxgw exported") as refused:
        read_export(path)
    assert refused.value.code == "object.format"


def test_a_file_that_is_there_already_is_kept(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.pdf").write_bytes(b"mine")
    with pytest.raises(RequestError, match="cannot be written: File exists"):
        open_with(PASSWORD, exported, tmp_path / "letter.pdf")
    assert (tmp_path / "letter.pdf").read_bytes() == b"mine"


def test_a_missing_object_or_variable_is_told(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="No such file"):
        open_with(PASSWORD, tmp_path / "none.faxgw", tmp_path / "out")
    result = CliRunner().invoke(app, [str(exported), "--out", str(tmp_path / "out"), "--secret-env", "NO_SUCH"])
    assert isinstance(result.exception, RequestError)
    assert "NO_SUCH" in result.exception.reason


def test_without_a_terminal_the_command_does_not_wait_for_a_secret(exported: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from faxgw.cli import main; main()",
        "open",
        str(exported),
        "--out",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert "use --secret-env VAR" in done.stderr


def test_on_a_terminal_the_secret_is_asked_for_and_not_shown(exported: Path, tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = [
        sys.executable,
        "-c",
        "from faxgw.cli import main; main()",
        "open",
        str(exported),
        "--out",
        str(tmp_path / "out"),
    ]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        shown = b""
        while not shown.endswith(b"API key: "):  # The blank comes once nothing typed is shown any more.
            shown += os.read(ours, 1000)
        os.write(ours, PASSWORD.encode() + b"\n")
        assert process.wait(30) == 0
        shown += os.read(ours, 1000)
    os.close(ours)
    assert (tmp_path / "out").read_bytes() == CONTENT
    assert PASSWORD.encode() not in shown
