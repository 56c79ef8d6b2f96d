"""One connection to one mail host: TLS stands and was proven as it must be before anything else is said."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import aiosmtplib

from faxgw.delivery.carrier import NotCarried, NotProtected, Refused, Unreachable
from faxgw.mail.sending.dane import Tlsa, is_proven
from faxgw.mail.sending.tls import Contexts, Spoken, chain, spoken
from faxgw.webhooks.egress import Address

MAX_WORDS = 200
"""Of what another host says, so much is kept."""
SLOWEST = 20_000
"""Octets in a second that a host must take at least."""
_SIGN_IN = frozenset({530, 534, 535, 538})
"""Answers that speak of our credential, not of the mail."""


@dataclass(frozen=True, slots=True)
class Login:
    """As whom to sign in."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hop:
    """A host, and what proves that it is the right one.

    Attributes:
        host: its name, for which its certificate must be where ``by_name`` says so.
        addresses: where it is now; a connection that stands is one to that host, wherever it has moved meanwhile.
        implicit: TLS begins with the first octet.
        by_name: an authority that we believe vouches for the certificate and the name.
        tlsa: one of these vouches for the certificate.
        evidence: what makes it the right host, once that is so; empty: nothing, it is anybody.
    """

    host: str
    addresses: tuple[Address, ...] = field(compare=False)
    port: int
    implicit: bool = False
    by_name: bool = False
    tlsa: tuple[Tlsa, ...] = ()
    evidence: str = ""
    login: Login | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Who we are to other hosts: our name, our address if not any, and how many seconds they have for an answer."""

    name: str
    address: Address | None = None
    timeout: float = 60.0


class Session:
    """A connection on which TLS stands.

    Attributes:
        carried: so many mails went over it.
        doubtful: a message went out whole, and there was no answer yet: the other side may have it.
    """

    def __init__(self, hop: Hop, client: aiosmtplib.SMTP, tls: Spoken) -> None:
        """Take what ``opened`` made."""
        self.hop, self.tls, self.carried, self.doubtful = hop, tls, 0, False
        self._client = client

    @property
    def is_open(self) -> bool:
        """Whether it can still be used, as far as is known."""
        return self._client.is_connected

    async def carry(self, sender: str, recipient: str, message: bytes, *, all_the_way: bool) -> str:
        """Hand a message over and return what the host said to it.

        Args:
            sender: of the envelope.
            recipient: of the envelope.
            message: with CRLF.
            all_the_way: ask the host for TLS on every further hop, if it offers that (REQUIRETLS, RFC 8689).

        Raises:
            Unreachable, Refused: what it said; nothing can be sent over the connection any more.
        """
        client = self._client
        self._check_size(len(message))
        options = [f"SIZE={len(message)}"] if client.supports_extension("size") else []
        options += ["REQUIRETLS"] if all_the_way and client.supports_extension("requiretls") else []
        utf8 = not recipient.isascii()
        if utf8 and not client.supports_extension("smtputf8"):
            raise Refused("mail.address", f"{self.hop.host} takes no addresses with letters other than ASCII.")
        options += ["SMTPUTF8"] if utf8 else []
        async with self._told():
            encoding = "utf-8" if utf8 else "ascii"
            await client.mail(sender, options=options, encoding=encoding)
            await client.rcpt(recipient, encoding=encoding)
            self.doubtful = True
            answer = await client.data(message, timeout=_patience(client, len(message)))
        self.carried, self.doubtful = self.carried + 1, False
        return said(answer.message)

    async def close(self) -> None:
        """Say goodbye, if there is still somebody to say it to."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await self._client.quit(timeout=2.0)
        self.cut()

    def cut(self) -> None:
        """End the connection at once."""
        _cut(self._client)

    async def greet(self, login: Login | None) -> None:
        """Say over TLS who we are, and sign in.

        Raises:
            Unreachable: if the host will not have that.
        """
        async with self._told():
            await self._client.ehlo()
        if login is None:
            return
        try:
            await self._client.login(login.user, login.password)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self.cut()
            words = said(error.message) if isinstance(error, aiosmtplib.SMTPResponseException) else "no way to sign in"
            raise Unreachable("mail.sign_in", f"{self.hop.host} does not let the gateway sign in: {words}.") from error

    def _check_size(self, octets: int) -> None:
        most = self._client.esmtp_extensions.get("size", "").strip()
        if most.isdecimal() and 0 < int(most) < octets:
            reason = f"{self.hop.host} takes messages of up to {int(most)} octets, and this one has {octets}."
            raise Refused("mail.too_large", reason)

    @contextlib.asynccontextmanager
    async def _told(self) -> AsyncIterator[None]:
        """Say in our words what goes wrong; a connection on which something did is of no use any more."""
        try:
            yield
        except aiosmtplib.SMTPResponseException as error:
            self.cut()
            raise _answered(self.hop.host, error) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            self.cut()
            raise _answered(self.hop.host, error.recipients[0]) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            self.cut()
            raise Unreachable("mail.unreachable", f"{self.hop.host} broke off, or did not answer.") from error
        except BaseException:
            self.cut()
            raise


async def opened(hop: Hop, us: Origin, contexts: Contexts) -> Session:
    """Connect to a host, begin TLS, and see that it is the host that it must be; nothing else is said before.

    Raises:
        Unreachable: if it is away.
        NotProtected: if there is no TLS with it, or it is not proven to be the right host.
    """
    reasons: list[NotCarried] = []
    for address in hop.addresses:
        try:
            return await _at(address, hop, us, contexts)
        except Unreachable as error:
            reasons.append(error)
    raise reasons[0] if reasons else Unreachable("mail.dns", f"The host {hop.host} has no address.")


async def _at(address: Address, hop: Hop, us: Origin, contexts: Contexts) -> Session:
    connection = await _connected(address, hop, us)
    client = aiosmtplib.SMTP(
        hostname=hop.host,
        sock=connection,
        local_hostname=us.name,
        timeout=us.timeout,
        use_tls=hop.implicit,
        start_tls=not hop.implicit,
        tls_context=contexts.verified if hop.by_name else contexts.open,
    )
    try:
        await client.connect()
        tls = client.get_transport_info("ssl_object")
        if tls is None:
            raise _unprotected(hop, "there is no TLS")
        if hop.tlsa and not is_proven(hop.tlsa, chain(tls), host=hop.host):
            raise _unprotected(hop, "its certificate is not the one that its zone vouches for (DANE)")
        session = Session(hop, client, spoken(tls))
        await session.greet(hop.login)
    except BaseException as error:
        _cut(client)
        told = _not_opened(hop, error)
        if told is error:
            raise
        raise told from error
    return session


async def _connected(address: Address, hop: Hop, us: Origin) -> socket.socket:
    loop = asyncio.get_running_loop()
    connection = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        if us.address is not None and us.address.version == address.version:
            connection.bind((str(us.address), 0))
        async with asyncio.timeout(min(us.timeout, 30.0)):
            await loop.sock_connect(connection, (str(address), hop.port))
    except OSError as error:  # which a time-out is, too
        connection.close()
        raise Unreachable("mail.unreachable", f"{hop.host} cannot be connected to on port {hop.port}.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _not_opened(hop: Hop, error: BaseException) -> BaseException:
    """Return what kept a connection from being made in the words of carriers."""
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPException) else None
    for each in (error, cause):
        if isinstance(each, ssl.SSLCertVerificationError):
            return _unprotected(hop, f"its certificate is not valid: {_why(each)}")
        if isinstance(each, ssl.SSLError):
            return _unprotected(hop, f"TLS fails: {_why(each)}")
    if isinstance(error, aiosmtplib.SMTPTimeoutError | aiosmtplib.SMTPConnectError | aiosmtplib.SMTPHeloError):
        return Unreachable("mail.unreachable", f"{hop.host} does not answer, or not as a mail host does.")
    if isinstance(error, aiosmtplib.SMTPConnectResponseError):
        return Unreachable("mail.unreachable", f"{hop.host} takes no mail now: {said(error.message)}.")
    if isinstance(error, aiosmtplib.SMTPServerDisconnected) and cause is None:
        return Unreachable("mail.unreachable", f"{hop.host} broke off.")
    if isinstance(error, aiosmtplib.SMTPException | OSError):
        return _unprotected(hop, "it does not begin TLS")
    return error


def _unprotected(hop: Hop, why: str) -> NotProtected:
    return NotProtected("mail.not_protected", f"{hop.host}: {why}.")


def _why(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return said(error.verify_message) or "it cannot be verified"
    return said((error.reason or "no handshake").replace("_", " ").lower())


def _answered(host: str, error: aiosmtplib.SMTPResponseException) -> NotCarried:
    if not 200 <= error.code < 600:
        return Unreachable("mail.unreachable", f"{host} does not answer as a mail host does.")
    words = f"{host} answers {error.code} {said(error.message)}"
    if error.code in _SIGN_IN and not isinstance(error, aiosmtplib.SMTPHeloError):
        return Unreachable("mail.sign_in", f"{words}.")
    if 500 <= error.code < 600 and not isinstance(error, aiosmtplib.SMTPHeloError):
        return Refused("mail.refused", f"{words}.")
    return Unreachable("mail.deferred", f"{words}.")


def _cut(client: aiosmtplib.SMTP) -> None:
    transport = client.transport
    client.close()
    if transport is not None:
        cast("asyncio.Transport", transport).abort()


def _patience(client: aiosmtplib.SMTP, octets: int) -> float:
    return (client.timeout or 0) + octets / SLOWEST


def said(words: str) -> str:
    """Return what another host said as it may be shown: one line, no control characters, not much of it."""
    clean = words.encode("utf-8", "replace").decode("utf-8", "replace")
    clean = "".join(sign if sign.isprintable() else " " for sign in clean)
    return re.sub(r"\s+", " ", clean).strip().rstrip(".")[:MAX_WORDS]
