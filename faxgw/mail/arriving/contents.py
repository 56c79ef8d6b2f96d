"""What of a message is to be faxed: its attachments; or, without any, the text itself, and the pictures in it.

| in the message | becomes |
|---|---|
| an attachment: PDF, TIFF, PNG, JPEG, text, DOCX, ODT, RTF, HTML | pages, in the order of the attachments |
| the text, beside attachments | nothing, or the cover page, as the device is set |
| the text, without attachments | pages: as plain text, if the message has that, else as HTML |
| a picture shown in the text, such as a logo | nothing, beside attachments; without any, pages after the text |
| a signature (S/MIME, PGP), a visiting card | nothing |
| winmail.dat, a message that is encrypted, or signed so that it cannot be read without a key's tools | refused |

An attachment that is none of these is refused with the whole message: nothing is left out unsaid.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from faxgw.mail.arriving.mime import Message, MimePart, Unreadable, decoded

IGNORED = frozenset(
    {
        "application/pkcs7-signature",
        "application/x-pkcs7-signature",
        "application/pgp-signature",
        "application/pgp-keys",
        "text/vcard",
        "text/x-vcard",
        "text/directory",
    }
)
SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"})
WINMAIL = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
MOST_FILES = 50
"""Documents of one fax."""
_CHARSET = re.compile(rb"(charset\s*=\s*[\"']?)[\w.:-]+", re.IGNORECASE)
_HEAD = 4096
_NAMED = "attachment {0}"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One document of a message.

    Attributes:
        name: what it is called in what is said to its sender: its place, and never its own name.
    """

    name: str
    media_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is to be faxed.

    Attributes:
        words: the text of the message, if it is none of the attachments and not blank.
    """

    attachments: tuple[Attachment, ...]
    words: str = field(default="", repr=False)


def contents_of(message: Message) -> Contents:
    """Return what of a message is to be faxed.

    Raises:
        Unreadable: ``mail.encrypted``, ``mail.winmail``, ``mail.encoding``, or ``mail.empty``.
    """
    if message.kind == "multipart/encrypted":
        raise _encrypted()
    parts = [part for part in message.parts if part.kind not in IGNORED]
    for part in parts:
        _refuse_sealed(part)
    texts = [part for part in parts if part.is_text]
    pictures = [part for part in parts if _is_shown(part)]
    files = [part for part in parts if not part.is_text and not _is_shown(part)]
    if len(files) > MOST_FILES or len(pictures) >= MOST_FILES:
        raise Unreadable("mail.parts", f"The message has more than {MOST_FILES} attachments.")
    if files:
        plain, _ = _text_of(texts)
        return Contents(tuple(_attachments(files)), plain)
    plain, document = _text_of(texts)
    found = ([document] if document else []) + list(_attachments(pictures))
    if not found:
        raise Unreadable("mail.empty", "The message has neither an attachment nor a text.")
    return Contents(tuple(found))


def _refuse_sealed(part: MimePart) -> None:
    """Refuse what only its recipient's programs can open.

    Raises:
        Unreadable: ``mail.encrypted`` or ``mail.winmail``.
    """
    if part.kind in SEALED:
        raise _encrypted()
    if part.kind in WINMAIL or part.name.lower() == "winmail.dat":
        reason = "The message is in Outlook's own form (winmail.dat); have it sent as HTML or plain text."
        raise Unreadable("mail.winmail", reason)


def _encrypted() -> Unreadable:
    reason = "The message is encrypted, or signed as one block; send it without: the connection protects it."
    return Unreadable("mail.encrypted", reason)


def _is_shown(part: MimePart) -> bool:
    """Tell whether a part is a picture that the text shows."""
    is_picture = part.related and part.kind.startswith("image/")
    return is_picture and part.disposition != "attachment" and bool(part.content_id)


def _text_of(texts: Iterable[MimePart]) -> tuple[str, Attachment | None]:
    """Return the text of a message, and the same as a document: plain where there is that, else HTML."""
    html: Attachment | None = None
    plain = []
    for part in texts:
        said = part.text()
        if part.kind == "text/html":
            html = html or Attachment("the text of the message", "text/html", _html(said))
        elif said.strip():
            plain.append(said)
    if plain:
        words = "\n".join(plain).replace("\r\n", "\n").strip("\n")
        return words, Attachment("the text of the message", "text/plain", words.encode("utf-8", "replace"))
    return "", html


def _attachments(parts: Iterable[MimePart]) -> Iterable[Attachment]:
    for place, part in enumerate(parts, start=1):
        octets = part.octets()
        if part.kind == "text/plain":
            octets = decoded(octets, part.parameters.get("charset", "")).encode("utf-8", "replace")
        elif part.kind == "text/html":
            octets = _html(part.text())
        yield Attachment(_NAMED.format(place), part.kind, octets)


def _html(text: str) -> bytes:
    """Return HTML in UTF-8 that says so, and begins like HTML."""
    octets = text.lstrip("\ufeff").encode("utf-8", "replace")
    head = _CHARSET.sub(rb"\g<1>utf-8", octets[:_HEAD])
    begins = re.match(rb"\s*<(!doctype\s+html|html)[\s>]", head, re.IGNORECASE) is not None
    start = b"" if begins else b'<!DOCTYPE html>\n<meta charset="utf-8">\n'
    return start + head + octets[_HEAD:]
