"""Phases B to D for the station that gets the pages (T.30 Figure 5-2, from entry F)."""

from dataclasses import dataclass, field, replace

from t30 import ecm, timers
from t30.capabilities import Dcs
from t30.exchange import Exchange, Message, Procedure, unexpected
from t30.fcf import PLAIN, Fcf
from t30.frame import Frame
from t30.identity import decoded
from t30.judging import error_rate, judged, trained
from t30.line import (
    CarrierLost,
    Content,
    DataReceived,
    Event,
    FrameReceived,
    ListenData,
    ListenFrame,
    Quiet,
    WrongCarrier,
)
from t30.outcome import Incompatible, LocalError, NoResponse, PageResult
from t30.pages import JudgePage, KeepData, Kept, Verdict
from t30.rates import Modulation

TCF_WITHIN = 4.5
"""How long to wait for the training check after DCS: HylaFAX's limit."""

CHUNKS_AFTER_END = 2
"""So many more chunks of a carrier are taken in after RTC or EOFB; then it is left alone, and V.21 is listened for."""

INTERRUPTIONS = 3
"""So many V.21 signals that are no command, our own echo above all, are passed over in a wait for a fast carrier."""

CUT_OFF = 2.5
"""Seconds from the end of a page's carrier to the first frame after it: 1.3 as a rule (75 ms, preamble, frame)."""

FRAMES_PER_SIGNAL = 1024
"""More frames than that in one in-message signal are noise."""


@dataclass(slots=True)
class _Block:
    """One partial page in error correction mode, as far as it is held."""

    held: dict[int, bytes] = field(default_factory=dict)
    frames: int = 0
    """How many there are: what the first PPS said."""


@dataclass(slots=True)
class Reception:
    """What a receiver knows between two commands."""

    exchange: Exchange
    index: int = 0
    """The page that is being received, or comes next."""
    dcs: Dcs = field(default_factory=Dcs)
    carrier: Modulation | None = None
    """The in-message signal that is expected before the next command."""
    noticed: bool = False
    """A carrier was heard since our last response."""
    page_octets: int = 0
    page_began: float = 0.0
    page_ended: bool = False
    """The target has seen the end of the page (RTC or EOFB)."""
    ends_pages: bool = False
    """It has seen the end of any page: this sender does not leave it out."""
    carrier_ended: float = 0.0
    block: _Block = field(default_factory=_Block)
    confirmed_block: tuple[int, int] | None = None
    """Page and block counter of the PPS that was confirmed last."""
    obeyed: bytes = b""
    responded: Frame | None = None
    responded_at: float = 0.0
    last: Fcf | None = None
    """The post-page command that was confirmed last."""
    unready: Fcf | None = None
    """What follows the page for which we said that we are not ready (RNR)."""

    def until_end(self, command: Message) -> Procedure[bool]:
        """Obey commands until there are no more; return whether the sender wants to negotiate again (EOM)."""
        heard: Message | None = command
        while heard is not None:
            heard = yield from self._obey(heard)
            heard = heard or (yield from self._in_message())
            heard = heard or (yield from self.exchange.command())
        if self.last not in (Fcf.EOM, Fcf.EOP):
            raise NoResponse(f"the sender went silent before page {self.index + 1} was whole")
        return self.last is Fcf.EOM

    # -------------------------------------------------------------------------------------------------- commands

    def _obey(self, command: Message) -> Procedure[Message | None]:
        """Do what one command wants; return another that came in the midst of it.

        A wish for an operator is treated as the plain command: nobody sits here.
        """
        fcf = PLAIN.get(command.fcf, command.fcf) if command.fcf else None
        is_again = fcf is Fcf.CRP or (fcf is Fcf.RR and not self._said(Fcf.RNR)) or self._repeats(command)
        if self.responded and is_again:
            yield from self._say(self.responded)
            return None
        match fcf:
            case Fcf.DCS:
                return (yield from self._train(command))
            case Fcf.MPS | Fcf.EOM | Fcf.EOP:
                yield from self._page_ends(command, fcf)
            case Fcf.PPS:
                yield from self._partial_page_ends(command)
            case Fcf.RR:
                yield from self._confirm(command, self.unready)
            case Fcf.CTC:
                yield from self._change_rate(command)
            case Fcf.EOR:
                yield from self._page_is_given_up(command)
            case Fcf.DIS | Fcf.DTC:
                raise Incompatible("the other machine wants to be sent a document, and there is none")
            case _:
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
        self.noticed = False

    def _said(self, fcf: Fcf) -> bool:
        return self.responded is not None and self.responded.fcf is fcf

    def _repeats(self, command: Message) -> bool:
        """Tell whether a command comes again because our response was lost, not because a whole page was.

        Only PPS says by itself which page it belongs to; for the rest the moment must tell.
        """
        if self.noticed or self.exchange.passed_over:
            return False
        if command.frames[-1].octets != self.obeyed or command.fcf in (Fcf.DCS, Fcf.RR):
            return False
        since = self.exchange.now - self.responded_at
        return command.fcf is Fcf.PPS or any(first <= since <= last for first, last in timers.RESPONSE_REPEATED)

    # -------------------------------------------------------------------------------------------------- training

    def _train(self, command: Message) -> Procedure[Message | None]:
        """Judge the training check that follows DCS; return a command that came in its place."""
        identity = command.find(Fcf.TSI)
        record = self.exchange.record
        record.remote_id = decoded(identity) if identity else record.remote_id
        record.saw(capabilities=command.fif, nonstandard=command.find(Fcf.NSS))
        self.dcs = Dcs(command.fif)
        self.carrier = None
        self.block, self.confirmed_block, self.last = _Block(), None, None
        record.complete = False
        if self.page_octets:
            # The page was broken off, and begins anew: what has been judged is replaced by what comes next.
            yield from self.exchange.do(JudgePage(self.index), Verdict)
            self.page_octets = 0
        modulation = self.dcs.modulation
        if modulation is None:
            return (yield from self._refuse_rate(command))
        record.modulation, record.ecm = modulation, self.dcs.ecm
        heard = yield from self._training_check(modulation)
        if isinstance(heard, Message):
            return heard
        passed = trained(heard, modulation, self.exchange.station.policy.training)
        record.trained(modulation, passed=passed, errors=error_rate(heard, modulation))
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
                case WrongCarrier(which) if _maybe_v21(which) and not octets and interruptions:
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
        modulation = Dcs(command.fif).modulation or self.exchange.record.modulation
        self.exchange.record.modulation = modulation
        yield from self._respond(command, self.exchange.frame(Fcf.CTR))
        self.carrier = modulation.long if modulation else None

    # -------------------------------------------------------------------------------------------------- in-message

    def _in_message(self) -> Procedure[Message | None]:
        """Take in the signal between two commands, if one is expected; return a command that came in its place."""
        if self.carrier is None:
            return None
        if not self.page_octets and not self.block.held:
            self.page_began = self.exchange.now
        for _ in range(INTERRUPTIONS):
            stopped_by = yield from (self._frames(self.carrier) if self.dcs.ecm else self._page(self.carrier))
            if not isinstance(stopped_by, WrongCarrier) or not _maybe_v21(stopped_by.which):
                return None
            command = yield from self.exchange.interruption(self.carrier)
            if command is not None or self.noticed:
                return command
        return None

    def _page(self, carrier: Modulation) -> Procedure[Event | None]:
        """Take in a page without error correction, up to the end of its carrier; return what ended it."""
        spare = CHUNKS_AFTER_END
        while spare:
            event = yield from self.exchange.do(ListenData(carrier, Content.PAGE, timers.T2))
            match event:
                case DataReceived(octets):
                    yield from self._keep(octets)
                    spare -= self.page_ended
                case CarrierLost():
                    self.noticed = True
                    self.carrier_ended = self.exchange.now
                    return event
                case Quiet() | WrongCarrier():
                    return event
                case _:
                    raise LocalError(f"ListenData was answered by {event!r}")
        return None

    def _frames(self, carrier: Modulation) -> Procedure[Event | None]:
        """Take in the frames of a partial page, up to the end of their carrier; return what ended them."""
        within = timers.T2
        for _ in range(FRAMES_PER_SIGNAL):
            event = yield from self.exchange.do(ListenFrame(carrier, within))
            match event:
                case FrameReceived(octets, good):
                    if good:
                        self._hold(octets)
                    self.noticed = True
                    within = timers.NEXT_FRAME
                case CarrierLost():
                    self.noticed = True
                    return event
                case Quiet() | WrongCarrier():
                    return event
                case _:
                    raise LocalError(f"ListenFrame was answered by {event!r}")
        return None

    def _hold(self, octets: bytes) -> None:
        """Put away the page data of one good frame; a frame of a length that was not agreed on is asked for again."""
        frame = Frame.parse(octets)
        if frame is None or frame.fcf is not Fcf.FCD or not 1 < len(frame.fif) <= 1 + self.dcs.frame_octets:
            return
        self.block.held[frame.fif[0]] = frame.fif[1:]

    def _keep(self, octets: bytes) -> Procedure[None]:
        """Hand page data to the target."""
        self.noticed = True
        self.page_octets += len(octets)
        kept = yield from self.exchange.do(KeepData(self.index, self.dcs.format, octets), Kept)
        self.page_ended = kept.page_ended
        self.ends_pages = self.ends_pages or kept.page_ended

    # -------------------------------------------------------------------------------------------------- post-message

    def _page_ends(self, command: Message, fcf: Fcf) -> Procedure[None]:
        """Judge a page sent without error correction, and say so; say nothing while it is not safe on disk."""
        self.carrier = None
        if not self.page_octets:
            yield from self._respond(command, self.exchange.frame(Fcf.RTN))
            return
        verdict = yield from self.exchange.do(JudgePage(self.index), Verdict)
        if not verdict.durable:
            return  # the sender repeats its command after T4, and the page is judged again
        response = Fcf.RTN if self._is_cut_off() else judged(verdict, self.exchange.station.policy.quality)
        self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(response))
        if response is Fcf.RTN:
            self.exchange.record.refused()
            self.page_octets = 0
        else:
            self._page_is_confirmed(fcf)
            self.carrier = self._next_carrier(fcf) if response is Fcf.MCF else None

    def _is_cut_off(self) -> bool:
        """Tell whether a page lost its carrier in the middle: no RTC, and the sender went on for a while.

        RTC alone cannot tell, since some senders leave it out; but a sender either does or does not.
        """
        answered = self.exchange.answered_at
        silent = answered is not None and answered - self.carrier_ended > CUT_OFF
        return not self.page_ended and (self.ends_pages or silent or self.exchange.passed_over)

    def _partial_page_ends(self, command: Message) -> Procedure[None]:
        """Ask for what is missing of a partial page, or confirm it (T.30 Annex A)."""
        after = _after_page(command)
        if len(command.fif) < 4:
            raise unexpected(command, "a partial page")
        counters = (command.fif[1], command.fif[2])
        if counters == self.confirmed_block and not self.block.held and self.responded:
            yield from self._say(self.responded)
            return
        self.block.frames = max(self.block.frames or command.fif[3] + 1, *(n + 1 for n in self.block.held), 1)
        if ecm.missing(self.block.held, self.block.frames, self.dcs.frame_octets):
            held = set(range(256)) - set(ecm.missing(self.block.held, 256, self.dcs.frame_octets))
            yield from self._respond(command, self.exchange.frame(Fcf.PPR, ecm.ppr(held)))
            self.exchange.record.corrected()
            self.carrier = self.carrier and self.carrier.short  # only what follows CTR at once has long training
            return
        yield from self._keep_block()
        self.confirmed_block = counters
        yield from self._confirm(command, after)

    def _keep_block(self) -> Procedure[None]:
        """Hand a partial page to the target, in the order of its frames."""
        held, self.block = self.block.held, _Block()
        yield from self._keep(b"".join(held[number] for number in sorted(held)))

    def _confirm(self, command: Message, after: Fcf | None) -> Procedure[None]:
        """Confirm a partial page, and with its last one the page; RNR while it is not safe on disk."""
        self.unready = after
        if after is not None:
            verdict = yield from self.exchange.do(JudgePage(self.index), Verdict)
            if not verdict.durable:
                yield from self._respond(command, self.exchange.frame(Fcf.RNR))
                self.carrier = None
                return
            self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(Fcf.MCF))
        if after is not None:
            self._page_is_confirmed(after)
        self.carrier = self._next_carrier(after)

    def _page_is_given_up(self, command: Message) -> Procedure[None]:
        """Keep what there is of a page that the sender stops correcting (EOR): it is not confirmed."""
        after = _after_page(command)
        if self.block.held:
            yield from self._keep_block()
        if after is not None and self.page_octets:
            verdict = yield from self.exchange.do(JudgePage(self.index), Verdict)
            self._enter(verdict)
        yield from self._respond(command, self.exchange.frame(Fcf.ERR))
        if after is not None:
            self._turn_page(after)
        self.carrier = self._next_carrier(after)

    def _next_carrier(self, after: Fcf | None) -> Modulation | None:
        """Return the signal that follows a confirmation: page data, unless negotiation or goodbye does."""
        modulation = self.exchange.record.modulation
        return modulation.short if modulation and after in (None, Fcf.MPS) else None

    def _enter(self, verdict: Verdict) -> None:
        """Write a page into the record; it is confirmed only when our response is out."""
        seconds = self.exchange.now - self.page_began
        rows, bad_rows = verdict.rows, verdict.bad_rows
        self.exchange.record.page(
            PageResult(
                self.index, self.dcs.format, self.page_octets, rows, confirmed=False, bad_rows=bad_rows, seconds=seconds
            )
        )

    def _page_is_confirmed(self, after: Fcf) -> None:
        """Note that our response is out, and go on to the next page, or note that there is none."""
        pages = self.exchange.record.pages
        pages[-1] = replace(pages[-1], confirmed=True, seconds=self.exchange.now - self.page_began)
        self.exchange.record.complete = after is Fcf.EOP and all(page.confirmed for page in pages)
        self._turn_page(after)

    def _turn_page(self, after: Fcf) -> None:
        self.last = after
        self.index += 1
        self.page_octets = 0


def _after_page(command: Message) -> Fcf | None:
    """Return what follows the partial page that PPS or EOR ends."""
    try:
        return ecm.after_page(command.fif)
    except ValueError:
        raise unexpected(command, "a partial page") from None


def _maybe_v21(which: Modulation | None) -> bool:
    return which in (None, Modulation.V21)
