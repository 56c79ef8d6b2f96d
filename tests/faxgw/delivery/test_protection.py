"""Encrypted files open with other programs for whom they are meant, and for nobody else."""

import asyncio
import email
import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pikepdf
import pyrage
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from faxgw.delivery.carrier import Refused
from faxgw.delivery.files import Format
from faxgw.delivery.protection import check_sealing, is_protected, new_pdf_password
from faxgw.delivery.targets import SETTINGS, TargetSecret
from faxgw.documents.pdf import pdf_octets
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from tests.faxgw.api.people import Person, add_person, drawn_page
from tests.faxgw.boxes.house import received
from tests.faxgw.delivery.making import USUAL, Holder, holder, leaving

FOLDER: dict[str, Any] = {"kind": "local", "folder": "in"}
MAILBOX: dict[str, Any] = {"kind": "mail", "address": "fax@clinic.example"}
PASSWORD = "an umbrella in 1987"
DRAWN = [drawn_page(1), drawn_page(2)]


@pytest_asyncio.fixture
async def person(gateway: Gateway) -> Person:
    return await add_person(gateway)


@pytest.fixture(scope="module")
def reader() -> Holder:
    return holder()


async def sent(gateway: Gateway, person: Person, sealing: dict[str, Any], **more: Any) -> tuple[Any, bytes]:
    """Return the one file of a fax, encrypted, and what it is in clear."""
    fax = await received(gateway, person, DRAWN, spool=True)
    form: Format = more.pop("format", "pdf")
    place, secret = more.get("place", FOLDER), TargetSecret(pdf_password=PASSWORD)
    (file, *_), _ = await leaving(gateway, person, fax, place | {"sealing": sealing}, format=form, secret=secret)
    (clear, *_), _ = await leaving(gateway, person, fax, FOLDER, format=form)
    return file, clear.content


@pytest.mark.requirement("XM-21")
async def test_age_opens_for_its_recipients_only(gateway: Gateway, person: Person) -> None:
    ours, theirs = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    file, clear = await sent(gateway, person, {"kind": "age", "recipients": [str(ours.to_public())]}, format="tiff")
    assert file.name.endswith(".tif.age")
    assert pyrage.decrypt(file.content, [ours]) == clear
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(file.content, [theirs])


@pytest.mark.requirement("XM-21")
async def test_openssl_opens_cms_with_the_key_of_the_certificate(
    gateway: Gateway, person: Person, reader: Holder, tmp_path: Path
) -> None:
    other = holder()
    sealing = {"kind": "smime", "certificates": [other.certificate, reader.certificate]}
    file, clear = await sent(gateway, person, sealing)
    assert file.name.endswith(".pdf.p7m")
    assert b"%PDF" not in file.content
    assert await opened(file.content, reader, tmp_path) == clear
    assert await opened(file.content, other, tmp_path) == clear
    with pytest.raises(subprocess.CalledProcessError):
        await opened(file.content, holder(), tmp_path)
    shown = await run("openssl", "cms", "-cmsout", "-print", "-inform", "DER", given=file.content)
    assert b"aes-256-cbc" in shown


@pytest.mark.requirement("XM-21")
async def test_mail_is_encrypted_to_a_message_that_mail_programs_open(
    gateway: Gateway, person: Person, reader: Holder, tmp_path: Path
) -> None:
    sealing = {"kind": "smime", "certificates": [reader.certificate]}
    file, clear = await sent(gateway, person, sealing, place=MAILBOX)
    assert (file.name, file.media_type) == ("smime.p7m", "application/pkcs7-mime; smime-type=enveloped-data")
    entity = email.message_from_bytes(await opened(file.content, reader, tmp_path))
    assert (entity.get_content_type(), entity.get_filename()) == ("application/pdf", "fax.pdf")
    assert entity.get_payload(decode=True) == clear


@pytest.mark.requirement("XM-21")
@pytest.mark.parametrize("place", [FOLDER, MAILBOX])
async def test_a_pdf_opens_with_its_password_only(
    gateway: Gateway, person: Person, tmp_path: Path, place: dict[str, Any]
) -> None:
    file, _ = await sent(gateway, person, {"kind": "pdf"}, place=place, format="tiff")
    assert (file.name.rpartition(".")[2], file.media_type) == ("pdf", "application/pdf")
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(io.BytesIO(file.content))
    with pikepdf.open(io.BytesIO(file.content), password=PASSWORD) as pdf:
        assert (pdf.encryption.R, pdf.encryption.bits, pdf.encryption.file_method.name) == (6, 256, "aesv3")
        assert not pdf.owner_password_matched
    assert all(page.octets not in file.content for page in DRAWN)
    if shutil.which("pdftoppm"):
        assert await drawn(file.content, tmp_path, PASSWORD) == await drawn(pdf_octets(DRAWN), tmp_path, "")


@pytest.mark.parametrize(
    "bad",
    [
        {"days": -1, "begins": -3},
        {"begins": 1},
        {"bits": 1024},
        {"bits": 0},
        {"extensions": [x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])]},
        {
            "extensions": [
                x509.KeyUsage(True, False, False, False, False, False, False, False, False),
                USUAL[1],
            ]
        },
    ],
    ids=["expired", "not yet valid", "RSA of 1024", "elliptic curve", "not for mail", "not for encryption"],
)
def test_a_certificate_that_is_not_good_for_it_is_refused(bad: dict[str, Any]) -> None:
    settings = SETTINGS.validate_python(
        FOLDER | {"sealing": {"kind": "smime", "certificates": [holder(**bad).certificate]}}
    )
    with pytest.raises(RequestError) as refused:
        check_sealing(settings, TargetSecret())
    assert refused.value.code == "target.certificate"


@pytest.mark.parametrize(
    ("sealing", "password", "code"),
    [
        ({"kind": "smime", "certificates": ["none"]}, "", "target.certificate"),
        ({"kind": "age", "recipients": ["age1none"]}, "", "target.recipient"),
        ({"kind": "age", "recipients": ["ssh-ed25519 none"]}, "", "target.recipient"),
        ({"kind": "pdf"}, "", "target.pdf_password"),
        ({"kind": "pdf"}, "short 1987", "target.pdf_password"),
        ({"kind": "pdf"}, "ababababababababababab", "target.pdf_password"),
        ({"kind": "pdf"}, "ÄÖÜäöüß€" * 10, "target.pdf_password"),
    ],
)
async def test_what_cannot_be_encrypted_does_not_leave(
    gateway: Gateway, person: Person, sealing: dict[str, Any], password: str, code: str
) -> None:
    fax = await received(gateway, person, spool=True)
    with pytest.raises(Refused) as refused:
        await leaving(gateway, person, fax, FOLDER | {"sealing": sealing}, secret=TargetSecret(pdf_password=password))
    assert refused.value.code == code


def test_a_generated_password_is_good_enough() -> None:
    settings = SETTINGS.validate_python(FOLDER | {"sealing": {"kind": "pdf"}})
    made = {new_pdf_password() for _ in range(50)}
    assert len(made) == 50
    for each in made:
        check_sealing(settings, TargetSecret(pdf_password=each))


@pytest.mark.parametrize(
    ("more", "protected"), [({}, False), ({"attested": True}, True), ({"sealing": {"kind": "pdf"}}, True)]
)
def test_a_target_is_protected_when_its_files_are_encrypted_or_somebody_attests_it(
    more: dict[str, Any], protected: bool
) -> None:
    assert is_protected(SETTINGS.validate_python(FOLDER | more)) is protected


async def opened(content: bytes, reader: Holder, folder: Path) -> bytes:
    key = folder / "key.pem"
    key.write_text(reader.key)
    (folder / "reader.pem").write_text(reader.certificate)
    to = ["-inkey", str(key), "-recip", str(folder / "reader.pem")]
    return await run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", *to, given=content)


async def drawn(content: bytes, folder: Path, password: str) -> list[bytes]:
    (folder / "drawn.pdf").write_bytes(content)
    asked = ["-upw", password] if password else []
    await run("pdftoppm", *asked, "-r", "50", str(folder / "drawn.pdf"), str(folder / "drawn"))
    return [(folder / f"drawn-{n}.ppm").read_bytes() for n in (1, 2)]


async def run(*command: str, given: bytes = b"") -> bytes:
    done = await asyncio.to_thread(subprocess.run, command, input=given, capture_output=True, check=True)
    return done.stdout
