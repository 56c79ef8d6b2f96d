"""Phases B to D for the station that gets the pages (T.30 Figure 5-2, from entry F)."""

from dataclasses import dataclass, field

from t30 import ecm, timers
from t30.capabilities import Dcs, Quality
from t30.exchange import Exchange, Message, Procedure, unexpected
from t30.fcf import Fcf
from t30.frame import Frame
from t30.identity import decoded
from t30.line import (
    CarrierLost,
    Content,
    DataReceived,
    FrameReceived,
    ListenData,
    ListenFrame,
    Quiet,
    WrongCarrier,
)
from t30.outcome import Incompatible, LocalError, NoResponse, PageResult
from t30.pages import JudgePage, KeepData, Kept, Verdict
from t30.rates import Modulation

_PLAIN = {Fcf.PRI_MPS: Fcf.MPS, Fcf.PRI_EOM: Fcf.EOM, Fcf.PRI_EOP: Fcf.EOP}
"""A wish for an operator is treated as the plain command: nobody sits here."""

TCF_WITHIN = 4.5
"""How long to wait for the training check after DCS: HylaFAX's limit."""

CHUNKS_AFTER_END = 2
"""So many more chunks of a carrier are taken in after RTC or EOFB; then it is left alone, and V.21 is listened for."""

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
            yield from self._obey(heard)
            yield from self._in_message()
            heard = yield from self.exchange.command()
        if self.last not in (Fcf.EOM, Fcf.EOP):
            raise NoResponse(f"the sender went silent before page {self.index + 1} was whole")
        return self.last is Fcf.EOM

    # -------------------------------------------------------------------------------------------------- commands

    def _obey(self, command: Message) -> Procedure[None]:
        """Do what one command wants."""
        fcf = _PLAIN.get(command.fcf, command.fcf) if command.fcf else None
        is_again = fcf is Fcf.CRP or (fcf is Fcf.RR and not self._said(Fcf.RNR)) or self._repeats(command)
        if self.responded and is_again:
            yield from self._respond(command, self.responded)
            return
        match fcf:
            case Fcf.DCS:
                yield from self._train(command)
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

    def _respond(self, command: Message, response: Frame, after: float = timers.TURNAROUND) -> Procedure[None]:
        """Answer a command, and keep the answer in case the command is repeated."""
        yield from self.exchange.send(response, after=after)
        self.obeyed = command.frames[-1].octets
        self.responded = response
        self.responded_at = self.exchange.now
        self.noticed = False

    def _said(self, fcf: Fcf) -> bool:
        return self.responded is not None and self.responded.fcf is fcf

    def _repeats(self, command: Message) -> bool:
        """Tell whether a command comes again because our response was lost, not because a whole page was.

        Only PPS says by itself which page it belongs to; for the rest the moment must tell.
        """
        if self.noticed or command.frames[-1].octets != self.obeyed or command.fcf is Fcf.DCS:
            return False
        earliest, latest = timers.RESPONSE_REPEATED
        return command.fcf is Fcf.PPS or earliest <= self.exchange.now - self.responded_at <= latest

    # -------------------------------------------------------------------------------------------------- training

    def _train(self, command: Message) -> Procedure[None]:
        """Judge the training check that follows DCS."""
        identity = command.find(Fcf.TSI)
        record = self.exchange.record
        record.remote_id = decoded(identity) if identity else record.remote_id
        self.dcs = Dcs(command.fif)
        self.carrier = None
        self.block, self.confirmed_block, self.last = _Block(), None, None
        modulation = self.dcs.modulation
        if modulation is None:
            # The rate is none of T.30: let its training pass, then refuse it.
            yield from self._respond(command, self.exchange.frame(Fcf.FTT), after=2 * timers.TCF_SECONDS)
            return
        record.modulation, record.ecm = modulation, self.dcs.ecm
        heard = yield from self._training_check(modulation)
        if heard is None:
            return
        if trained(heard, modulation):
            yield from self._respond(command, self.exchange.frame(Fcf.CFR))
            self.carrier = modulation.short
        else:
            yield from self._respond(command, self.exchange.frame(Fcf.FTT))

    def _training_check(self, modulation: Modulation) -> Procedure[bytes | None]:
        """Return what came as training check; None if a V.21 signal came instead."""
        octets = b""
        enough = 2 * modulation.octets(timers.TCF_SECONDS)
        while len(octets) < enough:
            event = yield from self.exchange.do(ListenData(modulation, Content.TCF, TCF_WITHIN))
            match event:
                case DataReceived(chunk):
                    octets += chunk
                case WrongCarrier(which) if which in (None, Modulation.V21) and not octets:
                    return None
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

    def _in_message(self) -> Procedure[None]:
        """Take in the signal between two commands, if one is expected."""
        if self.carrier is not None:
            if not self.page_octets and not self.block.held:
                self.page_began = self.exchange.now
            yield from (self._frames(self.carrier) if self.dcs.ecm else self._page(self.carrier))

    def _page(self, carrier: Modulation) -> Procedure[None]:
        """Take in a page without error correction, up to the end of its carrier."""
        spare = CHUNKS_AFTER_END
        while spare:
            event = yield from self.exchange.do(ListenData(carrier, Content.PAGE, timers.T2))
            match event:
                case DataReceived(octets):
                    ended = yield from self._keep(octets)
                    spare -= ended
                case CarrierLost():
                    self.noticed = True
                    return
                case Quiet() | WrongCarrier():
                    return
                case _:
                    raise LocalError(f"ListenData was answered by {event!r}")

    def _frames(self, carrier: Modulation) -> Procedure[None]:
        """Take in the frames of a partial page, up to the end of their carrier."""
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
                    return
                case Quiet() | WrongCarrier():
                    return
                case _:
                    raise LocalError(f"ListenFrame was answered by {event!r}")

    def _hold(self, octets: bytes) -> None:
        """Put away the page data of one good frame; a frame of a length that was not agreed on is asked for again."""
        frame = Frame.parse(octets)
        if frame is None or frame.fcf is not Fcf.FCD or not 1 < len(frame.fif) <= 1 + self.dcs.frame_octets:
            return
        self.block.held[frame.fif[0]] = frame.fif[1:]

    def _keep(self, octets: bytes) -> Procedure[bool]:
        """Hand page data to the target; return whether it saw the page's end."""
        self.noticed = True
        self.page_octets += len(octets)
        kept = yield from self.exchange.do(KeepData(self.index, self.dcs.format, octets), Kept)
        return kept.page_ended

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
        response = judged(verdict, self.exchange.station.quality)
        self._enter(verdict, confirmed=response is not Fcf.RTN)
        yield from self._respond(command, self.exchange.frame(response))
        if response is not Fcf.RTN:
            self._page_is_confirmed(fcf)
            self.carrier = self._next_carrier(fcf) if response is Fcf.MCF else None

    def _partial_page_ends(self, command: Message) -> Procedure[None]:
        """Ask for what is missing of a partial page, or confirm it (T.30 Annex A)."""
        after = ecm.after_page(command.fif) if _is_pps(command.fif) else None
        if not _is_pps(command.fif):
            raise unexpected(command, "a partial page")
        counters = (command.fif[1], command.fif[2])
        if counters == self.confirmed_block and not self.block.held and self.responded:
            yield from self._respond(command, self.responded)
            return
        self.block.frames = max(self.block.frames or command.fif[3] + 1, *(n + 1 for n in self.block.held), 1)
        if ecm.missing(self.block.held, self.block.frames, self.dcs.frame_octets):
            held = set(range(256)) - set(ecm.missing(self.block.held, 256, self.dcs.frame_octets))
            yield from self._respond(command, self.exchange.frame(Fcf.PPR, ecm.ppr(held)))
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
            self._enter(verdict, confirmed=True)
        yield from self._respond(command, self.exchange.frame(Fcf.MCF))
        if after is not None:
            self._page_is_confirmed(after)
        self.carrier = self._next_carrier(after)

    def _page_is_given_up(self, command: Message) -> Procedure[None]:
        """Keep what there is of a page that the sender stops correcting (EOR): it is not confirmed."""
        after = ecm.after_page(command.fif) if command.fif else Fcf.EOP
        if self.block.held:
            yield from self._keep_block()
        self.block = _Block()
        if after is not None and self.page_octets:
            verdict = yield from self.exchange.do(JudgePage(self.index), Verdict)
            self._enter(verdict, confirmed=False)
        yield from self._respond(command, self.exchange.frame(Fcf.ERR))
        if after is not None:
            self._page_is_confirmed(after)
        self.carrier = self._next_carrier(after)

    def _next_carrier(self, after: Fcf | None) -> Modulation | None:
        """Return the signal that follows a confirmation: page data, unless negotiation or goodbye does."""
        modulation = self.exchange.record.modulation
        return modulation.short if modulation and after in (None, Fcf.MPS) else None

    def _enter(self, verdict: Verdict, *, confirmed: bool) -> None:
        """Write a page into the record."""
        seconds = self.exchange.now - self.page_began
        page = PageResult(
            self.index, self.dcs.format, self.page_octets, verdict.rows, confirmed, verdict.bad_rows, seconds
        )
        self.exchange.record.page(page)
        if not confirmed:
            self.page_octets = 0

    def _page_is_confirmed(self, after: Fcf) -> None:
        """Go on to the next page, or note that there is none."""
        self.last = after
        self.index += 1
        self.page_octets = 0
        pages = self.exchange.record.pages
        self.exchange.record.complete = after is Fcf.EOP and all(page.confirmed for page in pages)


def judged(verdict: Verdict, quality: Quality) -> Fcf:
    """Return the answer that a page deserves: MCF, RTP or RTN."""
    share = verdict.bad_rows / verdict.rows if verdict.rows else 1.0
    if share > quality.retrain or verdict.longest_bad_run > quality.longest_run:
        return Fcf.RTN
    return Fcf.MCF if share <= quality.confirm else Fcf.RTP


def trained(octets: bytes, modulation: Modulation) -> bool:
    """Tell whether a training check came through: 1 s of zeros in a row, and at most a tenth of it damaged.

    What a modem adds while it notices the end of the carrier does not count (spandsp: up to 35 octets).
    """
    whole = modulation.octets(timers.TCF_SECONDS)
    body = octets.rstrip(b"\xff")[:whole]
    longest = max((len(run) for run in _zero_runs(body)), default=0)
    damaged = len(body) - body.count(0)
    return longest >= whole * 2 // 3 and damaged * 10 <= len(body)


def _zero_runs(octets: bytes) -> list[bytes]:
    nonzero = bytes(range(1, 256))
    return octets.translate(bytes(1) + b"\x01" * len(nonzero)).split(b"\x01")


def _is_pps(fif: bytes) -> bool:
    try:
        ecm.after_page(fif)
    except ValueError:
        return False
    return len(fif) >= 4
