"""What every request passes before an operation sees it: who asks, may they, how often, how large, in which form.

In this order, so that nobody without a key has anything read.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.types import Message, Receive

from faxgw.api.access import ACCESS
from faxgw.api.call import Api, Call
from faxgw.api.problems import Problem, answer_of

JSON_LIMIT = 4 * 2**20
"""Octets of a JSON body: a batch of 10,000 destinations with names and labels has about 2 MB."""
SILENCE = 30.0
"""Seconds that may pass until the next piece of a body."""


_NUL = "No text may have a NUL character."


class Body(Request):
    """A request whose body has limits of size and of time, and is JSON of one model, strictly."""

    limit = JSON_LIMIT

    async def read_as(self, model: TypeAdapter[Any]) -> None:
        """Read the body as JSON of a model, which ``json`` then returns.

        Raises:
            Problem: ``request.too_large`` or ``.timeout``.
            RequestValidationError: with every field that is not as described; 1 is no boolean here, "1" no number.
        """
        body = await self.body()
        try:
            self._json = model.validate_json(body, strict=True)
        except ValidationError as refused:
            errors = refused.errors(include_url=False, include_input=False)
            raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in errors]) from None
        if b"\\u0000" in body and (where := _nul_in(json.loads(body))) is not None:
            raise RequestValidationError([{"type": "nul", "loc": ("body", *where), "msg": _NUL}])

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Go through the body as it arrives.

        Raises:
            Problem: ``request.too_large`` or ``.timeout``.
            ClientDisconnect: if it ends before it is whole.
        """
        announced = self.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced) > self.limit:
            raise self._too_large()
        received = 0
        async for octets in super().stream():
            received += len(octets)
            if received > self.limit:
                raise self._too_large()
            if octets:
                yield octets

    def _too_large(self) -> Problem:
        return Problem("request.too_large", f"A body may have {self.limit:,} octets here.")


async def _receive_in_time(receive: Receive) -> Message:
    try:
        async with asyncio.timeout(SILENCE):
            return await receive()
    except TimeoutError:
        raise Problem("request.timeout", f"Nothing more of the body came for {SILENCE:g} s.") from None


class GuardedRoute(APIRoute):
    """A route whose operation is in the table ``ACCESS``, under the name of its function."""

    upload = False
    """Whether the body is content, which the operation reads itself."""
    any_query = False
    """Whether parameters that nobody has asked for are taken, and not looked at."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Make a route as FastAPI does, but called as its function is."""
        super().__init__(path, endpoint, **options | {"generate_unique_id_function": _name_of})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers requests: problems, too, are answers."""
        handle = super().get_route_handler()
        access = ACCESS[self.name]
        parameters = _query_names(self)
        model: TypeAdapter[Any] | None = None
        if self.body_field is not None:
            model = TypeAdapter[Any](self.body_field.field_info.annotation)  # type: ignore[arg-type]

        async def guarded(request: Request) -> Response:
            api: Api = request.app.state.api
            body = Body(request.scope, lambda: _receive_in_time(request.receive))
            try:
                if not access.public:
                    actor = await api.credentials.actor_of(request)
                    _take(api, request, actor.credential_id)
                    access.check(actor)
                    body.state.call = Call(body, api, actor)
                if not self.any_query:
                    _check_query(request, parameters)
                if model is not None:
                    _check_json(request)
                    await body.read_as(model)
                if not access.public and not self.upload and request.method == "POST":
                    body.state.call.is_once(await body.body())
                response = await handle(body)
            except Exception as error:
                response = answer_of(error)
            return response

        return guarded


def _name_of(route: APIRoute) -> str:
    return route.name


class FreeQueryRoute(GuardedRoute):
    """A route that others send a browser to, with parameters of their own besides those that are asked for."""

    any_query = True


class UploadRoute(GuardedRoute):
    """A route whose body is content: larger, not JSON, and read by the operation as it arrives."""

    upload = True


def _take(api: Api, request: Request, caller: object) -> None:
    left = api.rates.take(caller)
    size = api.rates.size
    headers = {"ratelimit-policy": f'"key";q={size};w=1', "ratelimit": f'"key";r={left.tokens};t=1'}
    request.state.rate_headers = headers
    if left.wait > 0:
        raise Problem("rate.limited", f"This API key may make {size} requests a second.", headers={"retry-after": "1"})


def _check_query(request: Request, parameters: frozenset[str]) -> None:
    if not request.scope["query_string"]:
        return
    for name, value in request.query_params.items():
        if name not in parameters or "\0" in value:
            detail = _NUL if name in parameters else "There is no such parameter."
            errors = [{"pointer": f"query {name}"[:100], "detail": detail}]
            raise Problem("request.invalid", f"query {name[:80]}: {detail}", extra={"errors": errors})


def _nul_in(value: object) -> tuple[str | int, ...] | None:
    """Return where in a JSON value a text has a NUL, which PostgreSQL takes nowhere; None if none has."""
    if isinstance(value, str):
        return () if "\0" in value else None
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        if (where := () if "\0" in str(name) else _nul_in(part)) is not None:
            return (name.replace("\0", "?") if isinstance(name, str) else name, *where)
    return None


def _check_json(request: Request) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != "application/json":
        raise Problem("request.media_type", "Send JSON, with Content-Type: application/json.")


def _query_names(route: APIRoute) -> frozenset[str]:
    names: set[str] = set()
    for each in route.dependant.query_params:
        annotation = each.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names |= set(annotation.model_fields)
        else:
            names.add(each.alias)
    return frozenset(names)
