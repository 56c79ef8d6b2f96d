"""Errors as they are answered: ``application/problem+json`` (RFC 9457), whatever went wrong."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from faxgw.api.codes import CODES, code_of
from faxgw.api.json import dumped
from faxgw.archive.objects import ObjectMissing, StoreFull, StoreUnavailable
from faxgw.errors import RequestError
from faxgw.keys.sealing import SealBroken
from faxgw.keys.tokens import SmallSealBroken
from faxgw.keys.wraps import WrapBroken
from faxgw.store.database import DatabaseUnavailable

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2
"""Seconds after which a request that failed on our side may be tried again."""
MOST_ERRORS = 20
"""Of a request with more wrong fields, so many are named."""


class Problem(RequestError):
    """An error of the API's own; ``extra`` are further members of the answer."""

    def __init__(
        self,
        code: str,
        reason: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, reason or f"{CODES[code].title}.")
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


def answer_of(error: Exception) -> Response:
    """Return the answer to a request that ended with ``error``; what is not a user's fault is logged."""
    if isinstance(error, RequestError):
        return _of_request(error)
    if isinstance(error, RequestValidationError):
        return response(_of_fields(error.errors()))
    if isinstance(error, HTTPException):
        return response(_of_http(error))
    if isinstance(error, ClientDisconnect):
        return response(Problem("request.incomplete"))
    if isinstance(error, DatabaseUnavailable | StoreUnavailable):
        log.warning("request refused, the store is not there", reason=str(error))
        return response(_unavailable("service.unavailable", "The gateway cannot reach its database or archive."))
    if isinstance(error, StoreFull):
        return response(_unavailable("storage.full", "The gateway's disk is full."))
    if isinstance(error, SealBroken | WrapBroken | SmallSealBroken | ObjectMissing):
        return response(_of_damage(error))
    return _of_fault(error)


def response(problem: Problem) -> Response:
    """Return a problem as an answer."""
    kind = code_of(problem.code)
    body = {
        "type": f"/v1/problems/{problem.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": problem.reason,
        "code": problem.code,
        "retryable": kind.retryable,
        "action": kind.action,
        **problem.extra,
    }
    return Response(dumped(body), kind.status, headers=_headers(problem), media_type=MEDIA_TYPE)


def _headers(problem: Problem) -> dict[str, str]:
    kind = code_of(problem.code)
    headers = {"cache-control": "no-store"}
    if kind.status in (503, 507):
        headers["retry-after"] = str(RETRY_AFTER)
    if kind.status in (429,):
        headers["retry-after"] = "60"
    if kind.status == 401:
        headers["www-authenticate"] = 'Bearer realm="faxgw"'
    if kind.status in (408, 413):
        headers["connection"] = "close"
    return headers | problem.headers


def _of_request(error: RequestError) -> Response:
    if isinstance(error, Problem):
        return response(error)
    if error.code not in CODES:
        return _of_fault(error)
    return response(Problem(error.code, error.reason))


def _of_fault(error: Exception) -> Response:
    fault = str(uuid4())
    log.error("request failed", id=fault, exc_info=error)
    reason = "Something went wrong in the gateway; nothing was changed unless an answer to the same request says so."
    return response(Problem("internal.error", reason, extra={"id": fault}))


def _of_damage(error: Exception) -> Problem:
    missing = error.object_id if isinstance(error, ObjectMissing) else None
    fault = str(uuid4())
    log.error("what is stored is damaged", id=fault, reason=str(error), object=missing)
    return Problem("content.damaged", "It was altered, or has gone, where it is stored.", extra={"id": fault})


def _unavailable(code: str, reason: str) -> Problem:
    return Problem(code, reason)


def _of_http(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return Problem("request.method", headers=headers)
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem("request.not_found", "There is nothing at this address.")
    return Problem("request.invalid", "The request cannot be read.", extra={"errors": []})


def _of_fields(errors: Sequence[Any]) -> Problem:
    """Return the problem of fields that are not as described; what was sent is not sent back."""
    if all(each["loc"][0] == "path" for each in errors):
        return Problem("request.not_found", "There is nothing at this address.")
    named = [{"pointer": _pointer(each["loc"]), "detail": _detail(each)} for each in errors[:MOST_ERRORS]]
    first = named[0]
    return Problem("request.invalid", f"{first['pointer']}: {first['detail']}", extra={"errors": named})


def _detail(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"This is not JSON: {error['ctx']['error']}."
    return str(error["msg"])


def _pointer(loc: Sequence[str | int]) -> str:
    """Return where a field is: a JSON pointer into the body, or the name of a parameter.

    >>> _pointer(("body", "to", 0)), _pointer(("query", "limit"))
    ('#/to/0', 'query limit')
    """
    if loc[0] == "body":
        return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in loc[1:])
    return " ".join(map(str, loc))
