"""Phases B to D for the station that gets the pages (T.30 Figure 5-2, from entry F)."""

from dataclasses import dataclass, field, replace

from t30 import ecm, operators, timers
from t30.capabilities import Dcs
from t30.exchange import Exchange, Message, Procedure, unexpected
from t30.fcf import PLAIN, Fcf
from t30.frame import Frame
from t30.identification import take_note
from t30.incoming import Incoming
from t30.judging import accepted, error_rate, judged
from t30.line import (
    CarrierLost,
    Content,
    DataReceived,
    Event,
    ListenData,
    Quiet,
    WrongCarrier,
)
from t30.outcome import Disconnected, Incompatible, LocalError, NoResponse, NotStored, PageResult, RemoteError
from t30.pages import Verdict
from t30.rates import Modulation

TCF_WITHIN = 4.5
"""How long to wait for the training check after DCS: HylaFAX's limit."""

LONGEST_WITHOUT_PAGE = 300.0
"""Seconds of commands without anything of a page: long enough for a training check at every rate, three times each."""

INTERRUPTIONS = 3
"""So many V.21 signals that are no command, our own echo above all, are passed over in a wait for a fast carrier."""


@dataclass(slots=True)
class Reception:
    """What a receiver knows between two commands."""

    exchange: Exchange
    page: Incoming = field(init=False)
    rate: Modulation = Modulation.V21
    """What DCS or CTC said last; V.21 as long as they said nothing."""
    carrier: Modulation | None = None
    """The in-message signal that is expected before the next command."""
    given_up: bool = False
    """The sender has left something uncorrected (EOR): the fax is not whole."""
    confirmed_block: bytes | None = None
    """Page and block counter of the PPS that was confirmed last."""
    obeyed: bytes = b""
    responded: Frame | None = None
    responded_at: float = 0.0
    last: Fcf | None = None
    """The post-page command that was confirmed last."""

    def __post_init__(self) -> None:
        self.page = Incoming(self.exchange)

    def until_end(self, command: Message) -> Procedure[bool]:
        """Obey commands until there are no more; return whether the sender wants to negotiate again (EOM).

        Raises:
            NoResponse: if the sender goes silent before all is there, or hears nothing of what we say.
        """
        heard: Message | None = command
        deadline = self.exchange.now + LONGEST_WITHOUT_PAGE
        repeated = 0
        while heard is not None:
            repeated = repeated + 1 if heard.fcf is Fcf.CRP or (self._unheard(heard) and heard.fcf is not Fcf.RR) else 0
            if repeated > timers.TRIES:
                raise NoResponse(f"the sender did not hear {self.exchange.said}, said {repeated} times")
            if self.exchange.now > deadline:
                raise RemoteError(f"the sender went on for {LONGEST_WITHOUT_PAGE:.0f} s without anything of a page")
            heard = yield from self._obey(heard)
            if self.responded and self.responded.fcf in operators.CALLS:
                yield from operators.nobody_came(self.exchange, self._respond_again)
            heard = heard or (yield from self._next())
            if self.page.noticed:
                deadline = self.exchange.now + LONGEST_WITHOUT_PAGE
        if self.last not in (Fcf.EOM, Fcf.EOP):
            raise NoResponse(f"the sender went silent before page {self.page.index + 1} was whole")
        return self.last is Fcf.EOM

    # -------------------------------------------------------------------------------------------------- commands

    def _next(self) -> Procedure[Message | None]:
        """Take in the signal that is expected, if one is, and return the command after it, or in its place.

        None if neither came within T2.
        """
        ended = yield from self._in_message()
        if isinstance(ended, Message):
            return ended
        return (yield from self.exchange.command(timers.T2_MORE if isinstance(ended, Quiet) else timers.T2))

    def _obey(self, command: Message) -> Procedure[Message | None]:
        """Do what one command wants; return another that came in the midst of it."""
        fcf = PLAIN.get(command.fcf, command.fcf) if command.fcf else None
        if self.rate is Modulation.V21 and fcf not in (Fcf.DCS, Fcf.DIS, Fcf.DTC):
            raise unexpected(command, "what this station can do")
        response = self._unheard(command)
        if response:
            yield from self._say(response)
            return None
        match fcf:
            case Fcf.DCS:
                return (yield from self._train(command))
            case Fcf.MPS | Fcf.EOM | Fcf.EOP:
                return (yield from self._page_ends(command, fcf))
            case Fcf.PPS:
                return (yield from self._partial_page_ends(command))
            case Fcf.CTC:
                yield from self._change_rate(command)
            case Fcf.EOR:
                yield from self._page_is_given_up(command)
            case Fcf.DIS | Fcf.DTC:
                raise Incompatible("the other machine wants to be sent a document, and there is none")
            case _ if fcf is not Fcf.CRP:  # of what was heard since, nothing was said yet: its command comes again
                raise unexpected(command, "a wait for a command")
        return None

    def _respond(self, command: Message, response: Frame, after: float = timers.TURNAROUND) -> Procedure[None]:
        """Answer a command, and keep the answer in case the command is repeated."""
        self.obeyed = command.frames[-1].octets
        self.responded = response
        yield from self._say(response, after)

    def _say(self, response: Frame, after: float = timers.TURNAROUND) -> Procedure[None]:
        yield from self.exchange.send(response, after=after)
        self.responded_at = self.exchange.now
        self.page.noticed = False

    def _respond_again(self, command: Message) -> Procedure[None]:
        """Repeat the response to a command that comes again."""
        response = self._unheard(command)
        if response:
            yield from self._say(response)

    def _unheard(self, command: Message) -> Frame | None:
        """Return our last response if it was not heard: a command says so, or comes again.

        PPS says by itself which page and block it belongs to. With another command, a page without error correction may
        have come between of which nothing was heard: not after EOM and EOP, which negotiation or goodbye follow; and
        after MPS only in a time that no sender lets pass before it repeats itself.
        """
        is_heard = self.page.noticed or self.exchange.passed_over
        if command.fcf is Fcf.RR or (command.fcf is Fcf.CRP and not is_heard):
            return self.responded
        if command.fcf is Fcf.PPS and self.confirmed_block is not None:
            is_next = _follows(command.fif[1:3], self.confirmed_block, is_heard=is_heard)
            return None if self.page.block.held or is_next else self.responded
        if is_heard or command.frames[-1].octets != self.obeyed or command.fcf is Fcf.DCS:
            return None
        in_time = self.exchange.now - self.responded_at <= timers.RESPONSE_REPEATED
        return self.responded if in_time or self.last in (Fcf.EOM, Fcf.EOP) else None

    # -------------------------------------------------------------------------------------------------- training

    def _train(self, command: Message) -> Procedure[Message | None]:
        """Judge the training check that follows DCS; return a command that came in its place."""
        record = self.exchange.record
        take_note(record, command)
        self.carrier = self.confirmed_block = self.last = None
        record.complete = False
        yield from self.page.begins_anew(dcs := Dcs(command.fif))
        modulation = dcs.modulation
        if modulation is None:
            return (yield from self._refuse_rate(command))
        self.rate = record.modulation = modulation
        record.ecm = dcs.ecm
        heard = yield from self._training_check(modulation)
        if isinstance(heard, Message):
            return heard
        before = record.evidence.trainings[-1:]
        passed = accepted(heard, modulation, dcs, station=self.exchange.station, before=before[0] if before else None)
        record.trained(modulation, passed=passed, errors=error_rate(heard, modulation))
        if passed and self.exchange.station.takes_subaddress and not (command.whole or command.find(Fcf.SUB)):
            return None  # what was damaged may have said whom the fax is for: the sender says it again after T4
        if passed:
            yield from self._respond(command, self.exchange.frame(Fcf.CFR))
            self.carrier = modulation.short
        else:
            yield from self._respond(command, self.exchange.frame(Fcf.FTT))
        return None

    def _refuse_rate(self, command: Message) -> Procedure[Message | None]:
        """Let the training of a rate that is none of T.30 pass, and refuse it; return a command that came first."""
        heard = yield from self.exchange.command(2 * timers.TCF_SECONDS, after_carrier=timers.AFTER_CARRIER)
        if heard is None:
            yield from self._respond(command, self.exchange.frame(Fcf.FTT))
        return heard

    def _training_check(self, modulation: Modulation) -> Procedure[bytes | Message]:
        """Return what came as training check, or the command that came in its place."""
        octets = b""
        enough = 2 * modulation.octets(timers.TCF_SECONDS)
        interruptions = INTERRUPTIONS
        while len(octets) < enough:
            event = yield from self.exchange.do(ListenData(modulation, Content.TCF, TCF_WITHIN))
            match event:
                case DataReceived(chunk):
                    octets += chunk
                case WrongCarrier(which) if _maybe_v21(which) and interruptions:
                    interruptions -= 1
                    heard = yield from self.exchange.interruption(modulation)
                    if heard is not None:
                        return heard
                case CarrierLost() | Quiet() | WrongCarrier():
                    break
                case _:
                    raise LocalError(f"ListenData was answered by {event!r}")
        return octets

    def _change_rate(self, command: Message) -> Procedure[None]:
        """Go on correcting at another rate (CTC); its first signal has long training."""
        self.rate = Dcs(command.fif).modulation or self.rate
        self.exchange.record.modulation = self.rate
        yield from self._respond(command, self.exchange.frame(Fcf.CTR))
        self.carrier = self.rate.long

    # -------------------------------------------------------------------------------------------------- in-message

    def _in_message(self) -> Procedure[Message | Event | None]:
        """Take in the signal between two commands, if one is expected; return what ended it.

        That may be a command that came in its place.
        """
        if self.carrier is None:
            return None
        for _ in range(INTERRUPTIONS):
            ended = yield from self.page.signal(self.carrier)
            if not isinstance(ended, WrongCarrier):
                return ended
            command = yield from self.exchange.interruption(self.carrier)
            if command is not None:
                return command
        return None

    # -------------------------------------------------------------------------------------------------- post-message

    def _page_ends(self, command: Message, fcf: Fcf) -> Procedure[Message | None]:
        """Judge a page sent without error correction, and say so; say nothing while it is not safe on disk."""
        self.carrier = None
        if not self.page.octets:
            yield from self._respond(command, self.exchange.frame(Fcf.RTN))
            return None
        verdict = yield from self._judge(command, busy=None)
        if not isinstance(verdict, Verdict):
            return verdict
        response = Fcf.RTN if self.page.is_cut_off() else judged(verdict, self.exchange.station.policy.quality)
        self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(self._to_operator(command, response)))
        if response is Fcf.RTN:
            self.exchange.record.refused()
            self.page.octets = 0
        else:
            self._page_is_confirmed(fcf)
            self.carrier = self._next_carrier(fcf) if response is Fcf.MCF else None
        return None

    def _partial_page_ends(self, command: Message) -> Procedure[Message | None]:
        """Ask for what is missing of a partial page, or confirm it, and the page with its last one (T.30 Annex A)."""
        after = _after_page(command)
        if len(command.fif) < 4:
            raise unexpected(command, "a partial page")
        block = self.page.block
        block.frames = max(block.frames or command.fif[3] + 1, *(n + 1 for n in block.held), 1)
        if self.page.missing(block.frames):
            held = set(range(ecm.FRAMES_PER_BLOCK)) - set(self.page.missing(ecm.FRAMES_PER_BLOCK))
            yield from self._respond(command, self.exchange.frame(Fcf.PPR, ecm.ppr(held)))
            self.exchange.record.corrected()
            self.carrier = self.rate.short  # only what follows CTR at once has long training
            return None
        yield from self.page.keep_block()
        self.confirmed_block = command.fif[1:3]
        if after is not None:
            self.carrier = None
            verdict = yield from self._judge(command, busy=self.exchange.frame(Fcf.RNR))
            if not isinstance(verdict, Verdict):
                return verdict
            self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(self._to_operator(command, Fcf.MCF)))
        if after is not None:
            self._page_is_confirmed(after)
        self.carrier = self._next_carrier(after)
        return None

    def _judge(self, command: Message, *, busy: Frame | None) -> Procedure[Verdict | Message]:
        """Return the verdict on a page once it is safe on disk; or another command, if the sender gives one.

        Until then we say that we are not ready (RNR), up to T5, and the sender asks again. Without error correction
        there is no way to say so: we say nothing, and the sender repeats its command.

        Raises:
            NotStored: if that takes longer than T5, or than the sender waits.
        """
        deadline = self.exchange.now + timers.T5
        while self.exchange.now <= deadline:
            verdict = yield from self.page.judge()
            if verdict.durable:
                return verdict
            if busy:
                yield from self._respond(command, busy)
            try:
                heard = yield from self.exchange.command()
            except Disconnected:
                break
            if heard is None:
                break
            if heard.fcf not in (Fcf.RR, Fcf.CRP) and heard.frames[-1].octets != command.frames[-1].octets:
                return heard
        raise NotStored(f"page {self.page.index + 1} could not be made safe while its sender waited")

    def _page_is_given_up(self, command: Message) -> Procedure[None]:
        """Keep what there is of a page that the sender stops correcting (EOR): it is not confirmed.

        Where nothing was asked for, there is nothing to give up.
        """
        after = _after_page(command)
        self.given_up = self.given_up or self.exchange.said is Fcf.PPR
        yield from self.page.keep_block()
        if after is not None and self.page.octets:
            verdict = yield from self.page.judge()
            self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(Fcf.ERR))
        if after is not None:
            self._turn_page(after)
        self.carrier = self._next_carrier(after)

    def _next_carrier(self, after: Fcf | None) -> Modulation | None:
        """Return the signal that follows a confirmation: page data, unless negotiation or goodbye does."""
        return self.rate.short if after in (None, Fcf.MPS) else None

    def _to_operator(self, command: Message, response: Fcf) -> Fcf:
        return operators.calling_for(response) if operators.is_wanted(self.exchange, command) else response

    def _enter(self, verdict: Verdict) -> None:
        """Write a page into the record; it is confirmed only when our response is out."""
        page, rows, bad_rows = self.page, verdict.rows, verdict.bad_rows
        seconds = self.exchange.now - page.began
        self.exchange.record.complete = False
        self.exchange.record.page(
            PageResult(
                page.index, page.dcs.format, page.octets, rows, confirmed=False, bad_rows=bad_rows, seconds=seconds
            )
        )

    def _page_is_confirmed(self, after: Fcf) -> None:
        """Note that our response is out, and go on to the next page, or note that there is none."""
        pages = self.exchange.record.pages
        pages[-1] = replace(pages[-1], confirmed=True, seconds=self.exchange.now - self.page.began)
        whole = not self.given_up and all(page.confirmed for page in pages)
        self.exchange.record.complete = after is Fcf.EOP and whole
        self._turn_page(after)

    def _turn_page(self, after: Fcf) -> None:
        self.last = after
        self.page.turn()


def _follows(counters: bytes, confirmed: bytes, *, is_heard: bool) -> bool:
    r"""Tell by page and block counter whether a partial page of which nothing is held comes after the confirmed one.

    Some senders count in ways of their own; so if no carrier was heard, only what must come next is taken for new.

    >>> [_follows(counters, b"\xff\xff", is_heard=False) for counters in (b"\x00\x00", b"\xff\x00", b"\x07\x00")]
    [True, True, False]
    >>> [_follows(counters, b"\xff\xff", is_heard=True) for counters in (b"\x07\x00", b"\xff\xff")]
    [True, False]
    """
    if is_heard:
        return counters != confirmed
    page, block = confirmed
    return counters in (bytes((page, (block + 1) % 256)), bytes(((page + 1) % 256, 0)))


def _after_page(command: Message) -> Fcf | None:
    """Return what follows the partial page that PPS or EOR ends."""
    try:
        return ecm.after_page(command.fif)
    except ValueError:
        raise unexpected(command, "a partial page") from None


def _maybe_v21(which: Modulation | None) -> bool:
    return which in (None, Modulation.V21)
