"""Wishes for an operator: PRI-MPS, PRI-EOM and PRI-EOP of a sender, PIP and PIN of a receiver.

Nobody sits at a gateway. By policy such a wish is passed over, or the call ends, once the time is up for which T.30 has
a machine call its operator (T3).
"""

from collections.abc import Callable

from t30 import timers
from t30.exchange import Exchange, Message, Procedure
from t30.fcf import PLAIN, Fcf
from t30.outcome import OperatorWanted
from t30.policy import Operator

CALLS = (Fcf.PIP, Fcf.PIN)
"""Responses that call for an operator."""

_INSTEAD = {Fcf.MCF: Fcf.PIP, Fcf.RTP: Fcf.PIP, Fcf.RTN: Fcf.PIN}


def is_wanted(exchange: Exchange, command: Message) -> bool:
    """Tell whether a command that ends a page wants an operator, and the policy is to heed that."""
    after = Fcf.of(command.fif[0]) if command.fcf is Fcf.PPS else command.fcf
    return after in PLAIN and exchange.station.policy.operator is Operator.END


def calling_for(response: Fcf) -> Fcf:
    """Return the response that says the same of the page, and that an operator is being called."""
    return _INSTEAD[response]


def nobody_came(exchange: Exchange, again: Callable[[Message], Procedure[None]] | None = None) -> Procedure[None]:
    """Hear out what the other machine still says while an operator might come, and end the call.

    Args:
        exchange: of the call.
        again: what to do about a command that comes meanwhile.

    Raises:
        OperatorWanted: always.
        Disconnected: if they hang up meanwhile.
    """
    deadline = exchange.now + timers.T3
    while (left := deadline - exchange.now) > 0:
        heard = yield from exchange.command(left)
        if heard is not None and again is not None:
            yield from again(heard)
    raise OperatorWanted(f"the other machine wants to be spoken to, and nobody came within {timers.T3:.0f} s")
