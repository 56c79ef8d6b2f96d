"""Columns whose values lie sealed in the database: the engine's dialect has the keys, see ``Database``.

What they hold can be compared with nothing, but for what ``Findable`` allows: a comparison of sealed octets by mistake
is refused where the statement is built.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, Dialect, Engine, LargeBinary, TypeDecorator, literal, type_coerce
from sqlalchemy.sql import operators
from sqlalchemy.types import ARRAY, NullType, TypeEngine

from faxgw.keys.values import ValueSeals

Form = Literal["text", "json", "octets"]
_SEALS = "faxgw_value_seals"
_OF_NULL = {operators.is_, operators.is_not}
_EQUALITY = _OF_NULL | {operators.eq, operators.ne, operators.in_op, operators.not_in_op}


def give_seals(engine: Engine, seals: ValueSeals | None) -> None:
    """Have an engine seal and open values; without seals it refuses to."""
    setattr(engine.dialect, _SEALS, seals)


def after(column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Return the condition that a ``Findable`` column comes after a value, in the order of the sealed ones."""
    return type_coerce(column, LargeBinary) > literal(value, column.type)


class _Compared(TypeDecorator.Comparator[Any]):
    """Comparisons, of which only those that the type allows can be built."""

    def operate(self, op: Any, *other: Any, **kwargs: Any) -> Any:
        kind = cast("SealedType", self.type)
        if op not in kind.allowed or not all(_alike(kind, each) for each in other):
            raise TypeError(f"A value of {kind.context} is sealed: {op.__name__} cannot be asked of it.")
        return super().operate(op, *other, **kwargs)

    def reverse_operate(self, op: Any, other: Any, **kwargs: Any) -> Any:
        return self.operate(op, other, **kwargs)  # none of what has an order is allowed


class SealedType(TypeDecorator[Any]):
    """What is common to both: a value of ``context``, as ``form``, in a column of octets."""

    impl = LargeBinary
    cache_ok = True
    comparator_factory = _Compared
    allowed: frozenset[Any] = frozenset()

    def __init__(self, context: str, form: Form = "text") -> None:
        """Take what the values are, which is bound to them, and their form: text, a JSON object, or octets."""
        super().__init__()
        self.context = context
        self.form: Form = form

    def process_bind_param(self, value: Any, dialect: Dialect) -> bytes | None:
        """Seal a value; what is empty stays so."""
        if value is None:
            return None
        octets = _OCTETS[self.form](value)
        return self.sealed(_seals(dialect), octets) if octets else b""

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        """Open a value.

        Raises:
            ValueBroken: when it was not sealed by this server's keys, or for something else.
        """
        if value is None:
            return None
        return _VALUES[self.form](_seals(dialect).open(value, context=self.context) if value else b"")

    def sealed(self, seals: ValueSeals, octets: bytes) -> bytes:
        """Return octets as they are stored."""
        raise NotImplementedError


class Sealed(SealedType):
    """A value of which the database knows nothing; nothing can be asked of it but whether it is null."""

    cache_ok = True
    allowed = frozenset(_OF_NULL)

    def sealed(self, seals: ValueSeals, octets: bytes) -> bytes:
        """Return octets sealed, never twice the same."""
        return seals.seal(octets, context=self.context)


class Findable(SealedType):
    """A text that can be asked for, whole: equal ones of the same context are equal in the database, too."""

    cache_ok = True
    allowed = frozenset(_EQUALITY)

    def __init__(self, context: str) -> None:
        """Take what the values are; columns that are compared with each other have the same."""
        super().__init__(context)

    def sealed(self, seals: ValueSeals, octets: bytes) -> bytes:
        """Return octets sealed, the same for the same."""
        return seals.seal_findable(octets, context=self.context)


def _alike(kind: SealedType, other: Any) -> bool:
    """Tell whether something may be compared: a value of Python's, or an expression of the same kind."""
    found: TypeEngine[Any] | None = getattr(other, "type", None)
    if isinstance(found, ARRAY):
        found = found.item_type
    return (
        found is None or isinstance(found, NullType) or (isinstance(found, Findable) and found.context == kind.context)
    )


def _seals(dialect: Dialect) -> ValueSeals:
    seals: ValueSeals | None = getattr(dialect, _SEALS, None)
    if seals is None:
        raise RuntimeError("This database was opened without the keys to its sealed values.")
    return seals


def _json_octets(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() if value else b""


_OCTETS: Mapping[Form, Callable[[Any], bytes]] = {"text": str.encode, "json": _json_octets, "octets": bytes}
_VALUES: Mapping[Form, Callable[[bytes], Any]] = {
    "text": bytes.decode,
    "json": lambda octets: json.loads(octets) if octets else {},
    "octets": bytes,
}
