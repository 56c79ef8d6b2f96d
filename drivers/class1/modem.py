"""A telephone line with a Class 1 modem on it."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from drivers.class1.at import Code, State, Then, dial_string
from drivers.class1.conversation import Conversation, SilentModemError
from drivers.class1.port import OctetStream
from drivers.class1.quirks import Flow
from drivers.class1.receiving import Receiver
from drivers.class1.sending import Before, Sender
from drivers.class1.serial import open_port
from drivers.class1.setup import Modem, Options, identify, prepare, reset
from drivers.registry import LineUrl
from t30.hdlc import stuffed
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
    Connected,
    Content,
    Dial,
    HangUp,
    LineAction,
    LineClock,
    LineError,
    LineEvent,
    ListenData,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    SendTone,
    Sent,
)
from t30.rates import Modulation
from t30.timers import FAST_FLAGS

log = logging.getLogger(__name__)

CAUSES: Mapping[Code, Cause] = {
    Code.BUSY: Cause.BUSY,
    Code.NO_ANSWER: Cause.NO_ANSWER,
    Code.NO_DIALTONE: Cause.NO_DIALTONE,
    Code.BLACKLISTED: Cause.REJECTED,
    Code.ERROR: Cause.REJECTED,
}
"""What ATD may come to; all else means that nobody who speaks fax answered."""

DIAL_LIMIT, ANSWER_LIMIT = 120.0, 30.0
"""Seconds for ATD, which the modem itself ends after S7, and for ATA: CED takes 3.3 s."""
NUMBER_AFTER_RING = 4.0
"""Seconds that the caller's number may come after the first RING: it is sent before the second."""
MORE_NUMBERS = 0.2
STOPPED_LATE = 1.0
"""Real seconds that a modem in the middle of training may still take to stop."""
HANG_UP_LIMIT = 5.0
TOO_LATE = 0.055
"""Seconds within which a Class 1 modem wants to be answered."""
CLOSING_LIMIT = 3.0
"""Real seconds for going on hook when the port is closed in mid call."""


class Class1Line:
    """One modem. Made by ``open`` or, on a stream of one's own, by ``attach``.

    Attributes:
        modem: what it is and can do.
    """

    def __init__(self, talk: Conversation, modem: Modem, options: Options) -> None:
        self.modem = modem
        self._talk = talk
        self._options = options
        self._receiver = Receiver(talk, modem.quirks)
        self._sender = Sender(talk, modem.quirks)
        self._before = Before.NOBODY
        self._prepared = False
        self._tells_caller = False

    @property
    def sends(self) -> frozenset[Modulation]:
        """What the modem can send, by ``+FTM=?``."""
        return self.modem.sends

    @property
    def receives(self) -> frozenset[Modulation]:
        """What the modem can receive, by ``+FRM=?``."""
        return self.modem.receives

    @classmethod
    async def open(cls, url: LineUrl) -> Self:
        """Open the port that a ``class1:`` URL names, and its modem.

        Raises:
            LineError: ``usage`` if the URL makes no sense; ``line.unavailable`` if the port does not exist, is busy,
                or nothing there answers as a Class 1 modem does.
        """
        options = Options.of(url)
        stream = await open_port(url.address, options)
        return await cls.attach(stream, options, port=url.address)

    @classmethod
    async def attach(cls, stream: OctetStream, options: Options, *, port: str) -> Self:
        """Make a line of the modem at the other end of ``stream``, which is closed if that fails.

        Raises:
            LineError: as ``open``.
        """
        clock = LineClock(asyncio.get_running_loop().time, options.speed)
        talk = Conversation(stream, clock, port=port)
        try:
            modem = await identify(talk, options)
            talk.dialogue.doubled = modem.quirks.doubles_dle
            talk.dialogue.software_flow = options.flow is Flow.XONXOFF
            talk.abort_gives_ok = modem.quirks.abort_gives_ok
            line = cls(talk, modem, options)
            await line._prepare()
        except SilentModemError as silent:
            await talk.close()
            raise LineError(f"{port}: {silent}; the modem answered before: switch it off and on") from None
        except BaseException:
            await talk.close()
            raise
        log.info("modem ready", extra={"port": port, "modem": modem.identity, "quirks": modem.quirks_name})
        return line

    @property
    def clock(self) -> LineClock:
        """The clock that this line's times are counted on."""
        return self._talk.clock

    @property
    def worst_reaction(self) -> float:
        """The longest time, in seconds of the line, that the modem waited for us in the last call after a result code.

        More than ``TOO_LATE`` at ``speed=1`` means that the machine is too slow or too busy for Class 1.
        """
        return self._talk.worst_reaction

    async def perform(self, action: LineAction) -> LineEvent:
        """Do one thing and say how it went. See ``FaxLine``."""
        try:
            return await self._perform(action)
        except asyncio.CancelledError:
            await self._stop()
            raise
        except SilentModemError as silent:
            raise await self._recovered_from(str(silent)) from None

    async def close(self) -> None:
        """Go on hook as well as can be and release the port. Never raises; may be called more than once."""
        if self._talk.in_call or self._talk.state is not State.COMMAND:
            with suppress(LineError, SilentModemError, TimeoutError):
                async with asyncio.timeout(CLOSING_LIMIT):
                    await self._hang_up()
        await self._talk.close()

    # ----------------------------------------------------------------------------------------------------- dispatching

    async def _perform(self, action: LineAction) -> LineEvent:
        match action:
            case AwaitCall():
                return await self._await_call()
            case Dial(number):
                return await self._dial(number)
            case Answer():
                return await self._answer()
            case SendTone():
                return Sent()
            case SendFrames() | SendData():
                return await self._send(action)
            case ListenFrame(modulation, within):
                return self._heard(await self._receiver.frame(modulation, within))
            case ListenData(modulation, _, within):
                return self._heard(await self._receiver.data(modulation, within))
            case HangUp():
                return await self._hang_up()

    async def _send(self, action: SendFrames | SendData) -> Sent:
        if action.modulation is not Modulation.V21 or self._talk.state is not State.SENDING:
            await self._receiver.settle()
        match action:
            case SendFrames(Modulation.V21, frames, after):
                # Right after ATA the modem is sending V.21 already.
                await self._sender.frames(frames, after=after, before=self._before)
            case SendFrames(modulation, frames, after):
                octets = stuffed(frames, flags_first=round(FAST_FLAGS * modulation.bps / 8))
                await self._sender.data(modulation, octets, after=after, before=self._before)
            case SendData(modulation, octets, content, after):
                whole = await self._sender.data(modulation, octets, after=after, before=self._before)
                # Frames that are missing are asked for again, and a short TCF fails; a short page might be confirmed.
                if not whole and content is Content.PAGE:
                    raise LineError(
                        f"{self._talk.port}: the modem ended a page early; this machine feeds it too slowly"
                    )
        self._before = Before.OURS
        return Sent()

    def _heard(self, event: LineEvent) -> LineEvent:
        self._before = Before.NOBODY if isinstance(event, Quiet) else Before.THEIRS
        return event

    # ------------------------------------------------------------------------------------------------------ the call

    async def _await_call(self) -> Ringing:
        await self._prepare()
        ring, clock = self._talk.ring, self._talk.clock
        while not ring.ringing(clock.now()):
            await self._talk.rung(within=None)
        deadline = clock.now() + NUMBER_AFTER_RING
        while self._tells_caller and ring.rings == 1 and not ring.told:
            if not await self._talk.rung(within=clock.real(max(0.0, deadline - clock.now()))):
                break
        while ring.told and await self._talk.rung(within=clock.real(MORE_NUMBERS)):
            pass
        return Ringing(ring.caller, ring.dialled)

    async def _answer(self) -> Connected | NotConnected:
        self._talk.ring.forget()
        self._talk.begin("A", Then.SEND)
        code = await self._talk.answer("ATA", within=ANSWER_LIMIT)
        return self._connected() if code is Code.CONNECT else NotConnected(Cause.NO_CARRIER)

    async def _dial(self, number: str) -> Connected | NotConnected:
        try:
            command = f"DT{dial_string(number)}"
        except ValueError as bad:
            raise LineError(str(bad), code="usage") from None
        await self._prepare()
        self._prepared = False
        self._talk.begin(command, Then.RECEIVE)
        try:
            async with asyncio.timeout(self._talk.patience(DIAL_LIMIT)):
                code = await self._talk.result()
        except TimeoutError:
            await self._talk.must_stop()
            return NotConnected(Cause.NO_ANSWER)
        if code is not Code.CONNECT:
            return NotConnected(CAUSES.get(code, Cause.NO_CARRIER))
        self._receiver.adopt(Modulation.V21)
        return self._connected()

    def _connected(self) -> Connected:
        self._prepared = False
        self._before = Before.NOBODY
        self._talk.in_call = True
        self._talk.worst_reaction = 0.0
        return Connected()

    async def _prepare(self) -> None:
        if not self._prepared:
            self._tells_caller = await prepare(self._talk, self.modem, self._options)
            self._prepared = True

    async def _hang_up(self) -> Sent:
        self._receiver.forget()
        if self._talk.in_call:
            self._tell_reaction()
        self._talk.in_call = False
        self._prepared = False
        if not await self._talk.stop():
            await self._talk.settled(STOPPED_LATE)
        if self._talk.state is State.COMMAND and (await self._talk.ask("H0", within=HANG_UP_LIMIT))[0] is Code.OK:
            return Sent()
        # A modem with a full buffer, or one that hangs, may listen to nothing but this.
        await self._talk.drop_dtr()
        if (await self._talk.ask("H0", within=HANG_UP_LIMIT))[0] is Code.OK:
            return Sent()
        raise SilentModemError("the modem did not hang up")

    def _tell_reaction(self) -> None:
        """Log how late this machine was in the call that ends; in its own seconds, since a fast line makes more."""
        worst = self._talk.clock.real(self._talk.worst_reaction)
        known = {"port": self._talk.port, "worst_ms": round(worst * 1000)}
        if worst > TOO_LATE:
            log.warning("this machine was too late for a Class 1 modem, see faxgw doctor", extra=known)
        else:
            log.info("reaction to the modem", extra=known)

    # ------------------------------------------------------------------------------------------------------- trouble

    async def _stop(self) -> None:
        """Stop what the modem is doing, within a second, whoever else cancels us meanwhile."""
        self._receiver.forget()
        stopping = asyncio.ensure_future(self._talk.stop())
        while not stopping.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)

    async def _recovered_from(self, what: str) -> LineError:
        """Reset a modem that does not answer; return the error that says so."""
        log.warning("modem does not answer and is reset", extra={"port": self._talk.port, "what": what})
        self._receiver.forget()
        self._talk.in_call = False
        self._prepared = False
        if await reset(self._talk):
            return LineError(f"{self._talk.port}: {what}; the modem was reset, the next call may go through")
        return LineError(f"{self._talk.port}: {what}, and no reset helps: switch the modem off and on")
