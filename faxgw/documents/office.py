"""Office files told by their content, and refused where they have macros, are encrypted or unpack to gigabytes.

Nothing of them is interpreted here but the directory of a zip; that is for LibreOffice in its sandbox (libreoffice.py).
"""

import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO

from faxgw.errors import RequestError

MOST_MEMBERS = 5000
MOST_UNPACKED = 256 << 20
"""Octets of all members of a zip together; a long report with many pictures has 50 MB."""

CHUNK = 1 << 20
ZIP = b"PK\x03\x04"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MEMBER = b"PK\x01\x02"
HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.I | re.S
)
HEAD = 4096


@dataclass(frozen=True, slots=True)
class Kind:
    """What an office file is: its name in speech, the ending of a file's name, LibreOffice's filter that reads it."""

    label: str
    ending: str
    filter: str


DOCX = Kind("DOCX", "docx", "MS Word 2007 XML")
ODT = Kind("ODT", "odt", "writer8")
RTF = Kind("RTF", "rtf", "Rich Text Format")
HTML = Kind("HTML", "html", "HTML (StarWriter)")


def kind_of(octets: bytes, name: str) -> Kind | None:
    """Return which office file this is, None if it is none.

    Raises:
        RequestError: ``document.macros``, ``.encrypted``, ``.too_large``, ``.damaged``, or ``.unreadable`` for an
            office file of another kind.
    """
    if octets.startswith(b"{\\rtf"):
        return RTF
    if octets.startswith(ZIP):
        return _kind_of_zip(octets, name)
    if octets.startswith(OLE):
        raise RequestError(
            "document.unreadable",
            f"{name} is an encrypted office file or one of before 2007; send it as a PDF or as a plain DOCX.",
        )
    return HTML if HTML_START.match(octets[:HEAD]) else None


def _kind_of_zip(octets: bytes, name: str) -> Kind:
    # Counted first: reading the directory of a zip with a million members takes seconds and half a gigabyte.
    if octets.count(MEMBER) > MOST_MEMBERS:
        raise RequestError("document.too_large", f"{name} has more than {MOST_MEMBERS:,} members.")
    try:
        with zipfile.ZipFile(BytesIO(octets)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            kind = _kind(archive, members, name)
            _check_size(octets, archive.infolist(), name)
            _check_contents(archive, members, name)
            return kind
    except (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise RequestError("document.damaged", f"{name} begins like an office file, but cannot be read.") from error


def _kind(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> Kind:
    if "[Content_Types].xml" in members and "word/document.xml" in members:
        return DOCX
    if "mimetype" in members and "content.xml" in members:
        with archive.open("mimetype") as told:
            if told.read(100).strip() in (
                b"application/vnd.oasis.opendocument.text",
                b"application/vnd.sun.xml.writer",
            ):
                return ODT
    raise RequestError(
        "document.unreadable", f"{name} is a zip, but neither DOCX nor ODT; spreadsheets and slides go as a PDF."
    )


def _check_size(octets: bytes, members: list[zipfile.ZipInfo], name: str) -> None:
    """Unpack everything, keeping nothing: what a member says of its size may be a lie."""
    left = MOST_UNPACKED
    for member in members:
        left -= _unpacked(octets, member, most=left)
        if left < 0:
            raise RequestError("document.too_large", f"{name} unpacks to more than {MOST_UNPACKED >> 20} MB.")


def _unpacked(octets: bytes, member: zipfile.ZipInfo, *, most: int) -> int:
    """Return how many octets a member unpacks to; counting stops once there are more than ``most``."""
    local = member.header_offset
    name, extra = struct.unpack_from("<HH", octets, local + 26)
    start = local + 30 + name + extra
    packed = octets[start : start + member.compress_size]
    if member.compress_type == zipfile.ZIP_STORED:
        return len(packed)
    if member.compress_type != zipfile.ZIP_DEFLATED:
        raise zipfile.BadZipFile(f"compressed in way {member.compress_type}")
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    count = 0
    while packed and count <= most:
        count += len(inflating.decompress(packed, CHUNK))
        packed = inflating.unconsumed_tail
    return count


def _check_contents(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> None:
    if any(member.flag_bits & 1 for member in members.values()) or b"encryption-data" in _read(
        archive, members, "META-INF/manifest.xml"
    ):
        raise RequestError("document.encrypted", f"{name} is encrypted; send it without a password.")
    folders = {path.split("/")[0] for path in members if "/" in path}
    if folders & {"Basic", "Scripts"} or any(path.lower().endswith("vbaproject.bin") for path in members):
        raise RequestError("document.macros", f"{name} has macros; save it without them, or send it as a PDF.")


def _read(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: str) -> bytes:
    return archive.read(path) if path in members else b""
