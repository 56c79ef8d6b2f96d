"""The OpenAPI document: what FastAPI knows of the routes, and what holds for all of them."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version as installed
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import Response

from faxgw.api.access import ACCESS, Access
from faxgw.api.examples import EXAMPLES
from faxgw.api.json import dumped
from faxgw.api.problems import MEDIA_TYPE
from faxgw.api.shapes import ProblemShape

TITLE = "faxgw"
ADDRESS = "/openapi.json"

DESCRIPTION = """A fax gateway. Upload documents, send them as faxes, follow every page, and open what was received.

Everything needs an API key or the token of a session (`Authorization: Bearer KEY`), from which the tenant follows. A
browser's session may be in a cookie instead; then send `X-Faxgw-Session: 1` with whatever changes something. Errors are
`application/problem+json`; `code` stays as it is. A POST with an `Idempotency-Key` is done once, however often it is
sent within 24 hours. Lists come in pages: give `next` as `cursor`."""

TAGS = {
    "people": "Signing in, one's own account, members.",
    "faxes": "Send, list, cancel, send again.",
    "documents": "Upload, and see the fax pages before they are sent.",
    "content": "What is on the pages.",
    "events": "Follow what happens.",
    "batches": "One document to many numbers.",
    "boxes": "Where faxes lie.",
    "escrow": "Boxes that several trustees together can have opened in an emergency.",
    "numbers": "Which incoming calls lead where, and which numbers are allowed.",
    "routes": "Which lines calls take, and what is known of destinations and machines.",
    "deliveries": "Have faxes delivered to mailboxes and folders outside.",
    "devices": "Machines and programs that submit by mail or SFTP.",
    "webhooks": "Have events sent to other programs.",
    "usage": "What was used.",
    "policy": "What the tenant lays down.",
    "retention": "How long faxes are kept, and how they go for good.",
    "api keys": "Credentials of programs.",
    "audit": "What was done, by whom, and the proof that it was not altered.",
    "sandbox": "Try it without a telephone line.",
    "service": "What runs here, who asks, what problems mean.",
}

_ALWAYS = {400: "request.invalid", 429: "rate.limited", 500: "internal.error", 503: "service.unavailable"}
_WITH_KEY = {401: "auth.invalid_key", 403: "access.scope"}
_MORE: dict[str, tuple[int, ...]] = {
    "create_document": (422, 507),
    "render_documents": (422, 507),
    "create_fax": (404, 422, 423, 507),
    "send_document": (404, 422, 507),
    "create_batch": (404, 422, 507),
    "resend_fax": (410, 422, 423),
    "delete_fax": (409,),
    "create_hold": (404, 422),
    "create_erasure": (422,),
    "get_page_of_set": (304, 410, 423),
    "get_page": (206, 304, 410, 416, 423),
    "get_content": (206, 304, 410, 416, 423),
    "export_page": (410,),
    "get_trace": (206, 304, 410, 416, 423),
    "list_faxes": (404,),
    "follow_fax": (204,),
    "create_number": (404, 422),
    "change_number": (404, 409, 422),
    "create_route": (422,),
    "change_route": (409, 422),
    "simulate_routes": (422,),
    "get_destination": (422,),
    "change_destination": (422,),
    "delete_destination": (422,),
    "change_box": (409,),
    "create_grant": (404, 422, 423),
    "hand_over_box": (404, 422),
    "rewrap_box": (423,),
    "create_forwarding_rule": (404, 422),
    "set_escrow": (404, 409, 422),
    "end_escrow": (409,),
    "escrow_box": (423,),
    "create_escrow_request": (404, 423),
    "approve_escrow_request": (423,),
    "open_escrow_request": (423,),
    "change_policy": (422,),
    "preview_policy": (422,),
    "forward_fax": (404, 410, 422, 423),
    "create_target": (409, 422),
    "change_target": (409, 422),
    "test_target": (422,),
    "create_delivery_rule": (404, 409, 422),
    "deliver_fax": (404, 409, 410, 422, 423),
    "retry_parcel": (404, 409, 410, 422, 423),
    "cancel_parcel": (409,),
    "delete_box": (409,),
    "create_device": (404, 409),
    "change_device": (404, 409),
    "create_webhook": (422,),
    "change_webhook": (422,),
    "rotate_webhook": (422,),
    "create_api_key": (423,),
    "create_session": (401, 404),
    "recover_session": (401, 404, 422),
    "switch_tenant": (404,),
    "unlock_session": (423,),
    "create_passkey_session": (401, 404),
    "create_passkey": (401, 423),
    "remove_passkey": (423,),
    "remove_own_password": (423,),
    "renew_recovery_code": (423,),
    "enrol_totp": (423,),
    "remove_totp": (423,),
    "renew_keys": (423,),
    "begin_oidc": (303,),
    "end_oidc": (202, 303, 401, 403),
    "set_up_person": (401, 422),
    "change_password": (422,),
    "get_me": (404,),
    "recover_keys": (422,),
    "find_colleague": (404, 422),
    "invite_user": (422,),
    "deactivate_user": (409,),
    "change_user": (409,),
    "revoke_api_key": (409,),
    "get_audit_proof": (404,),
    "call_in": (404, 422),
}
"""Operation -> what it may answer besides; problems, but for 204, 206 and 304."""
_WORDS = {
    202: "An invitation: there is no session yet.",
    303: "Go on there.",
    204: "Nothing more will come.",
    206: "The range that was asked for.",
    304: "You have that already.",
    400: "The request is not as described here.",
    401: "No valid API key.",
    403: "The API key, or the policy, does not allow it.",
    404: "There is no such thing, or none that you may see.",
    408: "The body did not arrive in time.",
    409: "It does not go with what there is.",
    410: "The content was not kept.",
    412: "It was changed since.",
    413: "The body is too large.",
    415: "The body is of another type.",
    416: "The range is outside of the content.",
    422: "The request is well-formed, but cannot be followed.",
    423: "The API key does not open content.",
    428: "If-Match is missing.",
    429: "Too many requests.",
    500: "A fault in the gateway.",
    503: "Not at the moment.",
    507: "There is no room.",
}
_FILES = {
    "get_page": ("image/png",),
    "get_page_of_set": ("image/png",),
    "get_content": ("application/pdf", "image/tiff"),
    "get_trace": ("application/jsonl",),
    "export_page": ("application/zip",),
    "export_audit": ("application/jsonl",),
}


@cache
def version() -> str:
    """Return the version of the program."""
    return installed("faxgw")


def describe(app: FastAPI) -> None:
    """Serve the OpenAPI document of an application, made once."""
    document: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not document:
            document.update(_document(app))
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    octets: list[bytes] = []

    async def answer(_: Request) -> Response:
        if not octets:
            octets.append(dumped(openapi()))
        return Response(octets[0], media_type="application/json")

    app.add_route(ADDRESS, answer, methods=["GET"], include_in_schema=False)


def _document(app: FastAPI) -> dict[str, Any]:
    tags = [{"name": name, "description": text} for name, text in TAGS.items()]
    document = get_openapi(
        title=TITLE, version=version(), description=DESCRIPTION, routes=app.routes, tags=tags, openapi_version="3.1.0"
    )
    schemas = document["components"]["schemas"]
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = ProblemShape.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, `fgw_...`, or a session's token, `fgs_...`.",
        }
    }
    for path, method, operation in _operations(document):
        _complete(operation, path, method)
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _complete(operation: dict[str, Any], path: str, method: str) -> None:
    name = operation["operationId"]
    access = ACCESS[name]
    operation["description"] = f"{operation.get('description', '')}\n\n{access.text}".strip()
    operation["security"] = [] if access.public else [{"apiKey": [access.scope] if access.scope else []}]
    if method == "post" and not access.public and not access.session:
        operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    if name in EXAMPLES:
        body = operation["requestBody"]["content"]["application/json"]
        body["examples"] = {"usual": {"summary": "A usual request", "value": EXAMPLES[name]}}
    responses = operation["responses"]
    responses.pop("422", None)
    if name in _FILES:
        responses["200"] = _file(name, "The content.")
    if name in ("follow_fax", "follow_all"):
        responses["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    for status in _statuses(name, path, method, access):
        responses[str(status)] = _response(name, status)


def _statuses(name: str, path: str, method: str, access: Access) -> list[int]:
    statuses = {*_ALWAYS, *_MORE.get(name, ())}
    if not access.public:
        statuses |= set(_WITH_KEY)
    if "{" in path:
        statuses.add(404)
    if method == "post":
        statuses |= {408, 409, 413, 415}
    if method == "put":
        statuses |= {408, 412, 413, 415, 428}
    return sorted(statuses)


def _response(name: str, status: int) -> dict[str, Any]:
    if status == 206:
        return _file(name, _WORDS[status])
    if status < 400:
        return {"description": _WORDS[status]}
    return {
        "description": _WORDS[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _file(name: str, text: str) -> dict[str, Any]:
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"description": text, "content": dict.fromkeys(_FILES[name], schema)}


_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Of your choice: the same request under the same key is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
