"""Office files made by hand, as small as they can be, harmless and hostile ones."""

import io
import struct
import zipfile

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CONTENT_TYPES = """<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/word/document.xml"
 ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"""
ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{urn}:1.0"'
    for name, urn in (("office", "office"), ("text", "text"), ("draw", "drawing"), ("svg", "svg-compatible"))
)
MANIFEST = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


def zipped(members: dict[str, str | bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, octets in members.items():
            archive.writestr(name, octets)
    return out.getvalue()


def docx(text: str, *, body: str = "", relations: str = "", more: dict[str, str | bytes] | None = None) -> bytes:
    return zipped(
        {
            "[Content_Types].xml": CONTENT_TYPES,
            "_rels/.rels": f'<?xml version="1.0"?><Relationships xmlns="{RELATIONS}"><Relationship Id="r1" '
            f'Type="{DOCUMENT}/officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": f'<?xml version="1.0"?><Relationships xmlns="{RELATIONS}">{relations}'
            "</Relationships>",
            "word/document.xml": f'<?xml version="1.0"?><w:document xmlns:w="{WORD}" xmlns:r="{DOCUMENT}"><w:body>'
            f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>{body}</w:body></w:document>",
            **(more or {}),
        }
    )


def odt(text: str, *, body: str = "", manifest: str = "", more: dict[str, str | bytes] | None = None) -> bytes:
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<?xml version="1.0"?><office:document-content {ODF} '
            'xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2"><office:body><office:text>'
            f"<text:p>{text}</text:p>{body}</office:text></office:body></office:document-content>",
            "META-INF/manifest.xml": f'<?xml version="1.0"?><manifest:manifest xmlns:manifest="{MANIFEST}">'
            '<manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.text"/>'
            '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>'
            f"{manifest}</manifest:manifest>",
            **(more or {}),
        }
    )


def odt_with_links(text: str, *links: str) -> bytes:
    """Write a document that wants to take in other files: as sections, and as pictures."""
    sections = "".join(
        f'<text:section text:name="S{number}"><text:section-source xlink:href="{link}" xlink:type="simple"/>'
        "<text:p/></text:section>"
        f'<text:p><draw:frame text:anchor-type="as-char" svg:width="3cm" svg:height="3cm"><draw:image '
        f'xlink:href="{link}" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/></draw:frame></text:p>'
        for number, link in enumerate(links)
    )
    return odt(text, body=sections)


def docx_with_links(text: str, *links: str) -> bytes:
    fields = "".join(
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>'
        f'INCLUDETEXT "{link}"</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
        f'<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>INCLUDEPICTURE "{link}"'
        '</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
        for link in links
    )
    return docx(text, body=fields)


def html_with_links(text: str, *links: str) -> bytes:
    wants = "".join(
        f'<img src="{link}"><iframe src="{link}"></iframe><object data="{link}"></object>'
        f'<link rel="stylesheet" href="{link}"><script src="{link}"></script>'
        for link in links
    )
    return f"<!doctype html><html><body><p>{text}</p>{wants}</body></html>".encode()


def rtf_with_links(text: str, *links: str) -> bytes:
    fields = "".join(
        rf'{{\field{{\*\fldinst INCLUDETEXT "{link}"}}{{\fldrslt }}}}'
        rf'{{\field{{\*\fldinst INCLUDEPICTURE "{link}"}}{{\fldrslt }}}}'
        for link in links
    )
    return rf"{{\rtf1\ansi {text}\par {fields}}}".encode()


def overlapping_bomb() -> bytes:
    """Write a zip whose 4,000 members are all the same octets."""
    octets = zipped({"a": bytes(1 << 20)})
    at = octets.index(b"PK\x01\x02")
    end = octets.index(b"PK\x05\x06")
    entry = octets[at:end]
    names = [b"[Content_Types].xml", b"word/document.xml", *(b"%d" % number for number in range(4000))]
    directory = b"".join(entry[:28] + struct.pack("<H", len(name)) + entry[30:46] + name for name in names)
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(names), len(names), len(directory), at, 0)
    return octets[:at] + directory + tail
