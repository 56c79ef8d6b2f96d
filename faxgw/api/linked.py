"""What a browser gets at the address of a link: without a credential, and not a part of the API."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from faxgw.api.addresses import address_of
from faxgw.api.call import Api
from faxgw.api.problems import answer_of
from faxgw.links.opening import Link, NoLink, look_up, open_link
from faxgw.links.page import HEADERS, page_of, page_of_none


async def _page(_: Api, link: Link) -> Response:
    return HTMLResponse(page_of(link))


async def _fax(api: Api, link: Link) -> Response:
    async with api.long_contents:
        octets = await open_link(api.gateway, link, now=api.credentials.now())
    name = f"fax-{link.row['fax_id']}.pdf"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(octets, headers=headers, media_type="application/pdf")


_GIVEN: dict[str, Callable[[Api, Link], Awaitable[Response]]] = {"GET": _page, "HEAD": _page, "POST": _fax}
"""GET gives a page, and opens nothing: programs that read mail follow every link in it."""


async def _answer(request: Request) -> Response:
    try:
        answer = await _given(request)
    except Exception as error:  # problems, too, are answers
        answer = answer_of(error)
    for name, value in HEADERS.items():
        answer.headers[name] = value
    return answer


async def _given(request: Request) -> Response:
    api: Api = request.app.state.api
    address = address_of(request.scope)
    api.credentials.check_address(address)
    try:
        link = await look_up(api.gateway, request.path_params["token"], now=api.credentials.now())
        return await _GIVEN[request.method](api, link)
    except NoLink as none:
        if none.wrong:
            api.credentials.failed(address)
        return HTMLResponse(page_of_none(), 404)


ROUTE = Route("/links/{token}", _answer, methods=list(_GIVEN))
