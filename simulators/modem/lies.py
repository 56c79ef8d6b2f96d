"""What a lying firmware says that is not so."""

from collections.abc import Callable
from random import Random

from simulators.modem.dte import Result


class FalseHook:
    """Detection of the hook that is wrong: the call is said to be gone, and is not.

    Args:
        said: what is said; None: nothing.
        say: says it to the DTE.
    """

    def __init__(self, said: Result | None, say: Callable[[Result], None]) -> None:
        self._said = said
        self._say = say
        self._refuses = False

    def before_operation(self) -> Result | None:
        """Say it by the way if it is BUSY or RING; return it every other time if it is to stand for the operation."""
        if self._said is Result.NO_CARRIER:
            self._refuses = not self._refuses
            return self._said if self._refuses else None
        if self._said:
            self._say(self._said)
        return None


class Rubbish:
    """What a receiver makes of a carrier that it was not made for; the same octets each time."""

    def __init__(self) -> None:
        self._random = Random(0)

    def octets(self, count: int) -> bytes:
        """Return the next octets."""
        return self._random.randbytes(count)
