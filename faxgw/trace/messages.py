"""What a trace shows of a SIP message: all but what lets somebody in. What is masked keeps its length."""

import re

_OPEN = frozenset(
    {b"username", b"realm", b"nonce", b"nextnonce", b"uri", b"algorithm", b"qop", b"nc", b"opaque", b"stale", b"domain"}
)
"""What credentials may show: the rest of them is made from the password, or helps to guess it."""

LONGEST = 4096
"""Credentials longer than that are masked as a whole: looking through them may take a time that grows as its square."""

_CREDENTIALS = re.compile(
    rb"(?im)^([ \t]*(?:proxy-)?auth(?:orization|entication-info)[ \t]*:)((?:[^\n]|\n[ \t])*)",
)
"""A header field with its lines that are folded, wherever it stands: bodies may quote messages."""
_IN_URI = re.compile(rb"(?i)([?&;](?:proxy-)?authorization=)([^&>\s]*)")
_SCHEME = re.compile(rb"\s*digest\s", re.IGNORECASE)
_PARAMETER = re.compile(rb'([^\s=,"]+)(\s*=\s*)("(?:[^"\\]|\\.)*(?:"|\Z)|[^\s,]*)', re.DOTALL)
_WORD = re.compile(rb'[^\s<>"]+')
_PASSWORD = re.compile(rb"(sips?:[^:@]*:)([^;?]*)(?=@)", re.IGNORECASE)
_KEY = re.compile(rb"(?im)(?:^|(?<=\r))([ \t]*(?:k[ \t]*=|a[ \t]*=[ \t]*(?:key-mgmt|ice-pwd)[ \t]*:))([^\r\n]*)")
_CRYPTO = re.compile(rb"(?im)(?:^|(?<=\r))([ \t]*a[ \t]*=[ \t]*crypto[ \t]*:[ \t]*(?:\d+[ \t]+\w+[ \t])?)([^\r\n]*)")


def shown_message(octets: bytes) -> bytes:
    """Return a message as it is shown: without digests, keys of media, and passwords in addresses."""
    for pattern in (_IN_URI, _KEY, _CRYPTO):
        octets = pattern.sub(_masked, octets)
    octets = _WORD.sub(_without_password, octets)
    return _CREDENTIALS.sub(_shown_credentials, octets)


def _masked(found: re.Match[bytes]) -> bytes:
    return found[1] + _stars(found[2])


def _without_password(found: re.Match[bytes]) -> bytes:
    before, at, host = found[0].rpartition(b"@")
    return _PASSWORD.sub(_masked, before + at) + host if at else found[0]


def _stars(secret: bytes) -> bytes:
    """Mask letters, not the space and the line ends between them, so that a header field stays one."""
    return re.sub(rb"\S", b"*", secret)


def _shown_credentials(found: re.Match[bytes]) -> bytes:
    name, said = found[1], found[2]
    if len(said) > LONGEST:
        return name + _stars(said)
    scheme = _SCHEME.match(said)
    if scheme is None and b"authorization" in name.lower():
        kind, space, rest = said.lstrip().partition(b" ")
        return name + said[: len(said) - len(said.lstrip())] + kind + space + _stars(rest)
    begin = scheme.end() if scheme else 0
    shown, end = [name, said[:begin]], begin
    for each in _PARAMETER.finditer(said, begin):
        # What stands between parameters is white space and commas; if it is anything else, nobody knows what it is.
        shown += [_separators(said[end : each.start()]), _parameter(each)]
        end = each.end()
    return b"".join((*shown, _separators(said[end:])))


def _separators(between: bytes) -> bytes:
    return re.sub(rb"[^\s,]", b"*", between)


def _parameter(found: re.Match[bytes]) -> bytes:
    name, equals, value = found.groups()
    if name.lower() in _OPEN:
        return found[0]
    quotes = value[:1] == b'"' and value[-1:] == b'"' and len(value) > 1
    return name + equals + (b'"' + _stars(value[1:-1]) + b'"' if quotes else _stars(value))
