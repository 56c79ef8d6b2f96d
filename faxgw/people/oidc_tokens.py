"""ID tokens: who has signed one, for whom, when, and in answer to what; each fault has a name."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError

from faxgw.errors import RequestError
from faxgw.keys.tokens import same
from faxgw.people.oidc_provider import Provider

LEEWAY = 30
"""Seconds by which the provider's clock may differ."""
OLDEST = 600
"""Seconds since a token was made; it comes straight from the provider, so it is new."""
_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512, "Ed25519": hashlib.sha512}


async def check_id_token(provider: Provider, answer: Mapping[str, Any], *, nonce: str, now: datetime) -> dict[str, Any]:
    """Return the claims of the ID token in the answer of a token endpoint.

    Raises:
        RequestError: ``oidc.algorithm``, ``.signature``, ``.issuer``, ``.audience``, ``.nonce``, ``.expired``,
            ``.not_yet``, ``.claims``; ``oidc.unavailable``.
    """
    text = answer.get("id_token")
    if not isinstance(text, str):
        raise _wrong("claims", "The provider has given no ID token.")
    algorithm, claims = await _verified(provider, text, now)
    _check_claims(provider, claims, nonce)
    _check_times(claims, now.timestamp())
    _check_access_token(claims, answer.get("access_token"), algorithm)
    return claims


async def _verified(provider: Provider, text: str, now: datetime) -> tuple[str, dict[str, Any]]:
    algorithms = sorted(provider.settings.algorithms)
    try:
        header = jws.extract_compact(text.encode()).headers()
    except (JoseError, ValueError) as error:
        raise _wrong("claims", "The ID token is none.") from error
    algorithm = header.get("alg")
    if algorithm not in algorithms:
        raise _wrong("algorithm", f"The ID token is signed in another way than {', '.join(algorithms)}.")
    for anew in (False, True):
        keys = await provider.keys(now=now, anew=anew)
        try:
            return str(algorithm), dict(jwt.decode(text, keys, algorithms=algorithms).claims)
        except (JoseError, ValueError, TypeError) as error:
            fault = error  # perhaps its key is newer than those that are known
    raise _wrong("signature", "The ID token is not signed by a key of the provider.") from fault


def _check_claims(provider: Provider, claims: Mapping[str, Any], nonce: str) -> None:
    settings = provider.settings
    if claims.get("iss") != settings.issuer:
        raise _wrong("issuer", "The ID token is of another provider.")
    audience = claims.get("aud")
    several = [audience] if isinstance(audience, str) else audience
    if not isinstance(several, list) or settings.client_id not in several:
        raise _wrong("audience", "The ID token is for another program.")
    party = claims.get("azp")
    if party not in (None, settings.client_id) or (len(several) > 1 and party is None):
        raise _wrong("audience", "The ID token was made for another program.")
    given = claims.get("nonce")
    if not isinstance(given, str) or not same(given.encode(), nonce.encode()):
        raise _wrong("nonce", "The ID token is in answer to another sign-in.")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise _wrong("claims", "The ID token does not say whom it is about.")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    until, made = _time(claims, "exp"), _time(claims, "iat")
    if min(until, made + OLDEST) + LEEWAY <= now:
        raise _wrong("expired", "The ID token is over.")
    since = _time(claims, "nbf") if "nbf" in claims else made
    if max(made, since) - LEEWAY > now:
        raise _wrong("not_yet", "The ID token is not valid yet.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    at = claims.get(name)
    if not isinstance(at, int | float) or isinstance(at, bool):
        raise _wrong("claims", f"The ID token lacks the time {name}.")
    return at


def _check_access_token(claims: Mapping[str, Any], access_token: object, algorithm: str) -> None:
    """Hold ``at_hash`` to the access token that came with it, where there is one."""
    if "at_hash" not in claims:
        return
    digest = _HASHES[algorithm if algorithm in _HASHES else algorithm[-3:]](str(access_token).encode()).digest()
    expected = urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not isinstance(claims["at_hash"], str) or not same(claims["at_hash"].encode(), expected):
        raise _wrong("claims", "The ID token is of another access token.")


def _wrong(kind: str, reason: str) -> RequestError:
    return RequestError(f"oidc.{kind}", reason)
