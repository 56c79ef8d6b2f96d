"""Station identities, subaddresses and passwords: twenty characters, last one first on the wire; Internet addresses."""

LENGTH = 20
_BEFORE_TEXT = 3


def encoded(text: str) -> bytes:
    """Return the information field for ``text``.

    Raises:
        ValueError: if it is longer than 20 characters or not ASCII.

    >>> encoded("+1 555")
    b'555 1+              '
    """
    if len(text) > LENGTH or not text.isascii() or not text.isprintable():
        raise ValueError(f"a station identity has at most {LENGTH} printable ASCII characters: {text!r}")
    return text.encode()[::-1].ljust(LENGTH)


def decoded(fif: bytes) -> str:
    r"""Return the text; octets that are no printable ASCII are escaped, since machines send anything.

    >>> decoded(b"555 1+              "), decoded(b"\xe4B")
    ('+1 555', 'B\\xe4')
    """
    return _readable(fif[:LENGTH][::-1])


_KINDS = {1: "e-mail", 2: "URL", 3: "IPv4", 4: "IPv6", 5: "telephone"}


def internet(fif: bytes) -> str:
    r"""Return the kind and the text of an Internet address (TSA, CIA, CSA, IRA, ISP); its first character comes first.

    Three octets go before the text: a counter, the kind in the low half of its octet, the length in seven bits.

    >>> internet(b"\x00\x01\x05a@b.c"), internet(b"\x00\x09\x01a"), internet(b"")
    ('e-mail a@b.c', 'a', '')
    """
    if len(fif) <= _BEFORE_TEXT:
        return ""
    text = _readable(fif[_BEFORE_TEXT : _BEFORE_TEXT + (fif[2] & 0x7F)])
    return f"{_KINDS.get(fif[1] & 0x0F, '')} {text}".strip()


def _readable(octets: bytes) -> str:
    text = octets.decode("ascii", "backslashreplace")
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text).strip()
