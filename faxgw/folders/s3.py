"""Folders in buckets of S3-compatible stores.

The archive's own way to a bucket (obstore) is not used here: it says neither to whom it is connected nor how that is
protected, and looks names up by itself, so that no address can be judged.
"""

import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256

import httpx

from faxgw.delivery.carrier import NotCarried, NotProtected, Refused, Unreachable
from faxgw.delivery.targets import S3Target, TargetSecret
from faxgw.errors import RequestError
from faxgw.folders.aws import escaped, in_order, signed
from faxgw.folders.carrying import FolderCarrier
from faxgw.folders.folder import Folder, Hop
from faxgw.folders.reaching import judged
from faxgw.folders.threads import in_thread
from faxgw.folders.trust import trusting
from faxgw.webhooks.egress import Network
from faxgw.webhooks.posting import MAX_ADDRESSES

SECONDS = 30.0
"""Without an octet, before a connection is given up."""
MOST_TOLD = 64 * 1024
"""Octets of what a store says of an error that are read."""

_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
_STRANGERS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"}
_FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientCapacity"}


class S3Carrier(FolderCarrier[S3Target]):
    """A ``Carrier`` to a folder of a bucket."""

    @property
    def origin(self) -> str:
        """See ``FolderCarrier``."""
        return f"s3://{endpoint_of(self.settings).netloc.decode()}/{self.settings.bucket}/"

    @asynccontextmanager
    async def open(self, folder: str) -> AsyncIterator[Folder]:
        """See ``FolderCarrier``."""
        try:
            check_bucket(self.settings, self.target.secret)
            context = await in_thread(lambda: trusting(self.settings.authorities))
        except RequestError as error:
            raise Refused(error.code, error.reason) from error
        store = Store(self.settings, self.target.secret, context, self.rules.allow_private)
        try:
            yield BucketFolder(store, folder)
        finally:
            await store.close()


def endpoint_of(settings: S3Target) -> httpx.URL:
    """Return where the store is."""
    return httpx.URL(settings.endpoint or f"https://s3.{settings.region}.amazonaws.com")


def check_bucket(settings: S3Target, secret: TargetSecret) -> None:
    """Look at what is said of a bucket.

    Raises:
        RequestError: ``target.endpoint``, ``target.credentials``.
    """
    try:
        endpoint = endpoint_of(settings)
    except httpx.InvalidURL as error:
        raise RequestError("target.endpoint", f"The endpoint is no URL: {error}.") from error
    if endpoint.scheme != "https" or not endpoint.host or endpoint.userinfo or endpoint.path not in ("", "/"):
        raise RequestError("target.endpoint", "The endpoint is https://HOST or https://HOST:PORT, and nothing more.")
    if endpoint.query or endpoint.fragment:
        raise RequestError("target.endpoint", "The endpoint is https://HOST or https://HOST:PORT, and nothing more.")
    if not settings.access_key_id or not secret.password:
        raise RequestError("target.credentials", "Give the access key's id, and its secret as the password.")


class Store:
    """Requests to one bucket; close it after use."""

    def __init__(
        self, settings: S3Target, secret: TargetSecret, context: ssl.SSLContext, allowed: tuple[Network, ...]
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._allowed = allowed
        self._endpoint = endpoint_of(settings)
        self._transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
        self._addresses: list[str] = []
        self.hop: Hop | None = None

    @property
    def encryption(self) -> dict[str, str]:
        """What is asked of the store when something is put there."""
        kind = self._settings.server_encryption
        return {"x-amz-server-side-encryption": kind} if kind else {}

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.aclose()

    @asynccontextmanager
    async def asked(
        self,
        method: str,
        key: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes = b"",
    ) -> AsyncIterator[httpx.Response]:
        """Ask for something, and give the beginning of the answer.

        Raises:
            NotCarried: without an answer.
        """
        path = escaped(f"/{self._settings.bucket}/{key}")
        all_headers = signed(
            method,
            host=self._endpoint.netloc.decode(),
            path=path,
            query=query or {},
            headers={**(headers or {}), **({"content-length": str(len(content))} if content else {})},
            content=content,
            region=self._settings.region,
            key_id=self._settings.access_key_id,
            secret=self._secret.password,
            at=datetime.now(UTC),
        )
        target = f"{path}?{in_order(query)}" if query else path
        try:
            response = await self._answer(method, target, all_headers, content)
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx.HTTPError, OSError) as error:
            raise _fault(error) from error

    async def _answer(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> httpx.Response:
        """Ask at the first address that can be connected to."""
        host = self._endpoint.raw_host.decode().strip("[]")
        port = self._endpoint.port or 443
        if not self._addresses:
            found = await judged(host, port, allowed=self._allowed)
            self._addresses = [str(address) for address in found[:MAX_ADDRESSES]]
        last = httpx.ConnectError("the name has no address")
        for address in list(self._addresses):
            url = httpx.URL(scheme="https", host=address, port=port).copy_with(raw_path=target.encode())
            extensions = {"sni_hostname": host, "timeout": httpx.Timeout(SECONDS).as_dict()}
            request = httpx.Request(method, url, headers=headers, content=content, extensions=extensions)
            try:
                response = await self._transport.handle_async_request(request)
            except httpx.ConnectError as error:
                last = error
                continue
            self._addresses = [address]
            self.hop = _hop(response)
            return response
        raise last


class BucketFolder:
    """What is in a bucket under one prefix. A file is put there whole or not at all, by the store itself."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = folder.strip("/")
        self._versions: dict[str, str] = {}

    @property
    def hop(self) -> Hop:
        """See ``Folder``; known after the first answer."""
        assert self._store.hop is not None
        return self._store.hop

    async def digest(self, name: str) -> bytes | None:
        """See ``Folder``."""
        async with self._store.asked("GET", self._key(name)) as response:
            if response.status_code == httpx.codes.NOT_FOUND:
                if await _code(response) == "NoSuchBucket":
                    raise Unreachable("delivery.folder", "There is no such bucket.")
                return None
            await _check(response)
            self._versions[name] = response.headers.get("x-amz-version-id", "")
            seen = sha256()
            async for octets in response.aiter_raw():
                seen.update(octets)
        return seen.digest()

    async def add(self, name: str, content: bytes, *, part: str) -> bool:  # noqa: ARG002
        """See ``Folder``; it has no other name before."""
        digest = sha256(content)
        headers = {"if-none-match": "*", "x-amz-meta-sha256": digest.hexdigest(), **self._store.encryption}
        async with self._store.asked("PUT", self._key(name), headers=headers, content=content) as response:
            if response.status_code == httpx.codes.PRECONDITION_FAILED:
                return False
            await _check(response)
        if await self.digest(name) != digest.digest():
            await self.remove(name)
            raise Unreachable("delivery.damaged", "What was written there is not what is read there.")
        return True

    async def remove(self, name: str) -> None:
        """See ``Folder``: what was read is, and where the store keeps versions, that very one; no mark is left."""
        if name not in self._versions:
            return
        version = self._versions.pop(name)
        query = {"versionId": version} if version else None
        async with self._store.asked("DELETE", self._key(name), query=query) as response:
            if response.status_code != httpx.codes.NOT_FOUND:
                await _check(response)

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}" if self._folder else name


async def _check(response: httpx.Response) -> None:
    """Take an answer, if it is one of those that say that it is done."""
    if response.is_success:
        return
    code = await _code(response)
    status = f"{response.status_code} {code}".strip()
    if code in _STRANGERS:
        raise Refused("delivery.sign_in", f"The store does not know this key, or its secret is wrong: {status}.")
    if code in _FULL:
        raise Unreachable("delivery.full", "There is no room left.")
    if response.status_code in (401, 403, 405):
        raise Refused("delivery.permission", f"The key may not do that in this bucket: {status}.")
    if response.status_code in (408, 409, 425, 429) or response.is_server_error:
        raise Unreachable("delivery.failed", f"The store could not do it: {status}.")
    raise Refused("delivery.refused", f"The store will not do it: {status}.")


async def _code(response: httpx.Response) -> str:
    """Return what a store calls an error."""
    told = b""
    async for octets in response.aiter_raw():
        told += octets
        if len(told) > MOST_TOLD:
            break
    found = _CODE.search(told)
    return found[1].decode() if found else ""


def _hop(response: httpx.Response) -> Hop:
    secured = response.extensions["network_stream"].get_extra_info("ssl_object")
    return Hop(
        protocol=secured.version(),
        decision="require-verified",
        cipher=secured.cipher()[0],
        peer=sha256(secured.getpeercert(binary_form=True)).hexdigest(),
    )


def _fault(error: Exception) -> NotCarried:
    """Return what an error of the connection means."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return NotProtected("delivery.certificate", f"The store's certificate is not valid: {cause.verify_message}.")
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return NotProtected("delivery.tls", f"The TLS handshake fails: {cause.reason}.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Unreachable("delivery.unreachable", "There is no connection to the store.")
    return Unreachable("delivery.cut", "The connection was lost.")
