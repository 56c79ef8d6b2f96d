"""Messages taken apart: what is in them, however they are written, and no more time or room than is due."""

import base64
import random
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.mail.arriving.contents import contents_of
from faxgw.mail.arriving.mime import MOST_HEADER, MOST_PARTS, Unreadable, read_message
from tests.faxgw.mail.arriving.letters import HTML, PDF, TIFF, attachment, letter, lines, multi, part, text


def refused(content: bytes) -> str:
    """Return the code by which a message is refused."""
    with pytest.raises(Unreadable) as found:
        contents_of(read_message(content))
    return found.value.code


def documents(content: bytes) -> list[tuple[str, bytes]]:
    return [(each.media_type, each.octets) for each in contents_of(read_message(content)).attachments]


@given(st.lists(st.tuples(st.sampled_from([PDF, TIFF, "image/png"]), st.binary(max_size=3000)), max_size=5), st.text())
def test_what_another_program_wrote_is_read_as_it_was(files: list[tuple[str, bytes]], words: str) -> None:
    written = EmailMessage(policy=policy.SMTP)
    written["Subject"] = "Grüße"
    written.set_content("Hello\n")
    name = " ".join(["a", *words[:20].splitlines()])  # of several lines, Python writes none
    for kind, octets in files:
        major, minor = kind.split("/")
        written.add_attachment(octets, maintype=major, subtype=minor, filename=name)
    message = read_message(written.as_bytes())
    assert message.subject == "Grüße"
    assert [(each.kind, each.octets()) for each in message.parts if each.kind != "text/plain"] == files


def test_beside_attachments_the_text_is_apart_and_logos_are_left_out() -> None:
    logo = part("image/png", b"logo", "Content-ID: <logo@x>", "Content-Disposition: inline")
    shown = multi([text("<p>Regards</p>", HTML), logo], "related", "=_r")
    both = multi([text("Regards"), shown], "alternative", "=_a")
    found = contents_of(read_message(letter(multi([both, attachment(PDF, b"%PDF-1"), attachment(TIFF, b"II*")]))))
    assert [(each.media_type, each.octets) for each in found.attachments] == [(PDF, b"%PDF-1"), (TIFF, b"II*")]
    assert found.words == "Regards"


def test_without_attachments_the_text_goes_plain_if_it_can_with_the_pictures_in_it() -> None:
    logo = part("image/png", b"picture", "Content-ID: <1>", "Content-Disposition: inline")
    html = text("<p>Gr\u00fc\u00dfe</p>", HTML)
    only_html = multi([html, logo], "related")
    found = documents(letter(only_html))
    assert [kind for kind, _ in found] == ["text/html", "image/png"]
    assert found[0][1].startswith(b"<!DOCTYPE html>") and "Grüße".encode() in found[0][1]
    both = multi([text("Grüße"), html], "alternative")
    assert documents(letter(both)) == [("text/plain", "Grüße".encode())]
    assert documents(lines("Subject: x", "", "Just text", "")) == [("text/plain", b"Just text")]


def test_an_attachment_within_one_of_the_alternatives_is_not_lost() -> None:
    inner = multi([text("<p>a</p>", HTML), attachment(PDF, b"%PDF-1"), text("<p>b</p>", HTML)], "mixed", "=_i")
    assert documents(letter(multi([text("a"), inner], "alternative"))) == [(PDF, b"%PDF-1")]


@pytest.mark.parametrize(
    ("charset", "octets", "said"),
    [
        ("iso-8859-1", b"Gr\xfc\xdfe", "Grüße"),
        ("WINDOWS-1252", b"\x80 5", "€ 5"),
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("", b"Gr\xfc\xdfe", "Grüße"),
        ("punycode", b"Hello", "Hello"),
        ("zlib", b"Hello", "Hello"),
        ("none-such", b"Hello", "Hello"),
    ],
)
def test_text_is_read_in_whatever_it_is_written(charset: str, octets: bytes, said: str) -> None:
    kind = f"text/plain; charset={charset}" if charset else "text/plain"
    assert documents(letter(part(kind, octets))) == [("text/plain", said.encode())]
    assert documents(letter(multi([attachment(kind, octets)]))) == [("text/plain", said.encode())]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (multi([text("x"), attachment("application/ms-tnef", b"x", "winmail.dat")]), "mail.winmail"),
        (multi([attachment("application/octet-stream", b"x", "WINMAIL.DAT")]), "mail.winmail"),
        (part("application/pkcs7-mime; smime-type=enveloped-data", b"x"), "mail.encrypted"),
        (part("application/x-pkcs7-mime; smime-type=signed-data", b"x"), "mail.encrypted"),
        (
            multi([part("application/pgp-encrypted", b"Version: 1"), attachment(PDF, b"x")], "encrypted"),
            "mail.encrypted",
        ),
        (multi([text(" \r\n ")]), "mail.empty"),
        (multi([]), "mail.empty"),
        (lines("Content-Type: multipart/mixed", "", "x"), "mail.header"),
        (lines(f"Content-Type: {PDF}", "Content-Transfer-Encoding: x-uuencode", "", "begin"), "mail.encoding"),
        (lines(f"Content-Type: {PDF}", "Content-Transfer-Encoding: base64", "", "QUJDR"), "mail.encoding"),
    ],
    ids=["winmail", "winmail by name", "enveloped", "opaque", "pgp", "blank", "none", "no boundary", "uu", "cut"],
)
def test_what_cannot_be_faxed_is_refused_with_a_reason(body: bytes, code: str) -> None:
    assert refused(letter(body)) == code


def test_a_signature_beside_a_message_does_no_harm() -> None:
    inner = multi([text("x"), attachment(PDF, b"%PDF-1")], boundary="=_i")
    signed = multi([inner, attachment("application/pkcs7-signature", b"sig", "smime.p7s")], "signed")
    assert documents(letter(signed)) == [(PDF, b"%PDF-1")]


def _nested(depth: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=x%05d\r\n\r\n--x%05d\r\n" % (i, i) for i in range(depth))


MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
BOMBS = {
    "ten thousand parts": (MIXED + b"--x\r\n\r\nhello\r\n" * 10_000 + b"--x--\r\n", "mail.parts"),
    "ten million parts": (MIXED + b"--x\r\n\r\n\r\n" * 2_500_000, "mail.parts"),
    "multiparts without end": (MIXED + (b"--x\r\n" + MIXED) * 100_000, "mail.parts"),
    "depth": (_nested(10_000), "mail.depth"),
    "decoys": (MIXED + b"--xx\r\n" * 4_000_000, "mail.parts"),
    "a long header": (b"X: " + b"a" * MOST_HEADER + b"\r\n\r\nx", "mail.header"),
    "many headers": (b"X: a\r\n" * 100_000 + b"\r\nx", "mail.header"),
    "a long boundary": (b"Content-Type: multipart/mixed; boundary=" + b"x" * 1000 + b"\r\n\r\n", "mail.header"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_no_time(name: str) -> None:
    content, code = BOMBS[name]
    began = monotonic()
    assert refused(content) == code
    assert monotonic() - began < 0.5


def test_as_many_parts_as_are_allowed_are_read() -> None:
    parts = [attachment(PDF, b"%d" % i) for i in range(MOST_PARTS)]
    assert refused(letter(multi(parts))) == "mail.parts"
    assert len(read_message(letter(multi(parts[:-1]))).parts) == MOST_PARTS - 1
    assert refused(letter(multi(parts[:-1]))) == "mail.parts"  # one fax has 50 documents at the most
    assert len(documents(letter(multi(parts[:50])))) == 50


def test_whatever_comes_is_read_or_refused_and_nothing_else() -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    whole = letter(multi([text("Hello"), attachment(PDF, b"%PDF-1 " * 50), multi([text("x")], boundary="=_n")]), "=?x?")
    for _ in range(2000):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 8)):
            at = chance.randrange(len(content))
            content[at : at + chance.randrange(4)] = chance.choice([b"", b"\r\n", b"--=_b", b";", b'"', b"\xff", b"=?"])
        try:
            contents_of(read_message(bytes(content)))
        except Unreadable as refusal:
            assert refusal.code.startswith("mail.")


def test_the_same_is_found_as_by_another_reader() -> None:
    files = [attachment(PDF, bytes(range(256)) * n) for n in (1, 7, 100)]
    content = letter(multi([text("Hello"), *files]))
    other = BytesParser(policy=policy.SMTP).parsebytes(content)
    theirs = [each.get_payload(decode=True) for each in other.iter_parts()]
    assert [each.octets() for each in read_message(content).parts] == theirs
    assert base64.b64encode(theirs[1])[:4] == b"AAEC"
