"""How much devices may be handing in at once: what is coming in is in memory, and all of it together has a bound."""


class Memory:
    """Octets for what is coming in, of all connections together."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    def lend(self) -> "Loan":
        """Return an account for one message or file, with nothing on it."""
        return Loan(self)


class Loan:
    """What one message or file has of the memory; ``with`` gives it back at the end."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._octets = 0

    def __enter__(self) -> "Loan":
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.held -= self._octets
        self._octets = 0

    def grow(self, octets: int) -> bool:
        """Have so many in all; return False if that is too much."""
        more = octets - self._octets
        if more > 0 and self._memory.held + more > self._memory.most:
            return False
        self._memory.held += more
        self._octets = octets
        return True
