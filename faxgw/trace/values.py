"""The values of the ports as JSON and back: by their types, so that one table serves every action and event."""

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from t30.line import Action, Event

ACTIONS = {kind.__name__: kind for kind in get_args(Action)}
EVENTS = {kind.__name__: kind for kind in get_args(Event)}

LARGEST = 1 << 28
"""Octets of one payload, at most: a file that claims more must not make us allocate it."""


class Payload(bytes):
    """Stands where octets were left out: ``head`` as it was, then zeros up to the length.

    It is bytes, so that a recorded event can be fed to the engine again, which never looks behind ``head``.

    Attributes:
        head: the octets at the beginning that were kept.
        sha256: of what followed it, in hex; empty where that would give a secret away.
    """

    head: bytes
    sha256: str

    def __new__(cls, head: bytes, length: int, sha256: str) -> Self:
        """Make one of ``length`` octets, ``head`` included."""
        if not len(head) <= length <= LARGEST:
            raise ValueError(f"a payload of {length} octets")
        made = super().__new__(cls, head + bytes(length - len(head)))
        made.head, made.sha256 = head, sha256
        return made


def plain(value: object) -> Any:
    """Return a value as JSON has it: enums by name, octets in hex, a ``Payload`` as what is known of it."""
    match value:
        case Enum():
            return value.name
        case Payload():
            kept = {"head": _hex(value.head)} if value.head else {}
            return {**kept, "octets": len(value), **({"sha256": value.sha256} if value.sha256 else {})}
        case bytes():
            return _hex(value)
        case frozenset():
            return sorted(map(plain, value))
        case tuple():
            return [plain(each) for each in value]
        case _ if is_dataclass(value):
            return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    return value


def valued(kind: Any, json: Any) -> Any:
    """Return the value of type ``kind`` that ``plain`` made ``json`` of. Fields that JSON lacks have their default.

    Raises:
        ValueError, TypeError, KeyError: if ``json`` is none of that type.
    """
    outer = get_origin(kind)
    if outer is UnionType:
        return None if json is None else valued(next(one for one in get_args(kind) if one is not NoneType), json)
    if outer in (tuple, frozenset):
        return outer(valued(get_args(kind)[0], each) for each in _is(list, json))
    if kind is bytes:
        return _octets(json)
    if kind is float:
        return _finite(json)
    if issubclass(kind, Enum):
        return kind[json]
    if isinstance(kind, type) and is_dataclass(kind):
        given = _is(dict, json)
        return kind(**{name: valued(hint, given[name]) for name, hint in _hints(kind).items() if name in given})
    return _is(kind, json)


def unknown(kind: Any, json: Any) -> Iterator[str]:
    """Yield the names in ``json`` that a value of type ``kind`` has no field for, those inside it with dots."""
    outer = get_origin(kind)
    if outer is UnionType:
        kinds = [one for one in get_args(kind) if one is not NoneType]
        yield from unknown(kinds[0], json)
    elif outer in (tuple, frozenset) and isinstance(json, list):
        for each in json:
            yield from unknown(get_args(kind)[0], each)
    elif isinstance(kind, type) and is_dataclass(kind) and isinstance(json, dict):
        hints = _hints(kind)
        for name, given in json.items():
            if name not in hints:
                yield name
            else:
                yield from (f"{name}.{each}" for each in unknown(hints[name], given))


def agrees(now: object, then: object, given: Any) -> bool:
    """Tell whether a value is the same as one that was recorded, as far as that was.

    Args:
        now: of today.
        then: as it was read.
        given: as it stands in the file: fields that it lacks are not compared.
    """
    if is_dataclass(then) and isinstance(given, dict) and type(now) is type(then):
        names = [each.name for each in fields(then) if each.name in given]
        return all(agrees(getattr(now, name), getattr(then, name), given[name]) for name in names)
    if isinstance(now, tuple) and isinstance(then, tuple) and isinstance(given, list):
        return len(now) == len(then) == len(given) and all(map(agrees, now, then, given))
    return now == then


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _hex(octets: bytes) -> str:
    return (octets.hex(" ") if len(octets) <= 64 else octets.hex()).upper()


def _octets(json: Any) -> bytes:
    if isinstance(json, dict):
        return Payload(bytes.fromhex(json.get("head", "")), _is(int, json["octets"]), _is(str, json.get("sha256", "")))
    return bytes.fromhex(json)


def _finite(json: Any) -> float:
    if isinstance(json, bool) or not isinstance(json, int | float) or not math.isfinite(json):
        raise ValueError(f"{json!r} is no number of seconds")
    return float(json)


def _is(kind: type, json: Any) -> Any:
    if type(json) is not kind:
        raise TypeError(f"{json!r} is no {kind.__name__}")
    return json
