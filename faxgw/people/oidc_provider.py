"""An identity provider on the network: what it says of itself, its keys, tokens for codes; by the webhooks' rules."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
from authlib.oauth2.auth import ClientAuth
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from faxgw.config import Config
from faxgw.config.oidc import OidcSettings
from faxgw.errors import RequestError
from faxgw.webhooks.egress import Forbidden, admit, checked_url
from faxgw.webhooks.posting import Resolve, by_system, tls_context

log = structlog.get_logger(__name__)

WITHIN = 15.0
LONGEST = 256 * 1024
KNOWN_FOR = timedelta(hours=1)
"""How long metadata and keys are believed without asking again."""
ASKED_AGAIN_AFTER = timedelta(seconds=30)
"""How soon the keys may be fetched again for a token whose key is not among them: so a forger cannot have it done."""


class NotDone(Exception):
    """The provider did not answer as it should; the text is for the log."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    auth_methods: tuple[str, ...]
    read_at: datetime


class Provider:
    """One provider; remembers its metadata and its keys."""

    def __init__(self, settings: OidcSettings, config: Config, *, secret: str, resolve: Resolve = by_system) -> None:
        self.settings = settings
        self._secret = secret
        self._allowed = config.webhooks.allow_private
        self._trust = config.webhooks.trust
        self._resolve = resolve
        self._metadata: Metadata | None = None
        self._keys: tuple[KeySet, datetime] | None = None

    async def metadata(self, *, now: datetime) -> Metadata:
        """Return what the provider says of itself.

        Raises:
            RequestError: ``oidc.unavailable``.
        """
        if self._metadata is None or now - self._metadata.read_at >= KNOWN_FOR:
            said = await self._asked("GET", f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            self._metadata = self._read(said, now)
        return self._metadata

    async def keys(self, *, now: datetime, anew: bool = False) -> KeySet:
        """Return the provider's public keys; ``anew``: fetched now, unless that was done a moment ago.

        Raises:
            RequestError: ``oidc.unavailable``.
        """
        age = now - self._keys[1] if self._keys else KNOWN_FOR
        if self._keys is None or age >= (ASKED_AGAIN_AFTER if anew else KNOWN_FOR):
            said = await self._asked("GET", (await self.metadata(now=now)).jwks_uri)
            try:
                signing = [each for each in said["keys"] if each.get("kty") != "oct" and each.get("use") != "enc"]
                self._keys = KeySet.import_key_set({"keys": signing}), now
            except (JoseError, KeyError, TypeError, ValueError, AttributeError) as error:
                raise self._unavailable(f"its keys cannot be read: {error!r}") from error
        return self._keys[0]

    async def trade(self, code: str, verifier: str, *, redirect_uri: str, now: datetime) -> dict[str, Any]:
        """Return what the provider gives for a code.

        Raises:
            RequestError: ``oidc.unavailable``, or ``oidc.denied`` if it does not take the code.
        """
        found = await self.metadata(now=now)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        body = str(httpx.QueryParams({**form, "code_verifier": verifier}))
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        auth = ClientAuth(self.settings.client_id, self._secret, self._method(found))
        url, headers, body = auth.prepare("POST", found.token_endpoint, headers, body)
        return await self._asked("POST", url, headers=headers, body=body.encode())

    def _method(self, found: Metadata) -> str:
        if not self._secret:
            return "none"
        return "client_secret_basic" if "client_secret_basic" in found.auth_methods else "client_secret_post"

    def _read(self, said: Mapping[str, Any], now: datetime) -> Metadata:
        if said.get("issuer") != self.settings.issuer:
            raise self._unavailable("it calls itself by another address than the configuration")
        urls = [said.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(each, str) and each.startswith("https://") for each in urls):
            raise self._unavailable("an address of its is missing, or not https")
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        authorization, token, keys = map(str, urls)
        return Metadata(authorization, token, keys, tuple(map(str, methods)), now)

    async def _asked(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(WITHIN):
                status, octets = await self._answer(
                    method, httpx.URL(checked_url(url, self._allowed)), headers or {}, body
                )
            said = json.loads(octets)
        except RequestError as error:
            raise self._unavailable(error.reason) from error
        except (TimeoutError, NotDone, Forbidden, httpx.HTTPError, ssl.SSLError, OSError, ValueError) as error:
            raise self._unavailable(f"{type(error).__name__}: {error}"[:300]) from error
        if method == "POST" and status in (400, 401) and isinstance(said, dict) and "error" in said:
            log.warning(
                "an identity provider takes no code", provider=self.settings.name, error=str(said["error"])[:80]
            )
            raise RequestError("oidc.denied", "The identity provider does not take its code back: begin again.")
        if status != httpx.codes.OK or not isinstance(said, dict):
            raise self._unavailable(f"it answers with status {status}")
        return said

    async def _answer(self, method: str, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        host = url.raw_host.decode().strip("[]")
        addresses = await self._resolve(host, url.port or 443)
        for address in addresses:
            admit(address, self._allowed)
        if not addresses:
            raise NotDone("the name has no address")
        fixed = {"Host": url.netloc.decode(), "User-Agent": "faxgw/1", "Accept": "application/json"}
        request = httpx.Request(
            method,
            url.copy_with(host=str(addresses[0])),
            headers={**fixed, **headers},
            content=body,
            extensions={"sni_hostname": host},
        )
        async with httpx.AsyncHTTPTransport(verify=tls_context(self._trust), trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                return response.status_code, await _body(response)
            finally:
                await response.aclose()

    def _unavailable(self, why: str) -> RequestError:
        log.error("an identity provider cannot be used", provider=self.settings.name, why=why)
        return RequestError("oidc.unavailable", "The identity provider cannot be used now; the log has the reason.")


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LONGEST:
            raise NotDone("it answers too much")
    return bytes(body)
