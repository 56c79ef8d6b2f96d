"""Signing in by an identity provider (OpenID Connect): authorization code with PKCE, state and nonce.

What goes out with the browser comes back sealed: nothing is stored until a sign-in is finished, and then only that it
was. The provider says who somebody is; it never gets to open what is sealed to them.
"""

import json
import os
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.config.oidc import OidcSettings
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.tokens import ServerKeys, SmallSealBroken, same
from faxgw.people.challenges import NoChallenge, spend
from faxgw.people.members import Invited, invite
from faxgw.people.oidc_provider import Provider
from faxgw.people.oidc_tokens import check_id_token
from faxgw.store.tables import tenants, users

log = structlog.get_logger(__name__)

GOOD_FOR = timedelta(minutes=5)
_CONTEXT = b"state of a sign-in by a provider"


class Refused(RequestError):
    """Somebody was not let in; ``email`` is what a genuine token says of who it is, if it came so far."""

    def __init__(self, code: str, reason: str, *, email: str = "") -> None:
        super().__init__(code, reason)
        self.email = email


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and what it keeps to show that it is the same one when it comes back."""

    url: str
    keepsake: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class State:
    """What a sign-in is about, as it goes along with the browser: sealed."""

    provider: str
    browser: str = field(repr=False)
    verifier: str = field(repr=False)
    nonce: str = field(repr=False)
    tenant: str | None
    return_to: str | None
    until: int

    def sealed(self, keys: ServerKeys) -> str:
        """Return it as text for an address."""
        octets = json.dumps([getattr(self, name) for name in self.__slots__]).encode()
        return urlsafe_b64encode(keys.seal_small(octets, context=_CONTEXT)).rstrip(b"=").decode()

    @classmethod
    def opened(cls, keys: ServerKeys, text: str) -> "State":
        """Read what ``sealed`` has made.

        Raises:
            Refused: ``oidc.state``.
        """
        try:
            blob = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return cls(*json.loads(keys.open_small(blob, context=_CONTEXT)))
        except (SmallSealBroken, ValueError):
            raise _no_state() from None


async def begin(
    gateway: Gateway, provider: Provider, *, tenant: UUID | None, return_to: str | None, now: datetime
) -> Begun:
    """Begin to sign in.

    Raises:
        RequestError: ``oidc.unavailable``.
    """
    found = await provider.metadata(now=now)
    settings = provider.settings
    state = State(
        settings.name,
        secrets.token_urlsafe(32),
        secrets.token_urlsafe(48),
        secrets.token_urlsafe(32),
        str(tenant) if tenant else None,
        return_to,
        int((now + GOOD_FOR).timestamp()),
    )
    url = prepare_grant_uri(
        found.authorization_endpoint,
        client_id=settings.client_id,
        response_type="code",
        redirect_uri=redirect_uri(gateway, settings),
        scope=" ".join(settings.scopes),
        state=state.sealed(gateway.server_keys),
        nonce=state.nonce,
        code_challenge=create_s256_code_challenge(state.verifier),
        code_challenge_method="S256",
    )
    return Begun(url, state.browser)


def check_state(gateway: Gateway, settings: OidcSettings, text: str, keepsake: str, *, now: datetime) -> State:
    """Return what was begun, if it was by this browser, with this provider, and not too long ago.

    Raises:
        Refused: ``oidc.state``.
    """
    state = State.opened(gateway.server_keys, text)
    fits = state.provider == settings.name and same(state.browser.encode(), keepsake.encode())
    if not fits or state.until <= now.timestamp():
        raise _no_state()
    return state


async def finish(gateway: Gateway, provider: Provider, state: State, code: str, *, now: datetime) -> str:
    """Trade the code for a token, and return the verified address that the token is about. Each state is good for once.

    Raises:
        Refused: ``oidc.state``, or what is wrong with the token.
        RequestError: ``oidc.unavailable``.
    """
    async with gateway.database.dispatcher() as connection:
        try:
            await spend(connection, state.nonce.encode(), now=now)
        except NoChallenge:
            raise _no_state() from None
    settings = provider.settings
    answer = await provider.trade(code, state.verifier, redirect_uri=redirect_uri(gateway, settings), now=now)
    claims = await check_id_token(provider, answer, nonce=state.nonce, now=now)
    return _email_of(settings, claims)


async def invite_there(
    connection: AsyncConnection, gateway: Gateway, email: str, tenant: str, now: datetime
) -> Invited:
    """Invite somebody whose address is verified as a member of a tenant, by its name.

    Raises:
        Refused: ``oidc.no_member``, if there is no such tenant, or the address was invited or deactivated before.
    """
    found = select(tenants.c.id).where(tenants.c.name == tenant)
    tenant_id = (await connection.execute(found)).scalar_one_or_none()
    known = (users.c.tenant_id == tenant_id) & (users.c.email == email)
    if tenant_id is None or (await connection.execute(select(users.c.id).where(known))).first():
        raise no_member(email)
    return await invite(
        connection, gateway.server_keys, tenant_id=tenant_id, by_role="admin", email=email, role="member", now=now
    )


def redirect_uri(gateway: Gateway, settings: OidcSettings) -> str:
    """Return where the provider sends people back to."""
    return f"{gateway.config.people.url}/v1/sessions/oidc/{settings.name}/callback"


def no_member(email: str) -> Refused:
    """Return the refusal of somebody who belongs to no tenant of the provider."""
    return Refused("oidc.no_member", "You are no member here: have an owner or admin invite you.", email=email)


def secret_of(settings: OidcSettings) -> str:
    """Return the client's secret; empty: it has none.

    Raises:
        RequestError: ``oidc.unavailable``, if its variable is not set.
    """
    name = settings.client_secret_env
    if name and not os.environ.get(name):
        log.error("the secret of an identity provider is not set", provider=settings.name, variable=name)
        raise RequestError("oidc.unavailable", "This way to sign in is not configured to the end.")
    return os.environ[name] if name else ""


def _email_of(settings: OidcSettings, claims: dict[str, Any]) -> str:
    """Return the address that the provider vouches for.

    Raises:
        Refused: ``oidc.email``.
    """
    email = claims.get(settings.email_claim)
    if not isinstance(email, str) or claims.get(settings.verified_claim) is not True:
        raise Refused("oidc.email", "The provider does not say that it has verified your mail address.")
    email = email.strip().lower()
    if settings.domains and email.rpartition("@")[2] not in settings.domains:
        raise Refused("oidc.email", "The provider is not believed about addresses of this domain.")
    return email


def _no_state() -> Refused:
    return Refused("oidc.state", "This sign-in is over, was finished before, or was begun in another browser.")
