"""Where a message is to be faxed: the number from the address, or from the subject where the address is only a word.

>>> number_of("+49.30-123(45)67"), number_of("%2B49301234567"), number_of('"+49 30 1234567"')
('+49.30-123(45)67', '+49301234567', '+49 30 1234567')
>>> number_of("FAX=+49301234567/T33S=12"), number_of("sales")
('+49301234567/T33S=12', None)
"""

import re

from faxgw.numbers import Numbering

MOST_IN_SUBJECT = 50
"""Numbers in one subject."""

_PREFIX = re.compile(r"fax=", re.IGNORECASE)
_ESCAPED_PLUS = re.compile(r"%2b", re.IGNORECASE)
_NUMBER = re.compile(r"(?=.*\d)[\d\s().\-/+]{2,64}(/T33S=[0-9#]{1,20})?", re.IGNORECASE)
_BETWEEN = re.compile(r"[,;]")


def local_part(recipient: str) -> str:
    """Return what stands before the domain, without quotes."""
    local, at, _ = recipient.rpartition("@")
    local = local if at else recipient
    return re.sub(r"\\(.)", r"\1", local[1:-1]) if len(local) > 1 and local[0] == local[-1] == '"' else local


def number_of(local: str) -> str | None:
    """Return what is dialled for an address, with its subaddress (T.33), as people write it; None: it is no number."""
    text = local[1:-1] if len(local) > 1 and local[0] == local[-1] == '"' else local
    text = _PREFIX.sub("", _ESCAPED_PLUS.sub("+", text.strip()), count=1)
    return text if _NUMBER.fullmatch(text) else None


def numbers_of_subject(subject: str) -> list[str]:
    """Return the numbers that a subject consists of, parted by commas or semicolons; none, if it has other words.

    >>> numbers_of_subject("+49 30 1234567; 030/7654321"), numbers_of_subject("Your order 4711")
    (['+49 30 1234567', '030/7654321'], [])
    """
    parts = [each.strip() for each in _BETWEEN.split(subject) if each.strip()]
    found = [number_of(each) for each in parts[: MOST_IN_SUBJECT + 1]]
    return [each for each in found if each] if all(found) and len(found) <= MOST_IN_SUBJECT else []


def international(text: str, numbering: Numbering) -> str:
    """Return a number as a tenant without a region can be understood: 00 in front means +.

    >>> international("0049 30 1234567", Numbering()), international("0049 30 1234567", Numbering("DE"))
    ('+49 30 1234567', '0049 30 1234567')
    """
    return "+" + text[2:] if numbering.region is None and text.startswith("00") else text
