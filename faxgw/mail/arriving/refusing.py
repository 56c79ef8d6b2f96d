"""Why something is not taken, in SMTP's words: a stable code of ours, and its sentence, behind codes of RFC 3463.

| what is wrong | at RCPT | after DATA |
|---|---|---|
| the number is none | 550 5.1.3 | 554 5.1.3 |
| the number is not allowed | 550 5.7.1 | 554 5.7.1 |
| a quota is used up | 451 4.7.0 | 451 4.7.0 |
| a document cannot be read, or is none | | 554 5.6.1 |
| the message is not as it has to be | | 554 5.6.0 |
| anything else, such as a box that is gone | 550 5.7.1 | 554 5.7.1 |
"""

from collections.abc import Mapping

from faxgw.errors import RequestError
from faxgw.mail.arriving.mime import Unreadable
from faxgw.mail.submission.port import Rejected

LATER = frozenset({"quota.pages", "quota.calls", "storage.full", "storage.failed"})
"""Codes of what may pass."""
ENHANCED: Mapping[str, str] = {
    "number.invalid": "5.1.3",
    "mail.no_number": "5.1.3",
    "document": "5.6.1",
    "mail": "5.6.0",
}
"""A code, or the family that it is of, -> what RFC 3463 has for it."""
MOST = 400
"""Letters of a line."""


def rejected(refused: RequestError, *, recipient: bool = False) -> Rejected:
    """Return what is answered where a fax, or with ``recipient`` its number alone, was refused.

    The sentence of a number has that number in it, so it is not repeated: logs of mail servers keep such lines.
    """
    if refused.code in LATER:
        return Rejected(451, "4.7.0", _line(refused.code, refused.reason))
    family = refused.code.partition(".")[0]
    enhanced = ENHANCED.get(refused.code) or ENHANCED.get(family, "5.7.1")
    reason = _NUMBERS.get(refused.code, refused.reason)
    return Rejected(550 if recipient else 554, enhanced, _line(refused.code, reason))


def unreadable(refused: Unreadable) -> Rejected:
    """Return what is answered where a message cannot be read."""
    return Rejected(554, "5.6.0", _line(refused.code, str(refused)))


_NUMBERS = {
    "number.invalid": "That is no number that can be called; write it before the @, such as +49301234567.",
    "number.denied_by_policy": "The organisation's policy does not allow that number.",
}


def _line(code: str, reason: str) -> str:
    text = " ".join(f"{reason} ({code})".split())
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text)[:MOST]
