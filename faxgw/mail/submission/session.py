"""The conversation under TLS: a device signs in, and hands over messages; what was said in clear is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from faxgw.devices.device import Device
from faxgw.devices.memory import Loan
from faxgw.mail.submission.commands import Command, Misspelt, Path, decoded, plain
from faxgw.mail.submission.content import Content, Unfit
from faxgw.mail.submission.limits import Shared
from faxgw.mail.submission.port import Desk, Peer, Rejected, Submission
from faxgw.mail.submission.wire import Gone, Slow, Wire
from faxgw.metrics import REFUSED, SUBMISSIONS

log = structlog.get_logger(__name__)

HEARD_OUT = 5.0
"""Seconds for which what is left of a refused message is passed over, so that its sender reads why."""
FOREIGN = frozenset({"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE"})
"""Commands of HTTP: a browser that somebody has sent here."""


_T = TypeVar("_T")


class Over(Exception):
    """The connection is to be closed; ``reason`` as metrics have it, empty: the client is done."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class _Envelope:
    sender: str
    recipients: dict[str, None] = field(default_factory=dict)


class Session:
    """One connection under TLS."""

    def __init__(self, wire: Wire, desk: Desk, shared: Shared, *, name: str, peer: Peer, caller: str) -> None:
        self._wire = wire
        self._desk = desk
        self._shared = shared
        self._limits = shared.limits
        self._name = name
        self._peer = peer
        self._caller = caller
        self._greeted = False
        self._device: Device | None = None
        self._envelope: _Envelope | None = None
        self._failures = self._errors = self._commands = self._messages = 0
        self._verbs: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "QUIT": self._quit,
        }
        self.is_taking = False
        """Whether a message is at the desk: then it is waited for."""

    async def run(self, *, greet: bool) -> None:
        """Talk until the end; ``greet``: the client has not been greeted yet.

        Raises:
            Over: why it ended.
            Gone: the client went away.
        """
        begun = asyncio.get_running_loop().time()
        if greet:
            self._say(220, f"{self._name} ESMTP", enhanced="")
        while True:
            try:
                line = await self._wire.line(until=self._until(begun))
                await self._obey(Command.read(line))
            except Misspelt as wrong:
                self._refuse(wrong.code, wrong.enhanced, wrong.text)
                if wrong.code == 500:
                    raise Over("malformed") from None
            except Slow:
                self._say(421, "That took too long", enhanced="4.4.2")
                raise Over("slow") from None

    def _until(self, begun: float) -> float:
        if self._device is None:
            return begun + self._limits.sign_in
        return asyncio.get_running_loop().time() + self._limits.command

    async def _obey(self, command: Command) -> None:
        self._commands += 1
        if self._commands > self._limits.commands:
            self._say(421, "Too many commands", enhanced="4.7.0")
            raise Over("limit")
        if (verb := self._verbs.get(command.verb)) is not None:
            await verb(command.argument)
            return
        self._refuse(500, "5.5.1", "There is no such command")
        if command.verb in FOREIGN or not command.verb:
            raise Over("malformed")

    # -------------------------------------------------------------------------------------------------------- greeting

    async def _ehlo(self, argument: str) -> None:
        if not argument:
            return self._refuse(501, "5.5.4", "EHLO needs a name")
        self._greeted, self._envelope = True, None
        size = int(self._shared.settings.max_message)
        offers = ("PIPELINING", f"SIZE {size}", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH PLAIN LOGIN")
        self._wire.say(f"250-{self._name}", *(f"250-{each}" for each in offers[:-1]), f"250 {offers[-1]}")
        return None

    async def _helo(self, argument: str) -> None:
        if not argument:
            return self._refuse(501, "5.5.4", "HELO needs a name")
        self._greeted, self._envelope = True, None
        return self._say(250, self._name, enhanced="")

    async def _noop(self, _: str) -> None:
        self._say(250, "OK")

    async def _vrfy(self, _: str) -> None:
        self._say(252, "Try to send", enhanced="2.1.5")

    async def _rset(self, _: str) -> None:
        self._envelope = None
        self._say(250, "OK")

    async def _quit(self, _: str) -> None:
        self._say(221, "Bye")
        raise Over

    # ------------------------------------------------------------------------------------------------------ signing in

    async def _auth(self, argument: str) -> None:
        if self._device is not None or self._envelope is not None or not self._greeted:
            return self._refuse(503, "5.5.1", "AUTH comes once, after EHLO")
        mechanism, _, first = argument.partition(" ")
        due = asyncio.get_running_loop().time() + self._limits.tarpit * (self._failures + 1)
        if self._shared.failures.left(self._caller).wait:
            self._say(454, "Too many failed sign-ins; come again in a minute", enhanced="4.7.0")
            raise Over("limit")
        match mechanism.upper():
            case "PLAIN":
                login, secret = plain(first.strip() or await self._asked(""))
            case "LOGIN":
                login = decoded(first.strip() or await self._asked("VXNlcm5hbWU6"))
                secret = decoded(await self._asked("UGFzc3dvcmQ6"))
            case _:
                return self._refuse(504, "5.5.4", "There is AUTH PLAIN and AUTH LOGIN")
        try:
            self._device = await _answer(self._desk.sign_in(login, secret, self._peer))
        except Rejected as rejected:
            return self._reject(rejected)
        if self._device is not None:
            return self._say(235, "Signed in", enhanced="2.7.0")
        return await self._not_let_in(due)

    async def _asked(self, challenge: str) -> str:
        """Return the client's answer, as it stands."""
        self._wire.say(f"334 {challenge}")
        line = await self._wire.line(until=asyncio.get_running_loop().time() + self._limits.sign_in)
        if line == b"*":
            raise Misspelt(501, "5.7.0", "AUTH was given up")
        return line.decode("ascii", "replace")

    async def _not_let_in(self, due: float) -> None:
        """Answer at a fixed time after the question: what was wrong is not to be told by how long it took."""
        self._failures += 1
        self._shared.failures.take(self._caller)
        REFUSED.labels("device").inc()
        log.warning("device sign-in failed", address=self._peer.address)
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        self._refuse(535, "5.7.8", "Login or secret is wrong")
        if self._failures >= self._limits.failures:
            raise Over("limit")

    # --------------------------------------------------------------------------------------------------------- messages

    async def _mail(self, argument: str) -> None:
        if self._device is None:
            return self._refuse(530, "5.7.0", "AUTH comes first")
        if self._envelope is not None:
            return self._refuse(503, "5.5.1", "There is a message already; RSET ends it")
        if self._messages >= self._limits.messages:
            self._say(421, "Enough for one connection; come again", enhanced="4.7.0")
            raise Over("limit")
        path = Path.read(argument, "FROM")
        if wrong := self._wrong_with(path):
            return self._refuse(*wrong)
        self._envelope = _Envelope(path.address)
        return self._say(250, "OK", enhanced="2.1.0")

    def _wrong_with(self, path: Path) -> tuple[int, str, str] | None:
        for name, value in path.parameters.items():
            match name:
                case "SIZE" if not value.isascii() or not value.isdigit() or len(value) > 20:
                    return 501, "5.5.4", "SIZE is a number"
                case "SIZE" if int(value) > self._shared.settings.max_message:
                    return 552, "5.3.4", f"The message is larger than {int(self._shared.settings.max_message)} octets"
                case "BODY" if value.upper() not in {"7BIT", "8BITMIME"}:
                    return 501, "5.5.4", "BODY is 7BIT or 8BITMIME"
                case "SIZE" | "BODY" | "AUTH" | "SMTPUTF8":
                    continue
                case _:
                    return 555, "5.5.4", "There is no such parameter"
        return None

    async def _rcpt(self, argument: str) -> None:
        if self._device is None or self._envelope is None:
            return self._refuse(503, "5.5.1", "MAIL comes first")
        path = Path.read(argument, "TO")
        if path.parameters:
            return self._refuse(555, "5.5.4", "There is no such parameter")
        recipients = self._envelope.recipients
        if not path.address:
            return self._refuse(501, "5.1.3", "TO:<address> is expected")
        if path.address in recipients:
            return self._say(250, "OK", enhanced="2.1.5")
        if len(recipients) >= self._shared.settings.max_recipients:
            return self._refuse(452, "4.5.3", "Too many recipients")
        domains = self._shared.settings.domains
        if domains and path.domain and path.domain not in domains:
            return self._refuse(550, "5.7.1", "Mail is not passed on to other domains")
        try:
            await _answer(self._desk.admit(self._device, path.address))
        except Rejected as rejected:
            return self._reject(rejected)
        recipients[path.address] = None
        return self._say(250, "OK", enhanced="2.1.5")

    async def _data(self, argument: str) -> None:
        device, envelope = self._device, self._envelope
        if device is None or envelope is None:
            return self._refuse(503, "5.5.1", "MAIL comes first")
        if argument:
            return self._refuse(501, "5.5.4", "DATA stands alone")
        if not envelope.recipients:
            return self._refuse(554, "5.5.1", "There are no recipients")
        if self._wire.waiting:  # a message that does not wait to be asked for: it may be none of this sender's
            self._refuse(503, "5.5.1", "Nothing may follow DATA before its answer")
            raise Over("malformed")
        self._envelope, self._commands = None, 0
        self._messages += 1
        with self._shared.memory.lend() as loan:
            content = await self._content(loan)
            if isinstance(content, bytes):
                submission = Submission(device, envelope.sender, tuple(envelope.recipients), content, self._peer)
                return await self._hand_over(submission)
        await self._wire.hear_out(HEARD_OUT, pause=self._limits.pause)
        raise Over("malformed" if content.code >= 500 else "limit")

    async def _content(self, loan: Loan) -> bytes | Unfit:
        """Read a message; return why it is not taken, if so: the client was told.

        Raises:
            Slow, Gone: see there.
        """
        clock = asyncio.get_running_loop().time
        begun, received = clock(), 0
        content = Content(self._shared.settings.max_message)
        self._wire.say("354 Send the message, and CR LF . CR LF")
        try:
            while True:
                octets = await self._wire.take(until=self._piece_until(begun, received, clock()))
                received += len(octets)
                rest = content.feed(octets)
                if not loan.grow(content.held):
                    raise Unfit(452, "4.3.1", "Too much is coming in; come again later")
                if rest is not None:
                    self._wire.give_back(rest)
                    return content.take_out()
        except Unfit as wrong:
            SUBMISSIONS.labels("refused").inc()
            self._refuse(wrong.code, wrong.enhanced, wrong.text)
            return wrong
        except (Gone, Slow):
            SUBMISSIONS.labels("broken").inc()
            raise

    def _piece_until(self, begun: float, received: int, now: float) -> float:
        limits = self._limits
        slowest = begun + limits.grace + received / self._shared.settings.slowest
        return min(now + limits.silence, slowest, begun + limits.message)

    async def _hand_over(self, submission: Submission) -> None:
        self.is_taking = True
        try:
            text = await _answer(self._desk.take(submission))
        except Rejected as rejected:
            SUBMISSIONS.labels("rejected").inc()
            self._reject(rejected)
        else:
            SUBMISSIONS.labels("taken").inc()
            self._errors = 0
            self._say(250, text)
        finally:
            self.is_taking = False

    # ---------------------------------------------------------------------------------------------------------- answers

    def _say(self, code: int, text: str, *, enhanced: str = "2.0.0") -> None:
        line = " ".join(text.split())[:400]
        self._wire.say(f"{code} {enhanced} {line}" if enhanced else f"{code} {line}")

    def _reject(self, rejected: Rejected) -> None:
        self._refuse(rejected.code, rejected.enhanced, rejected.text)

    def _refuse(self, code: int, enhanced: str, text: str) -> None:
        """Say no.

        Raises:
            Over: once too often.
        """
        self._say(code, text, enhanced=enhanced)
        self._errors += 1
        if self._errors >= self._limits.errors:
            raise Over("limit")


async def _answer(asked: Awaitable[_T]) -> _T:
    """Return what the desk says.

    Raises:
        Rejected: if it will not, or failed: then the device comes again later, with what it has kept.
    """
    try:
        return await asked
    except Rejected:
        raise
    except Exception:
        log.exception("mail could not be dealt with")
        raise Rejected(451, "4.3.0", "It cannot be done now; come again later") from None
