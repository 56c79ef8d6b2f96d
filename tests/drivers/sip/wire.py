"""Messages for tests: written by hand, so that no writer of ours is needed to make them."""

from collections.abc import Mapping

COMMON = {
    "Via": "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds",
    "Max-Forwards": "70",
    "From": '"Fax" <sip:fax@gw.example.com>;tag=1928301774',
    "To": "<sip:+15550100@trunk.example.com>",
    "Call-ID": "a84b4c76e66710@192.0.2.1",
    "CSeq": "314159 INVITE",
    "Contact": "<sip:fax@192.0.2.1>",
}

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def wire(
    start: str = "INVITE sip:+15550100@trunk.example.com SIP/2.0",
    fields: Mapping[str, str | None] | None = None,
    *,
    body: bytes = b"",
    length: str | None = "",
) -> bytes:
    """Return a message: the fields of ``COMMON`` with some replaced (None: left out) or added.

    ``length``: what Content-Length says, "" for the truth, None for no such field.
    """
    said = {name: value for name, value in (COMMON | dict(fields or {})).items() if value is not None}
    if length is not None:
        said["Content-Length"] = length or str(len(body))
    lines = [start, *(f"{name}: {value}" for name, value in said.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body
