"""The API as one ASGI application."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from faxgw.api.call import Api
from faxgw.api.hardening import Hardening
from faxgw.api.linked import ROUTE as LINKED
from faxgw.api.problems import answer_of
from faxgw.api.resources import ROUTERS
from faxgw.api.schema import TITLE, describe, version
from faxgw.gateway import Gateway


def create_app(gateway: Gateway) -> FastAPI:
    """Return the application; ``serving.serve`` runs it, with the task that it needs beside it."""
    app = FastAPI(
        title=TITLE,
        version=version(),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.api = Api(gateway)
    for router in ROUTERS:
        app.router.routes += router.routes  # to include them would make each once more, on the first request
    app.router.routes.append(LINKED)
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(Hardening, allowed=gateway.config.api.allowed)
    describe(app)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        error.headers = {"allow": ", ".join(sorted(_methods(request)))}
    return answer_of(error)


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes at a request's address."""
    own = (route for router in ROUTERS for route in router.routes)
    return {method for route in (*own, *request.app.routes) for method in _methods_of(route, request)}


def _methods_of(route: BaseRoute, request: Request) -> set[str]:
    if not isinstance(route, Route) or route.matches(request.scope)[0] is Match.NONE:
        return set()
    return route.methods or set()
