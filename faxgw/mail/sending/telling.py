"""What mails about a fax say: whom it is from, with masked numbers, and how to get at it; never what is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from faxgw.delivery.carrier import Proof
from faxgw.delivery.targets import ByAge, ByPdf, MailTarget, Sealing


@dataclass(frozen=True, slots=True)
class Said:
    """Subject and text."""

    subject: str
    text: str = field(repr=False)


def with_files(words: Mapping[str, Any], sealing: Sealing | None) -> Said:
    """Return what is said beside the fax itself."""
    opening = ""
    if isinstance(sealing, ByPdf):
        opening = " It opens with the password that was agreed on."
    elif isinstance(sealing, ByAge):
        opening = " It is encrypted with age, and opens with the key that was agreed on."
    return Said(_subject(words), f"{_about(words)}\n\nThe fax is attached.{opening}\n")


def with_link(words: Mapping[str, Any], url: str, settings: MailTarget) -> Said:
    """Return what is said where a link leads to the fax."""
    times = "once" if settings.link_openings == 1 else f"{settings.link_openings} times"
    lasts = "an hour" if settings.link_hours == 1 else f"{settings.link_hours} hours"
    how = f"For {lasts} from now it opens here, without signing in, {times}:"
    warning = "Whoever has this address can open the fax: do not pass it on."
    return Said(_subject(words), f"{_about(words)}\n\n{how}\n\n{url}\n\n{warning}\n")


def without_link(words: Mapping[str, Any], url: str) -> Said:
    """Return what is said where nothing may go that opens the fax; ``url``: where people sign in, if that is known."""
    how = "It is not attached, since the way of this mail may not have a fax on it. Sign in to the gateway to read it"
    return Said(_subject(words), f"{_about(words)}\n\n{how}{f': {url}' if url else '.'}\n")


def only_word(proof: Proof, what: str, rule: str) -> Proof:
    """Return the proof of a mail without content as that of its fax: which stays here."""
    evidence = proof.decision.rpartition(": ")[2]
    return replace(proof, decision=f"link-only by {rule}, {what}: {evidence}", content=False)


def fax_of(words: Mapping[str, Any]) -> UUID:
    """Return which fax a parcel's words speak of."""
    return UUID(words["fax"])


def _subject(words: Mapping[str, Any]) -> str:
    whole = "Fax" if words.get("state") != "partially_received" else "Incomplete fax"
    return f"{whole}{_from(words)}{_pages(words)}"


def _about(words: Mapping[str, Any]) -> str:
    to = f" for {words['to']}" if words.get("to") else ""
    at = f" at {words['received']}" if words.get("received") else ""
    incomplete = " Its call broke off: pages may be missing." if words.get("state") == "partially_received" else ""
    return f"A fax came{_from(words)}{to}{at}{_pages(words)}.{incomplete}"


def _from(words: Mapping[str, Any]) -> str:
    return f" from {words['from']}" if words.get("from") else ""


def _pages(words: Mapping[str, Any]) -> str:
    count = words.get("pages")
    return "" if count is None else f", {count} page{'' if count == 1 else 's'}"
