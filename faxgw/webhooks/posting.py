"""One message to one receiver: to an address that was checked, with its certificate verified, within limits."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import httpx

from faxgw.webhooks.egress import Address, Forbidden, Network, admit, is_allowed

MAX_ANSWER = 64 * 1024
"""Octets of an answer that are read (and thrown away); only the status counts."""

MAX_ADDRESSES = 3
"""Of one name that are tried, one after the other, when they cannot be connected to."""

USER_AGENT = "faxgw-webhooks/1"

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Host and port -> its addresses, in the order to try; OSError when there are none."""


class NotAnswered(Exception):
    """There is no status: not connected, not in time, not HTTP. The text is for the webhook's owner."""


async def by_system(host: str, port: int) -> Sequence[Address]:
    """Ask the system for the addresses of a host."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=1, proto=6)  # stream, TCP
    except UnicodeError as error:  # what a name may not be, such as one with an empty part
        raise OSError(f"{host[:80]} is no name of a host") from error
    return list(dict.fromkeys(ip_address(str(entry[4][0]).split("%")[0]) for entry in found))


class Poster:
    """Posts messages; close it after use.

    It follows no redirect, keeps no cookie, obeys no proxy, and keeps no connection: one made for a name would be used
    for another name at the same address, whose certificate nobody has checked.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[Network] = (),
        trust: Path | None = None,
        seconds: float = 15.0,
        resolve: Resolve = by_system,
    ) -> None:
        """Take private networks that may be reached all the same, further authorities (PEM), the time for it all.

        Raises:
            OSError: if ``trust`` cannot be read.
            ssl.SSLError: if it holds no certificates.
        """
        self._allowed = tuple(allowed)
        self._seconds = seconds
        self._resolve = resolve
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(verify=tls_context(trust), trust_env=False, limits=limits)

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> int:
        """Post a JSON body and return the status of the answer.

        Raises:
            NotAnswered: if there is none.
        """
        try:
            async with asyncio.timeout(self._seconds):
                response = await self._response(httpx.URL(url), headers, body)
        except TimeoutError as error:
            raise NotAnswered(f"no answer within {self._seconds:g} s") from error
        except Forbidden as error:
            raise NotAnswered(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            raise NotAnswered(_told(error)) from error
        try:
            await _skip(response)
        finally:
            await response.aclose()
        return response.status_code

    async def close(self) -> None:
        """End connections that are still open."""
        await self._transport.aclose()

    async def _response(self, url: httpx.URL, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        host = url.raw_host.decode().strip("[]")
        addresses = await self._resolve(host, url.port or (443 if url.scheme == "https" else 80))
        self._admit(url, addresses)
        fixed = {
            "Host": url.netloc.decode(),
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
        }
        last = httpx.ConnectError("the name has no address")
        for address in addresses[:MAX_ADDRESSES]:
            request = httpx.Request(
                "POST",
                url.copy_with(host=str(address)),
                headers={**fixed, **headers},
                content=body,
                extensions={"sni_hostname": host},
            )
            try:
                return await self._transport.handle_async_request(request)
            except httpx.ConnectError as error:
                last = error
        raise last

    def _admit(self, url: httpx.URL, addresses: Sequence[Address]) -> None:
        """Judge all addresses of a name: one that is refused among others is no accident."""
        for address in addresses:
            admit(address, self._allowed)
            if url.scheme != "https" and not is_allowed(address, self._allowed):
                raise Forbidden


async def _skip(response: httpx.Response) -> None:
    """Let the receiver say what it wants to, up to a limit: one that is cut off may take the message for lost."""
    length = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(1.0):
            async for part in response.aiter_raw():
                length += len(part)
                if length >= MAX_ANSWER:
                    return


def tls_context(trust: Path | None) -> ssl.SSLContext:
    """Return the rules for certificates: public authorities, the machine's own, and those in ``trust`` (PEM)."""
    context = httpx.create_ssl_context(trust_env=False)  # the authorities that browsers trust
    context.load_default_certs()
    if trust is not None:
        context.load_verify_locations(cafile=trust)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _told(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the receiver's certificate is not valid: {str(error).partition('CERTIFICATE_VERIFY_FAILED]')[2].strip()}"
        )
    return f"{type(error).__name__}: {error}"[:300]
