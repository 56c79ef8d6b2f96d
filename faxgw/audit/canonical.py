"""One spelling for every row: JSON as RFC 8785 writes it, of which faxgw needs no fractions.

Members are sorted, nothing is between them, text is UTF-8; so equal values are equal octets, and a hash of them means
something.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Json = None | bool | int | str | Sequence["Json"] | Mapping[str, "Json"]

LARGEST = 2**53 - 1
"""Integers beyond it are read differently from one program to the next."""


class NotCanonical(ValueError):
    """A value has no canonical form, or octets are not in it."""


def canonical(value: Any) -> bytes:
    """Return the canonical form of null, booleans, integers, text, and lists and objects of these.

    Raises:
        NotCanonical: for any other value, an integer of more than 53 bits, or text that is not Unicode.

    >>> canonical({"b": [1, None], "a": "ü"}).decode()
    '{"a":"ü","b":[1,null]}'
    """
    try:
        return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise NotCanonical("the text has half a character (a lone surrogate)") from None


def read(octets: bytes) -> Any:
    """Return the value whose canonical form the octets are.

    Raises:
        NotCanonical: if they are the canonical form of nothing.
    """
    try:
        value = json.loads(octets.decode(), parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError):
        raise NotCanonical("this is not JSON as the log writes it") from None
    if canonical(value) != octets:
        raise NotCanonical("this JSON is not spelled as the log spells it")
    return value


def _sorted(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise NotCanonical(f"the integer {value} has more than 53 bits")
        return value
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise NotCanonical("the name of a member is not text")
        return {name: _sorted(value[name]) for name in sorted(value, key=_order)}
    if isinstance(value, list | tuple):
        return [_sorted(each) for each in value]
    raise NotCanonical(f"a {type(value).__name__} has no canonical form")


def _order(name: str) -> bytes:
    """Return what members are sorted by: UTF-16, as RFC 8785 wants it."""
    return name.encode("utf-16-be", "surrogatepass")


def _no_fraction(text: str) -> Any:
    raise NotCanonical(f"{text} is no integer")
