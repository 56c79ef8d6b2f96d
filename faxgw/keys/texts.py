"""Secrets as text, with a check against typing errors: for people (base 32), for programs (base 62)."""

import string

TYPED = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U."""
CARRIED = string.digits + string.ascii_uppercase + string.ascii_lowercase

CODE_OCTETS = 20
_CODE_LETTERS = 32
_CHECK_LETTERS = 3
_CHECK_PRIME = 32749
# A remainder by a prime differs for any one wrong letter and for any two neighbours exchanged.
_GROUP = 5
_LOOK_ALIKES = str.maketrans("OIL", "011", "- \t\n")


def typed(secret: bytes) -> str:
    """Return 20 octets as seven groups of five letters, the last three letters being a check.

    >>> typed(bytes(range(20)))
    '000G4-0R40M-30E20-9185G-R38E1-W8124-GKVYR'
    """
    letters = _in_base(int.from_bytes(secret), TYPED, _CODE_LETTERS) + _check(secret)
    return "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))


def read_typed(text: str) -> bytes:
    """Return the 20 octets of ``typed``; small letters, blanks, O for 0, I and L for 1 are all taken.

    Raises:
        ValueError: when the text is no such code or has a typing error.
    """
    letters = text.upper().translate(_LOOK_ALIKES)
    if len(letters) != _CODE_LETTERS + _CHECK_LETTERS:
        raise ValueError("a recovery code has 35 letters and digits")
    secret = _of_base(letters[:_CODE_LETTERS], TYPED).to_bytes(CODE_OCTETS)
    if letters[_CODE_LETTERS:] != _check(secret):
        raise ValueError("the recovery code has a typing error")
    return secret


def carried(octets: bytes) -> str:
    r"""Return octets in base 62, always of the same width for as many octets.

    >>> carried(bytes(4)), carried(b"\xff" * 4)
    ('000000', '4gfFC3')
    """
    return _in_base(int.from_bytes(octets), CARRIED, carried_width(len(octets)))


def read_carried(text: str, *, length: int) -> bytes:
    """Return the ``length`` octets of ``carried``.

    Raises:
        ValueError: when the text is not what ``carried`` makes of that many octets.
    """
    if len(text) != carried_width(length):
        raise ValueError(f"{len(text)} letters for {length} octets")
    try:
        return _of_base(text, CARRIED).to_bytes(length)
    except OverflowError:
        raise ValueError("too large a number") from None


def carried_width(length: int) -> int:
    """Return how many letters ``carried`` makes of this many octets."""
    width, room = 0, 1
    while room < 256**length:
        width, room = width + 1, room * len(CARRIED)
    return width


def _check(secret: bytes) -> str:
    return _in_base(int.from_bytes(secret) % _CHECK_PRIME, TYPED, _CHECK_LETTERS)


def _in_base(number: int, alphabet: str, width: int) -> str:
    letters = []
    for _ in range(width):
        number, digit = divmod(number, len(alphabet))
        letters.append(alphabet[digit])
    return "".join(reversed(letters))


def _of_base(letters: str, alphabet: str) -> int:
    number = 0
    for letter in letters:
        number = number * len(alphabet) + alphabet.index(letter)
    return number
