"""A fax machine that talks nonsense now and then: a habit of an otherwise faultless one, from a seed."""

from collections.abc import Generator
from dataclasses import replace
from random import Random

from simulators.machine import Habit
from t30.fcf import Fcf
from t30.line import Action, Event, SendData, SendFrames


class TalksNonsense(Habit):
    """Says something senseless in place of about every sixth signal: frames of any content, octets of no page."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"nonsense {seed}")

    def do(self, action: Action) -> Generator[Action, Event, Event]:
        """Change what is said."""
        if self._random.random() < 1 / 6:
            if isinstance(action, SendFrames):
                action = replace(action, frames=tuple(self._frame() for _ in range(self._random.randint(1, 5))))
            elif isinstance(action, SendData):
                action = replace(action, octets=self._random.randbytes(self._random.randint(1, 5000)))
        return (yield action)

    def _frame(self) -> bytes:
        code = self._random.choice((self._random.randrange(256), self._random.choice(list(Fcf)).octet(x=True)))
        control = self._random.choice((0x03, 0x13, 0x13, self._random.randrange(256)))
        return bytes((0xFF, control, code)) + self._random.randbytes(self._random.choice((0, 1, 3, 32, 33, 256)))
