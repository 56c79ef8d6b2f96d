"""What receivers of webhooks need to know, in public: the key that signs them."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from faxgw.api.answers import json_response
from faxgw.api.call import Api
from faxgw.api.guard import GuardedRoute
from faxgw.api.json import dumped
from faxgw.webhooks.signing import public_keys

router = APIRouter(route_class=GuardedRoute, tags=["webhooks"])


@router.get("/.well-known/webhook-keys.json", response_model=dict[str, object])
async def get_webhook_keys(request: Request) -> Response:
    """Give the public keys by which messages of form `v1a` are checked, as a JWK set."""
    api: Api = request.app.state.api
    keys = public_keys(api.gateway.server_keys.signing.public_key())
    return json_response(dumped(keys), headers={"cache-control": "public, max-age=3600"})
