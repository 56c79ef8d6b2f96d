"""A small module with branches of every kind, for the test of the tool; ``specimen_tests.py`` misses some of them."""

from collections.abc import Iterator


def sized(length: int) -> str:
    if length < 0:
        raise ValueError("no length is below 0")
    if length > 100:
        return "long"  # nobody tests that
    return "short" if length < 10 else "middling"


class Counter:
    @property
    def first(self) -> int:
        return next(iter(self.up(limit=5)))

    def up(self, *, limit: int) -> Iterator[int]:
        count = 0
        while True:
            if count == limit:
                return
            yield count
            count += 1


def kind(thing: object) -> str:
    match thing:
        case int() | float() if thing == 0:
            return "nothing"
        case str() | bytes():
            return "text"
        case _:
            return "other"


def evens(numbers: list[object]) -> list[int]:
    found = []
    for number in numbers:
        try:
            value = int(str(number))
        except ValueError:
            continue
        if value % 2 == 0 and value and number:
            found.append(value)
    return [each for each in found if each < 10]
