"""Sends mails: over a way that is protected as its rule asks, by connections that are used again, or not at all."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TypeVar
from weakref import WeakValueDictionary

import structlog

from faxgw.config import Config
from faxgw.config.mail import MailSettings
from faxgw.delivery.carrier import NotCarried, NotProtected, Proof, Refused, Unreachable
from faxgw.gateway import Gateway
from faxgw.mail.sending.mail import Mail
from faxgw.mail.sending.message import message_octets
from faxgw.mail.sending.names import Names
from faxgw.mail.sending.routes import Direct, Route, to_smarthost
from faxgw.mail.sending.session import Hop, Login, Origin, Session, opened
from faxgw.mail.sending.sts import StsPolicies
from faxgw.mail.sending.tls import Contexts, Spoken
from faxgw.rules.mail import Protection, ascii_domain
from faxgw.webhooks.egress import Network

log = structlog.get_logger(__name__)

T = TypeVar("T")

AT_ONCE = 4
"""Connections to one host at the same time."""
IDLE = 15.0
"""Seconds for which a connection that nobody uses is kept."""
MOST_MAILS = 100
"""That go over one connection."""

NO_ROUTE = "No mail leaves this gateway: its operator has configured neither mail.smarthost nor mail.direct."


@dataclass(frozen=True, slots=True)
class Ports:
    """Where other hosts listen."""

    dns: int = 53
    smtp: int = 25
    https: int = 443


class Postman:
    """Everything that mail leaves by: one for a gateway; close it after use."""

    def __init__(self, config: Config, ports: Ports = Ports()) -> None:
        """Take the configuration.

        Raises:
            Unreachable: ``mail.trust`` if the authorities in it cannot be read.
        """
        self._settings = config.mail
        try:
            self._contexts = Contexts(config.mail.trust)
        except (OSError, ssl.SSLError) as error:
            raise Unreachable("mail.trust", "The certificate authorities in mail.trust cannot be read.") from error
        self._direct = _direct(config, self._contexts, ports)
        self._idle: dict[Hop, list[Session]] = {}
        self._closing: dict[Session, asyncio.TimerHandle] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._places: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def send(self, mail: Mail, *, protection: Protection, rule: str = "") -> Proof:
        """Send a mail, and return how it was protected.

        Args:
            mail: what is sent.
            protection: what its way must be; with ``link-only`` no content goes, and TLS is enough for the rest.
            rule: by which that holds, for the record.

        Raises:
            Unreachable, Refused: what the other side says.
            NotProtected: if no host can be reached as ``protection`` asks: nothing of the mail has left.
        """
        if protection == "link-only" and mail.attachments:
            raise Refused("mail.link_only", "No content goes to this address by mail.")
        routes = await self._routes(mail.domain)
        message = await asyncio.to_thread(self._octets, mail)

        async def over(hop: Hop) -> Proof:
            async with self._place(hop):
                session, answer = await self._handed_over(hop, mail, message)
            log.info("mail handed over", mail=mail.id, protection=protection, evidence=hop.evidence or "none")
            tls, verified = session.tls, bool(hop.evidence)
            decision, place, now = _decision(protection, rule, hop), mail.to, datetime.now(UTC)
            return Proof(tls.protocol, tls.cipher, tls.peer, verified, decision, place, now, reference=answer)

        return await self._by_one_of(routes, protection, over)

    async def reach(self, address: str, *, protection: Protection) -> Spoken:
        """Connect to a host of an address as a mail would, and keep the connection for one that follows at once.

        Returns the TLS of it.

        Raises:
            Unreachable, Refused, NotProtected: as of ``send``.
        """

        async def over(hop: Hop) -> Spoken:
            async with self._place(hop):
                session = self._taken(hop) or await opened(hop, _origin(self._settings), self._contexts)
                self._keep(session)
            return session.tls

        return await self._by_one_of(await self._routes(ascii_domain(address)), protection, over)

    async def close(self) -> None:
        """End all connections that nobody uses."""
        for each in [session for sessions in self._idle.values() for session in sessions]:
            await self._end(each)

    async def _routes(self, domain: str) -> Sequence[Route]:
        settings = self._settings
        if settings.direct:
            return await self._direct.to(domain)
        if not settings.smarthost:
            raise Unreachable("mail.no_route", NO_ROUTE)
        password = settings.password.get_secret_value() if settings.password else ""
        login = Login(settings.user, password) if settings.user else None
        implicit = settings.tls == "implicit"
        return await to_smarthost(Hop(settings.smarthost, (), settings.port, implicit=implicit, login=login))

    async def _by_one_of(
        self, routes: Sequence[Route], protection: Protection, over: Callable[[Hop], Awaitable[T]]
    ) -> T:
        """Do something over the first route that can be had as ``protection`` asks."""
        faults: list[NotCarried] = []
        for route in routes:
            try:
                return await self._by(route, protection, over)
            except (Unreachable, NotProtected) as fault:
                faults.append(fault)
        raise _worst(faults)

    async def _by(self, route: Route, protection: Protection, over: Callable[[Hop], Awaitable[T]]) -> T:
        if protection == "require-verified" and not route.hop.evidence:
            why = "nothing proves that it is a host of this domain: neither MTA-STS, DANE nor its name"
            raise NotProtected("mail.not_protected", f"{route.hop.host}: {why}.")
        try:
            return await over(route.hop)
        except NotProtected:
            if protection == "require-verified" or route.open is None or route.open == route.hop:
                raise
            return await over(route.open)

    def _octets(self, mail: Mail) -> bytes:
        settings, now = self._settings, datetime.now(UTC)
        return message_octets(mail, sender=settings.sender, sender_name=settings.sender_name, now=now)

    def _place(self, hop: Hop) -> asyncio.Semaphore:
        return self._places.setdefault(f"{hop.host}:{hop.port}", asyncio.Semaphore(AT_ONCE))

    async def _handed_over(self, hop: Hop, mail: Mail, message: bytes) -> tuple[Session, str]:
        all_the_way = mail.sensitive and bool(hop.evidence)
        while kept := self._taken(hop):
            try:
                answer = await kept.carry(self._settings.sender, mail.recipient, message, all_the_way=all_the_way)
            except Unreachable as fault:
                if fault.code != "mail.unreachable" or kept.doubtful:
                    raise
                continue  # it was kept too long: the other side had hung up
            self._keep(kept)
            return kept, answer
        session = await opened(hop, _origin(self._settings), self._contexts)
        answer = await session.carry(self._settings.sender, mail.recipient, message, all_the_way=all_the_way)
        self._keep(session)
        return session, answer

    def _taken(self, hop: Hop) -> Session | None:
        """Return a connection that is free, if there is one."""
        sessions = self._idle.get(hop, [])
        while sessions:
            session = sessions.pop()
            self._closing.pop(session).cancel()
            if session.is_open:
                return session
        self._idle.pop(hop, None)
        return None

    def _keep(self, session: Session) -> None:
        loop = asyncio.get_running_loop()
        if session.carried >= MOST_MAILS:
            session.cut()
            return
        self._idle.setdefault(session.hop, []).append(session)
        self._closing[session] = loop.call_later(IDLE, self._forget, session)

    def _forget(self, session: Session) -> None:
        """End a connection that nobody has used for long."""
        ending = asyncio.get_running_loop().create_task(self._end(session))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _end(self, session: Session) -> None:
        sessions = self._idle.get(session.hop, [])
        if session not in sessions:
            return
        sessions.remove(session)
        if not sessions:
            self._idle.pop(session.hop, None)
        self._closing.pop(session).cancel()
        await session.close()


async def send(gateway: Gateway, mail: Mail, *, protection: Protection, rule: str = "") -> Proof:
    """Send a mail by the gateway's own way, and return how it was protected; see ``Postman.send``.

    Raises:
        Unreachable, Refused, NotProtected: see there.
    """
    return await postman_of(gateway).send(mail, protection=protection, rule=rule)


def postman_of(gateway: Gateway) -> Postman:
    """Return what a gateway's mail leaves by, made when it is first asked for.

    Raises:
        Unreachable: ``mail.trust`` if its configuration cannot be used.
    """
    if gateway.postman is None:
        gateway.postman = Postman(gateway.config)
    return gateway.postman


def _direct(config: Config, contexts: Contexts, ports: Ports) -> Direct:
    settings, allowed = config.mail, _networks(config)
    names = Names([ip_address(str(each)) for each in settings.dns], validates=settings.dns_validates, port=ports.dns)
    policies = StsPolicies(names, contexts.web, allowed=allowed, port=ports.https)
    return Direct(names, policies, allowed, ports.smtp)


def _networks(config: Config) -> list[Network]:
    return list(config.delivery.allow_private)


def _origin(settings: MailSettings) -> Origin:
    address = ip_address(str(settings.local_address)) if settings.local_address else None
    return Origin(settings.own_name, address, settings.timeout)


def _decision(protection: Protection, rule: str, hop: Hop) -> str:
    by = f" by {rule}" if rule else ""
    return f"{protection}{by}: {hop.evidence or 'encrypted, not verified'}"


def _worst(faults: Sequence[NotCarried]) -> NotCarried:
    """Return what is told of several hosts: where one is only away, it may be the one that can be trusted."""
    return next((each for each in faults if isinstance(each, Unreachable)), faults[0])
