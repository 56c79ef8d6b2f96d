"""Station identities, subaddresses and passwords: twenty characters, last one first on the wire."""

LENGTH = 20


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
    text = fif[:LENGTH][::-1].decode("ascii", "backslashreplace")
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text).strip()
