"""A feed from where it is configured to lie: a file, or an address under the rules that webhooks go by."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import httpx

from faxgw.advisories.feed import LONGEST
from faxgw.errors import RequestError
from faxgw.webhooks.egress import Forbidden, Network, admit, checked_url, is_allowed
from faxgw.webhooks.posting import Resolve, by_system, tls_context

WITHIN = 30.0


class NotFetched(Exception):
    """The feed could not be had; the text is one sentence."""


async def from_file(path: Path) -> bytes:
    """Read a feed from a file.

    Raises:
        NotFetched: when it cannot be read.
    """
    return await asyncio.to_thread(start_of, path)


def start_of(path: Path) -> bytes:
    """As ``from_file``; blocks."""
    try:
        with path.open("rb") as file:
            return file.read(LONGEST + 1)
    except OSError as error:
        raise NotFetched(f"The feed {path} cannot be read: {error.strerror}.") from error


async def from_url(
    url: str, *, allowed: Sequence[Network] = (), trust: Path | None = None, resolve: Resolve = by_system
) -> bytes:
    """Get a feed: over verified TLS, from public addresses only unless allowed; no redirect, no proxy.

    Raises:
        NotFetched: when it cannot be had.
    """
    try:
        async with asyncio.timeout(WITHIN):
            return await _get(httpx.URL(checked_url(url, allowed)), allowed, trust, resolve)
    except RequestError as error:
        raise NotFetched(f"The address of the feed cannot be used: {error.reason}") from error
    except TimeoutError as error:
        raise NotFetched(f"The feed's server did not answer within {WITHIN:g} s.") from error
    except (Forbidden, httpx.HTTPError, ssl.SSLError, OSError) as error:
        raise NotFetched(f"The feed cannot be fetched: {type(error).__name__}: {error}."[:300]) from error


async def _get(url: httpx.URL, allowed: Sequence[Network], trust: Path | None, resolve: Resolve) -> bytes:
    host = url.raw_host.decode().strip("[]")
    addresses = await resolve(host, url.port or (443 if url.scheme == "https" else 80))
    for address in addresses:
        admit(address, allowed)
        if url.scheme != "https" and not is_allowed(address, allowed):
            raise Forbidden
    if not addresses:
        raise OSError("the name has no address")
    headers = {"Host": url.netloc.decode(), "User-Agent": "faxgw-advisories/1", "Accept": "application/json"}
    request = httpx.Request(
        "GET", url.copy_with(host=str(addresses[0])), headers=headers, extensions={"sni_hostname": host}
    )
    transport = httpx.AsyncHTTPTransport(verify=tls_context(trust), trust_env=False)
    async with transport:
        response = await transport.handle_async_request(request)
        try:
            if response.status_code != httpx.codes.OK:
                raise OSError(f"status {response.status_code}")
            return await _body(response)
        finally:
            await response.aclose()


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > LONGEST:
            raise OSError("it is too long")
    return bytes(body)
