"""Messages as octets: nobody's words become a header or a command, and no header tells of the inside."""

import email
import email.policy
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.delivery.carrier import Refused
from faxgw.mail.sending.mail import Mail
from faxgw.mail.sending.message import message_octets
from tests.faxgw.mail.sending.far_side import PAGE, file, mail
from tests.faxgw.mail.sending.reading import read

ROOM = Path(__file__).parents[4] / "faxgw" / "mail" / "sending"
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
HEADERS = ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]


def octets(of: Mail, name: str = "Fax") -> bytes:
    return message_octets(of, sender="fax@gateway.example", sender_name=name, now=NOW)


def test_a_message_has_these_headers_and_no_others() -> None:
    message = read(octets(mail(id=UUID(int=1), subject="Fax from +49…67")))
    assert message.keys() == HEADERS
    assert message["Message-ID"] == "<00000000-0000-0000-0000-000000000001@gateway.example>"
    assert message["Date"] == "Mon, 04 May 2026 03:02:01 +0000" and message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "Fax from +49…67" and message["From"] == "Fax <fax@gateway.example>"


def test_the_same_mail_is_the_same_message() -> None:
    sent = mail(text="größer\n.\nFrom here on\n" + "x" * 2000)
    assert octets(sent) == octets(sent)


def test_a_message_is_in_ascii_with_crlf_and_no_long_lines() -> None:
    message = octets(mail(subject="Ärzte " * 20, text="größer\r\n.\rFrom\n" + "x" * 2000), name='Müller, "Fax" <x@y>')
    assert (
        message.isascii() and b"\n" not in message.replace(b"\r\n", b"") and b"\r" not in message.replace(b"\r\n", b"")
    )
    assert max(map(len, message.split(b"\r\n"))) <= 998
    found = read(message)
    assert found["From"].addresses[0].addr_spec == "fax@gateway.example"
    body = found.get_body()
    assert body is not None and "größer" in body.get_content()


def test_attachments_come_out_as_they_went_in() -> None:
    files = (file(), file("b-1.pdf", b"%PDF" + bytes(3)))
    found = list(read(octets(mail(attachments=files))).iter_attachments())
    assert [(each.get_filename(), each.get_payload(decode=True)) for each in found] == [
        ("fax.tif", PAGE),
        ("b-1.pdf", b"%PDF\0\0\0"),
    ]


def test_what_is_encrypted_is_the_whole_body() -> None:
    sealed = file("smime.p7m", b"sealed")
    kind = "application/pkcs7-mime; smime-type=enveloped-data"
    sealed = type(sealed)(sealed.name, kind, sealed.content, sealed.sha256)
    message = read(octets(mail(attachments=(sealed,), text="words that are not for everybody")))
    assert message.get_content_type() == "application/pkcs7-mime"
    assert message.get_param("smime-type") == "enveloped-data" and message.get_filename() == "smime.p7m"
    assert message.get_payload(decode=True) == b"sealed" and "words" not in str(message)


@pytest.mark.parametrize(
    "to",
    [
        *("nobody", "@b.example", "a@", "a@b", "a b@c.example", "a@b.example\r\nBcc: x@y.example", "a@b.example\n"),
        *(
            "a@b.example, c@d.example",
            "<a@b.example>",
            '"a b"@c.example',
            "a@[192.0.2.1]",
            "a@192.0.2.1",
            "a@@b.example",
        ),
        *(
            ".a@b.example",
            "a.@b.example",
            "a..b@c.example",
            "a@b..example",
            "a@-b.example",
            "a\0@b.example",
            "a\x7f@b.example",
        ),
        *(
            "x" * 65 + "@b.example",
            "a@" + "b." * 130 + "example",
            "a@b.example>\r\nDATA",
            "a(x)@b.example",
            "a\u2028@b.example",
        ),
    ],
)
def test_what_is_no_address_is_refused(to: str) -> None:
    with pytest.raises(Refused) as told:
        mail(to)
    assert told.value.code == "mail.address"


@pytest.mark.parametrize(
    "subject", ["", "a\r\nBcc: x@y.example", "a\nb", "a\rb", "a\0", "x" * 201, "a\u2028b", "a\x85b"]
)
def test_a_subject_is_one_line(subject: str) -> None:
    with pytest.raises(Refused) as told:
        mail(subject=subject)
    assert told.value.code == "mail.subject"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a b.pdf", "a/b"),
        ("../a", "a/b"),
        ('a".pdf', "a/b"),
        ("a\r\n.pdf", "a/b"),
        ("a.pdf", "a/b\r\nX: y"),
        (".a", "a/b"),
        ("", "a/b"),
    ],
)
def test_an_attachment_s_name_cannot_become_anything_else(name: str, kind: str) -> None:
    usual = file()
    with pytest.raises(Refused) as told:
        mail(attachments=(type(usual)(name, kind, usual.content, usual.sha256),))
    assert told.value.code == "mail.attachment"


def test_names_in_other_letters_are_looked_up_in_ascii_and_written_as_they_are() -> None:
    plain = mail("fax@Ärzte.example")
    assert plain.recipient == "fax@xn--rzte-koa.example" and octets(plain).isascii()
    other = mail("büro@Ärzte.example")
    assert other.recipient == "büro@xn--rzte-koa.example"
    assert "To: büro@xn--rzte-koa.example\r\n".encode() in octets(other)


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=300))
def test_no_words_make_another_header_or_end_a_message(to: str, subject: str, text: str) -> None:
    try:
        made: Any = mail(to=f"{to}@b.example" if "@" not in to else to, subject=subject, text=text, attachments=())
    except Refused:
        return
    message = octets(made)
    assert {name.lower() for name in read_loosely(message)} == {
        each.lower() for each in [*HEADERS, "Content-Transfer-Encoding"]
    }
    assert b"\n.\r\n" not in message.partition(b"\r\n\r\n")[0]


def read_loosely(message: bytes) -> Any:
    return email.message_from_bytes(message, policy=email.policy.SMTPUTF8)


def test_every_reason_is_in_the_table_with_its_kind() -> None:
    code = "\n".join(path.read_text() for path in ROOM.glob("*.py"))
    said = {(name, kind) for kind, name in re.findall(r'(Unreachable|Refused|NotProtected)\(\s*"(mail\.\w+)"', code)}
    table = (ROOM / "README.md").read_text().partition("<!-- codes -->")[2].partition("<!-- /codes -->")[0]
    assert said == set(re.findall(r"\| `(mail\.\w+)` \| `(\w+)` \|", table))
