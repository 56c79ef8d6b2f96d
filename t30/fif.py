"""How a facsimile information field is declared: once, as named bits; from them it is read, built, explained.

Bits are numbered as in T.30 Table 2: bit 1 is the first on the wire. From the third octet on, the last bit of an octet
says whether another octet follows.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class Pattern(Generic[T]):
    """Some bits of a field, and what their patterns mean."""

    def __init__(self, first: int, meanings: Mapping[str, T], words: str, *, otherwise: T) -> None:
        """Declare a field.

        Args:
            first: number of the first bit.
            meanings: from bit pattern, first bit first, to meaning.
            words: what the field is about.
            otherwise: the meaning of a pattern that the Recommendation does not give.
        """
        self.first = first
        self.count = len(next(iter(meanings)))
        self.meanings = dict(meanings)
        self.words = words
        self.otherwise = otherwise

    def __set_name__(self, owner: type["Fif"], name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type["Fif"]) -> Self: ...
    @overload
    def __get__(self, instance: "Fif", owner: type["Fif"]) -> T: ...
    def __get__(self, instance: "Fif | None", owner: type["Fif"]) -> Self | T:
        if instance is None:
            return self
        return self.meanings.get(instance.bits(self.first, self.count), self.otherwise)

    def pattern(self, meaning: T) -> str:
        """Return the bits that say ``meaning``.

        Raises:
            ValueError: if no pattern says it.
        """
        for pattern, known in self.meanings.items():
            if known == meaning:
                return pattern
        raise ValueError(f"{self.words}: no bit pattern says {meaning!r}")


def bit(number: int, words: str) -> Pattern[bool]:
    """Declare one bit."""
    return Pattern(number, {"0": False, "1": True}, words, otherwise=False)


class Fif:
    """A facsimile information field of named bits. Unknown bits survive; what is beyond its end reads as zero."""

    __slots__ = ("octets",)

    def __init__(self, octets: bytes = bytes(3)) -> None:
        self.octets = octets

    @classmethod
    def fields(cls) -> Iterator[Pattern[Any]]:
        """Yield the declarations in the order of their bits."""
        found = [each for base in cls.__mro__ for each in vars(base).values() if isinstance(each, Pattern)]
        return iter(sorted(found, key=lambda each: each.first))

    def but(self, **changes: Any) -> Self:
        """Return a copy in which the named fields mean something else."""
        bits = list(self.bits(1, 8 * len(self.octets)))
        for name, meaning in changes.items():
            declared = getattr(type(self), name)
            pattern = declared.pattern(meaning)
            last = declared.first + len(pattern) - 1
            if "1" in pattern:
                bits += "0" * (-(-last // 8) * 8 - len(bits))
            for number, value in enumerate(pattern[: max(0, len(bits) - declared.first + 1)], declared.first):
                bits[number - 1] = value
        for octet in range(3, len(bits) // 8):
            bits[8 * octet - 1] = "1"
        return type(self)(_packed(bits))

    def bits(self, first: int, count: int) -> str:
        """Return ``count`` bits from number ``first`` on, first bit first; what no extend bit announced is zero."""
        valid = int.from_bytes(self.octets[: self._announced()], "little")
        return "".join("1" if valid >> position & 1 else "0" for position in range(first - 1, first - 1 + count))

    def explain(self) -> list[str]:
        """Say in words what is set: one line per field whose bits are not all zero."""
        lines = []
        for declared in self.fields():
            if "1" in self.bits(declared.first, declared.count):
                meaning = declared.__get__(self, type(self))
                lines.append(declared.words if meaning is True else f"{declared.words}: {_words(meaning)}")
        return lines

    def _announced(self) -> int:
        """Return how many octets count: the third and every later one only if the one before says that it follows."""
        count = min(3, len(self.octets))
        while 3 <= count < len(self.octets) and self.octets[count - 1] & 0x80:
            count += 1
        return count

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash((type(self), self.octets))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.octets.hex(' ')})"


def _packed(bits: list[str]) -> bytes:
    return int("".join(reversed(bits)), 2).to_bytes(len(bits) // 8, "little")


def _words(meaning: object) -> str:
    return ", ".join(sorted(map(str, meaning))) if isinstance(meaning, frozenset) else str(meaning)
