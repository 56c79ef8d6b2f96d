"""What a request is refused for before anything is kept of it (RFC 3261 8.2)."""

from drivers.sip.core import ALLOW, SUPPORTED
from drivers.sip.messages import Request, Response
from drivers.sip.profile import Profile
from drivers.sip.sdp import CONTENT_TYPE
from drivers.sip.session import too_short

RETRY_AFTER = 10
"""After so many seconds it may be better, when too much goes on."""

METHODS = frozenset(ALLOW.split(", "))
KNOWN = METHODS | {"INFO", "MESSAGE", "NOTIFY", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE"}
"""The methods that have a meaning, though most of them none here."""

_SCHEMES = frozenset({"sip", "sips", "tel"})
_OPTIONS = frozenset(SUPPORTED.split(", "))


def refused(request: Request, status: int, *fields: tuple[str, str]) -> Response:
    """Return a refusal with some header fields."""
    response = request.answer(status)
    for name, value in fields:
        response.headers.add(name, value)
    return response


def too_brief(request: Request, seconds: float) -> Response:
    """Return the refusal of what comes before something else is done (RFC 3261 14.2)."""
    return refused(request, 500, ("Retry-After", str(round(seconds))))


def overloaded(request: Request) -> Response:
    """Return the refusal of one request too many."""
    return refused(request, 503, ("Retry-After", str(RETRY_AFTER)))


def refusal(request: Request, profile: Profile) -> Response | None:
    """Return what a request is refused with for itself; None if it may be served."""
    if request.method not in METHODS:
        return refused(request, 405 if request.method in KNOWN else 501, ("Allow", ALLOW))
    if request.uri.scheme not in _SCHEMES:
        return refused(request, 416)
    unknown = [each for each in request.headers.all("Require") if each.lower() not in _OPTIONS]
    if unknown and request.method != "CANCEL":
        return refused(request, 420, ("Unsupported", ", ".join(unknown)))
    if request.method in {"INVITE", "UPDATE"}:
        return _unread(request) or _unwanted(request, profile)
    return None


def _unread(request: Request) -> Response | None:
    """Return the refusal of a body that cannot be read, though it has to be."""
    coding = (request.headers.get("Content-Encoding") or "identity").lower()
    optional = "handling=optional" in (request.headers.get("Content-Disposition") or "").lower().replace(" ", "")
    if not request.body or optional:
        return None
    if coding != "identity":
        return refused(request, 415, ("Accept-Encoding", "identity"))
    if request.content(CONTENT_TYPE) is None:
        return refused(request, 415, ("Accept", CONTENT_TYPE))
    return None


def _unwanted(request: Request, profile: Profile) -> Response | None:
    return refused(request, 422, ("Min-SE", str(profile.min_se))) if too_short(request, profile) else None
