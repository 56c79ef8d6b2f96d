"""Sidecars: what is to be done with a document, in the words of the API, checked by the API's own models."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from faxgw.errors import RequestError
from faxgw.faxes.requests import BatchRequest, FaxRequest

MOST = 1024 * 1024
"""Octets of a sidecar."""
FIELDS = frozenset(
    {
        *("to", "cover", "resolution", "paper", "screen", "header", "sender", "send_at", "hours", "priority"),
        *("subaddress", "password", "retry", "storage", "labels", "name"),
    }
)
"""What a sidecar may say; which document, which box, and how long it is kept, others say."""
_TOLD = 5
_ANY_DOCUMENT = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done with one document; ``asked`` lacks the document and the box."""

    asked: FaxRequest | BatchRequest

    @property
    def numbers(self) -> list[str]:
        """The numbers, as they were written."""
        if isinstance(self.asked, FaxRequest):
            return [self.asked.to]
        return [each if isinstance(each, str) else each.to for each in self.asked.to]

    def of(self, document: UUID, box: UUID) -> FaxRequest | BatchRequest:
        """Return it as it is asked for, with a document and the box that its faxes lie in."""
        return self.asked.model_copy(update={"documents": [document], "box": box})


def read_sidecar(octets: bytes) -> Wish:
    """Read a sidecar: ``to`` is a number, or a list of them for a batch; the other fields are those of the API.

    Raises:
        RequestError: ``drop.sidecar``, with what is wrong, where, and nothing of what was written there.
    """
    if len(octets) > MOST:
        raise _refused(f"it has more than {MOST} octets")
    try:
        given = json.loads(octets)
    except (ValueError, RecursionError):
        raise _refused("it is no JSON") from None
    if not isinstance(given, dict):
        raise _refused("it is no object: { ... }")
    if unknown := sorted(set(given) - FIELDS):
        raise _refused(f"it may have {', '.join(sorted(FIELDS))}, and nothing else such as {unknown[0][:40]!r}")
    if _has_nul(given):
        raise _refused("no text may have a NUL character")
    return _wish(BatchRequest if isinstance(given.get("to"), list) else FaxRequest, given)


def wish_for(number: str) -> Wish:
    """Return what a number in a document's name says: send it there.

    Raises:
        RequestError: ``drop.sidecar``.
    """
    return _wish(FaxRequest, {"to": number})


def _wish(model: type[FaxRequest] | type[BatchRequest], given: dict[str, Any]) -> Wish:
    try:
        octets = json.dumps({**given, "documents": [str(_ANY_DOCUMENT)]}).encode()
        return Wish(model.model_validate_json(octets, strict=True))
    except ValidationError as wrong:
        found = wrong.errors(include_url=False, include_input=False, include_context=False)
        told = [f"{'.'.join(map(str, each['loc'])) or 'it'}: {each['msg']}" for each in found[:_TOLD]]
        raise _refused("; ".join(told)) from None
    except (ValueError, RecursionError):
        raise _refused("it has what JSON does not know") from None


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(each) for pair in value.items() for each in pair)
    return isinstance(value, list) and any(map(_has_nul, value))


def _refused(why: str) -> RequestError:
    return RequestError("drop.sidecar", f"The sidecar is not as docs/dropbox.md describes it: {why}.")
