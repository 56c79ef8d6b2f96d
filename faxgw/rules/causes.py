"""Every reason for which a call may fail, and what follows from it: one table, from which docs/retry.md is made.

``python -m faxgw.rules.causes`` prints that table.
"""

from dataclasses import dataclass
from enum import Enum


class Retry(Enum):
    """Whether the fax is dialled again; the value is the name in the API."""

    NEVER = "never"
    SOON = "soon"
    LATER = "later"


class Change(Enum):
    """What the next call does otherwise; the value says it in words."""

    NOTHING = "nothing"
    LINE = "takes another line, if there is one"
    MODEM = "takes the next step of the ladder"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What follows from one reason.

    Attributes:
        text: what happened, as the beginning of a sentence.
        retry: whether the fax is dialled again.
        delay: seconds until then, before jitter.
        tries: so many calls in a row without a page may end this way; None: only the limits of all calls hold.
        change: what the next call does otherwise.
        ours: it happened on our side, so it is no call that the other side saw fail.
    """

    text: str
    retry: Retry = Retry.NEVER
    delay: float = 0.0
    tries: int | None = None
    change: Change = Change.NOTHING
    ours: bool = False


# HylaFAX waits 180 s when busy, 60 s after a fault of the protocol and 300 s after anything else.
_BUSY, _PROTOCOL, _OTHER = 180.0, 60.0, 300.0
SOON = 60.0
"""Delays up to so many seconds are soon."""


def _never(text: str) -> Treatment:
    return Treatment(text)


def _soon(text: str, change: Change = Change.NOTHING) -> Treatment:
    return Treatment(text, Retry.SOON, _PROTOCOL, change=change)


def _later(text: str, *, delay: float = _OTHER, tries: int | None = None, change: Change = Change.NOTHING) -> Treatment:
    return Treatment(text, Retry.LATER, delay, tries, change)


def _ours(text: str, *, delay: float = 30.0, tries: int | None = None, change: Change = Change.NOTHING) -> Treatment:
    return Treatment(text, Retry.SOON if delay <= SOON else Retry.LATER, delay, tries, change, ours=True)


TREATMENTS: dict[str, Treatment] = {
    "call.busy": _later("the number was busy", delay=_BUSY),
    "call.no_answer": _later("nobody answered"),
    # A person may have lifted the receiver. HylaFAX does not dial such a number again; modems err, so we do once.
    "call.no_carrier": _later("somebody answered, but no fax machine", tries=2),
    "call.no_dialtone": _ours("the line had no dial tone", change=Change.LINE),
    "call.rejected": _later("the call was rejected", tries=3, change=Change.LINE),
    "call.unallocated": _never("the number is not in use"),
    "call.congestion": _soon("the network was congested", Change.LINE),
    "call.network": _soon("the network could not carry the call", Change.LINE),
    "call.timeout": _later("the network gave no answer in time", change=Change.LINE),
    "call.no_t38": _later("the other side did not go over to T.38", tries=2, change=Change.LINE),
    "call.canceled": _never("the call was canceled"),
    "call.interrupted": _ours("the gateway stopped during the call", delay=_PROTOCOL),
    "fax.training": _soon("no rate survived the training check", Change.MODEM),
    "fax.page_refused": _soon("a page was not confirmed", Change.MODEM),
    "fax.no_response": _soon("the other machine no longer answered", Change.MODEM),
    "fax.disconnected": _soon("the other machine ended the call", Change.MODEM),
    "fax.protocol": _soon("the other machine did what the protocol does not allow", Change.MODEM),
    "fax.incomplete": _soon("the call ended before the fax was whole", Change.MODEM),
    "fax.failed": _soon("the call ended before the fax was whole", Change.MODEM),
    "fax.no_machine": _later("somebody answered, but no fax machine", tries=2),
    "fax.incompatible": _later("the two machines have no rate or function in common", tries=2, change=Change.LINE),
    "fax.operator": _later("the other machine wanted to be spoken to", tries=2),
    "fax.nothing_to_poll": _later("the other machine had no document to be fetched", tries=2),
    "fax.poll_refused": _never("the document is not given to who asked, or not for what was said"),
    "fax.internal": _ours("a fault in the gateway ended the call", delay=_OTHER, tries=2),
    "line.dropped": _soon("the line was dropped", Change.MODEM),
    "line.unavailable": _ours("the line was not available", change=Change.LINE),
    "storage.failed": _ours("what was done could not be stored", delay=120.0),
    "document.closed": _ours("the gateway stopped while it drew the pages"),
    "document.crashed": _ours("the program that draws the pages crashed", tries=2),
    "document.timeout": _ours("drawing the pages took too long", tries=2),
    # The gateway's own way to it was moved to the next hour's key while it was being opened: the new one is found then.
    "document.spent": _ours("the gateway could not open what is to be sent", tries=2),
    "document.characters": _never("the document has characters that cannot be drawn"),
    "document.damaged": _never("the document is damaged"),
    "document.empty": _never("the document is empty"),
    "document.encrypted": _never("the document is encrypted"),
    "document.missing": _never("the document is missing"),
    "document.no_pages": _never("the document has no pages"),
    "document.too_large": _never("the document is too large"),
    "document.unreadable": _never("the document cannot be read"),
    "number.denied_by_policy": _never("the policy denies this number"),
    "number.invalid": _never("the number cannot be called"),
    "policy.misdirect": Treatment("another machine than before answered", ours=True),
    "usage": _never("the line is not set up rightly"),
}

OVERRIDABLE = frozenset(
    code for code in TREATMENTS if code.startswith(("call.", "fax.", "line.")) and code != "call.canceled"
)
"""Reasons for which a tenant may want something else."""

_FAMILIES: dict[str, Treatment] = {
    "call": _later("the call did not come about"),
    "fax": _soon("the call ended before the fax was whole", Change.MODEM),
    "line": _ours("the line failed", change=Change.LINE),
    "storage": _ours("what was done could not be stored", delay=120.0),
}
_UNKNOWN = _never("the call could not be made")


def treatment(code: str) -> Treatment:
    """Return what follows from a reason; one that is not in the table is treated as its family, or never retried."""
    return TREATMENTS.get(code) or _FAMILIES.get(code.partition(".")[0], _UNKNOWN)


def as_markdown() -> str:
    """Return the table as docs/retry.md shows it."""
    head = "| reason | what happened | dialled again | after | calls in a row | the next call | counts as |"
    return "\n".join([head, "|---" * 7 + "|", *(_row(code, each) for code, each in TREATMENTS.items())]) + "\n"


def _row(code: str, each: Treatment) -> str:
    if each.retry is Retry.NEVER:
        return f"| `{code}` | {each.text} | never | | | | |"
    counts = "fault of ours" if each.ours else "dial"
    tries = each.tries or ""
    change = "" if each.change is Change.NOTHING else each.change.value
    return f"| `{code}` | {each.text} | {each.retry.value} | {each.delay:g} s | {tries} | {change} | {counts} |"


if __name__ == "__main__":
    print(as_markdown(), end="")
