"""Phases B to D for the station that holds the pages (T.30 Figure 5-2, from entry D)."""

from dataclasses import dataclass

from t30 import ecm, operators, timers
from t30.capabilities import Dis, Dtc, Terms, agree
from t30.exchange import Exchange, Message, Procedure, unexpected
from t30.fcf import CONFIRMATIONS, Fcf
from t30.frame import Frame
from t30.identification import of_sender, take_note
from t30.line import Content, SendData, SendFrames, SendTone, Sent, Tone
from t30.outcome import (
    CannotTrain,
    Disconnected,
    Incompatible,
    LocalError,
    NoFaxMachine,
    NoResponse,
    PageRefused,
    PageResult,
)
from t30.pages import AnotherDocument, FetchPage, NoMorePages, NoteConfirmed, Noted, PageFormat, PageReady
from t30.policy import Operator, Then
from t30.rates import Modulation

BEGINNINGS = (Fcf.DIS, Fcf.DTC)
"""What a receiver says when it begins, or begins again: called, or polling."""

Ladder = tuple[Modulation, ...]
"""Rates still to be tried, the one in use first."""

Fetched = PageReady | AnotherDocument | None
"""A page, or that there is none in this document, with another document to follow or without."""


def send_document(exchange: Exchange, receiver: Dis) -> Procedure[None]:
    """Send every page, of one document after the other, to a receiver whose capabilities are known; say goodbye."""
    terms = _terms(exchange, receiver)
    ladder = terms.ladder
    policy = exchange.station.policy
    index = refusals = 0
    trained = False
    page: PageReady | None = yield from _known(exchange, index, terms, ladder[0])
    while page is not None:
        if not trained:
            ladder = yield from train(exchange, terms, page.format, ladder)
            page = yield from _known(exchange, index, terms, ladder[0])
        upcoming = yield from fetch(exchange, index + 1, terms, ladder[0])
        began = exchange.now
        command = post_message(page, upcoming)
        attempt = _Attempt(exchange, terms, page, index, command, ladder)
        reply = yield from (attempt.corrected() if page.format.ecm else attempt.plain())
        ladder = attempt.ladder
        yield from _enter(exchange, index, page, seconds=exchange.now - began, confirmed=reply.fcf in CONFIRMATIONS)
        if reply.fcf in operators.CALLS and policy.operator is Operator.END and not _is_whole(exchange, command):
            yield from operators.nobody_came(exchange)
        trained = reply.fcf in (Fcf.MCF, Fcf.PIP, Fcf.ERR)
        if reply.fcf in (Fcf.RTN, Fcf.PIN) or (reply.fcf is Fcf.RTP and policy.slower_when_poor):
            ladder = ladder[1:] or ladder
        if reply.fcf in (Fcf.RTN, Fcf.PIN, *BEGINNINGS):
            refusals += 1
            if _is_sent_again(exchange, page, index, refusals, reply):
                continue
        index, refusals = index + 1, 0
        if anew := command is Fcf.EOM and trained:
            terms = _terms(exchange, (yield from await_dis(exchange)))
            ladder, trained = _resumed(terms.ladder, ladder), False
        if isinstance(upcoming, AnotherDocument):
            page = yield from _begun(exchange, index, terms, ladder[0])
        elif anew:
            page = yield from _known(exchange, index, terms, ladder[0])
        else:
            page = upcoming
    lost = [str(each.index + 1) for each in exchange.record.pages if not each.confirmed]
    if lost:
        raise PageRefused(f"not confirmed, and left behind (RTN or EOR): page {', '.join(lost)}")
    exchange.record.complete = True
    yield from exchange.say(Fcf.DCN)


def _is_whole(exchange: Exchange, command: Fcf) -> bool:
    """Tell whether the page that was sent last was the last of all, and all were confirmed."""
    return command is Fcf.EOP and all(page.confirmed for page in exchange.record.pages)


def _enter(exchange: Exchange, index: int, page: PageReady, *, seconds: float, confirmed: bool) -> Procedure[None]:
    """Write a page into the record; have one that was confirmed noted before anything else is said."""
    octets = len(page.octets)
    exchange.record.page(PageResult(index, page.format, octets, page.rows, confirmed, bad_rows=0, seconds=seconds))
    if confirmed:
        yield from exchange.do(NoteConfirmed(index, page.format, page.rows, octets, seconds), Noted)


def _is_sent_again(exchange: Exchange, page: PageReady, index: int, refusals: int, reply: Message) -> bool:
    """Tell whether a page that was not taken is sent once more; if not, the next one follows.

    DIS says no more than that the command came damaged.

    Raises:
        PageRefused: if that is the end of the call.
    """
    refused = exchange.station.policy.refused
    if reply.fcf is Fcf.RTN:
        exchange.record.refused()
    if refusals < (timers.TRIES if reply.fcf in BEGINNINGS else refused.times):
        return True
    if reply.fcf in BEGINNINGS or refused.then is Then.GIVE_UP or page.format.ecm:
        raise PageRefused(f"page {index + 1} was refused {refusals} times ({reply.fcf})")
    return False


def await_dis(exchange: Exchange, calling: Tone | None = None) -> Procedure[Dis]:
    """Wait until the other machine has said what it can do, up to T1; a caller sends CNG meanwhile.

    Raises:
        NoFaxMachine: if T1 elapses.
    """
    began = exchange.now
    while (left := began + timers.T1 - exchange.now) > 0:
        if calling is not None:
            yield from exchange.do(SendTone(calling), Sent)
        heard = yield from exchange.message(min(left, timers.CNG_GAP))
        if not isinstance(heard, Message):
            continue
        if heard.fcf is Fcf.DCN:
            raise Disconnected("the other machine hung up (DCN) before it said what it can do")
        if heard.fcf is Fcf.DIS:
            take_note(exchange.record, heard)
            exchange.x = True
            return Dis(heard.fif)
        if heard.fcf is Fcf.DTC and calling is None:
            take_note(exchange.record, heard)
            return Dtc(heard.fif)
    raise NoFaxMachine(f"no fax machine said what it can do within {timers.T1:.0f} s")


def fetch(exchange: Exchange, index: int, terms: Terms, modulation: Modulation) -> Procedure[Fetched]:
    """Return page ``index`` as it must be at this rate, or what is there instead; None if it is nothing.

    How long a scan line must last depends on the resolution, which only the page knows: so it may be fetched twice.
    """
    asked = 0
    while True:
        page = yield from exchange.do(FetchPage(index, terms.limits, asked, exchange.record.remote_id))
        if isinstance(page, NoMorePages):
            return None
        if isinstance(page, AnotherDocument):
            return page
        if not isinstance(page, PageReady):
            raise LocalError(f"FetchPage was answered by {page!r}")
        needed = terms.min_row_bits(page.format.resolution, modulation)
        if needed == asked:
            return page
        asked = needed


def _known(exchange: Exchange, index: int, terms: Terms, modulation: Modulation) -> Procedure[PageReady]:
    """Fetch a page that must be there."""
    page = yield from _begun(exchange, index, terms, modulation)
    if page is None:
        raise LocalError(f"there is no page {index + 1} to send")
    return page


def _begun(exchange: Exchange, index: int, terms: Terms, modulation: Modulation) -> Procedure[PageReady | None]:
    """Fetch the page after EOM; None if there is none: the document that was to follow has been withdrawn."""
    page = yield from fetch(exchange, index, terms, modulation)
    if isinstance(page, AnotherDocument):
        raise LocalError(f"page {index + 1} was promised, and is put off")
    return page


def train(exchange: Exchange, terms: Terms, format: PageFormat, ladder: Ladder) -> Procedure[Ladder]:
    """Agree on a rate the line can carry (T.30 flow diagram, entry D); return the ladder from that rate on.

    Raises:
        CannotTrain: if no rate survived; the lowest is tried twice.
    """
    exchange.record.ecm = format.ecm
    for step, modulation in enumerate((*ladder, ladder[-1])):
        exchange.record.modulation = modulation
        dcs = terms.dcs(format, modulation)
        reply = yield from exchange.response(
            *of_sender(exchange, terms, dcs), then=tcf(modulation), crp=True, again=BEGINNINGS
        )
        if reply.fcf in (Fcf.CFR, Fcf.FTT):
            exchange.record.trained(modulation, passed=reply.fcf is Fcf.CFR)
        if reply.fcf is Fcf.CFR:
            return ladder[min(step, len(ladder) - 1) :]
        if reply.fcf is not Fcf.FTT:
            raise unexpected(reply, "DCS and training")
    raise CannotTrain(f"no rate down to {ladder[-1]} survived the training check")


def tcf(modulation: Modulation) -> SendData:
    """Return the training check: zeros, always with long training."""
    zeros = bytes(modulation.octets(timers.TCF_SENT))
    return SendData(modulation.long, zeros, Content.TCF, timers.TURNAROUND)


def post_message(page: PageReady, upcoming: Fetched) -> Fcf:
    """Return the command after a page: EOP after the last; EOM before a document, or if DCS must change."""
    if upcoming is None:
        return Fcf.EOP
    same = isinstance(upcoming, PageReady) and upcoming.format == page.format
    return Fcf.MPS if same else Fcf.EOM


@dataclass(slots=True)
class _Attempt:
    """One page on its way: phases C and D."""

    exchange: Exchange
    terms: Terms
    page: PageReady
    index: int
    command: Fcf
    ladder: Ladder

    def plain(self) -> Procedure[Message]:
        """Send the page without error correction."""
        carrier = self.ladder[0].short
        yield from self.exchange.do(SendData(carrier, self.page.octets, Content.PAGE, timers.TURNAROUND), Sent)
        return (yield from self._response(self.exchange.frame(self.command), Fcf.RTN, Fcf.RTP, Fcf.PIP, Fcf.PIN))

    def corrected(self) -> Procedure[Message]:
        """Send the page in error correction mode, partial page by partial page (T.30 Annex A)."""
        blocks = list(ecm.partial_pages(self.page.octets, self.terms.frame_octets))
        for number, block in enumerate(blocks):
            after = self.command if number == len(blocks) - 1 else None
            reply = yield from self._block(number, block, after)
            if reply.fcf is not Fcf.MCF:
                break
        return reply

    def _block(self, number: int, block: list[bytes], after: Fcf | None) -> Procedure[Message]:
        """Send one partial page until it is confirmed or given up."""
        wanted = list(range(len(block)))
        carrier = self.ladder[0].short
        correction = self.exchange.station.policy.correction
        asked: list[int] = []
        while True:
            for _ in range(correction.requests):
                yield from self.exchange.do(SendFrames(carrier, ecm.burst(block, wanted), timers.TURNAROUND), Sent)
                reply = yield from self._ends(number, after, frames=len(wanted))
                if reply.fcf is not Fcf.PPR:
                    return reply
                wanted = ecm.requested(reply.fif, len(block)) or [len(block) - 1]
                asked.append(len(wanted))
                carrier = self.ladder[0].short
            if correction.step_down and len(self.ladder) > 1:
                self.ladder = self.ladder[1:]
            elif not correction.persist or asked[-1] >= min(asked[: len(asked) + 1 - correction.requests]):
                return (yield from self._give_up())
            carrier = yield from self._go_on()

    def _ends(self, number: int, after: Fcf | None, *, frames: int) -> Procedure[Message]:
        """Say that this was all of a partial page, or of what was asked for again (PPS)."""
        pps = ecm.pps(after, page=self.index, block=number, frames=frames)
        confirming = (Fcf.PIP, Fcf.RTP) if after else ()
        reply = yield from self._response(self.exchange.frame(Fcf.PPS, pps), Fcf.PPR, Fcf.PIN, Fcf.RTN, *confirming)
        if reply.fcf is Fcf.PPR:
            self.exchange.record.corrected()
        return reply

    def _go_on(self) -> Procedure[Modulation]:
        """Go on correcting at this rate (CTC); training is long once."""
        self.exchange.record.modulation = self.ladder[0]
        choice = self.terms.dcs(self.page.format, self.ladder[0]).octets[:2]
        yield from self._response(self.exchange.frame(Fcf.CTC, choice), Fcf.CTR)
        return self.ladder[0]

    def _give_up(self) -> Procedure[Message]:
        """Leave the page uncorrected and go on with what follows it (EOR)."""
        return (yield from self._response(self.exchange.frame(Fcf.EOR, bytes((ecm.second(self.command),))), Fcf.ERR))

    def _response(self, command: Frame, *expected: Fcf) -> Procedure[Message]:
        """Send a command until it is answered; while the receiver is not ready, ask again, up to T5.

        DIS (or DTC) is an answer, too: the command came damaged, and the receiver begins again (spandsp).
        """
        reply = yield from self.exchange.response(command)
        began = self.exchange.now
        while reply.fcf is Fcf.RNR:
            if self.exchange.now - began > timers.T5:
                raise NoResponse(f"the receiver was not ready for {timers.T5:.0f} s (RNR)")
            reply = yield from self.exchange.response(self.exchange.frame(Fcf.RR))
        if reply.fcf not in (Fcf.MCF, *BEGINNINGS, *expected):
            raise unexpected(reply, str(command.fcf))
        return reply


def _terms(exchange: Exchange, receiver: Dis) -> Terms:
    """Return what both can do."""
    if not receiver.receiver:
        raise Incompatible("the other machine does not receive faxes")
    terms = agree(exchange.station, receiver)
    if not terms.ladder:
        raise Incompatible("the two machines have no rate in common")
    return terms


def _resumed(offered: Ladder, reached: Ladder) -> Ladder:
    """Return the ladder after a new negotiation: not above what the line was found to carry."""
    if reached[0] in offered:
        return offered[offered.index(reached[0]) :]
    return tuple(modulation for modulation in offered if modulation.bps <= reached[0].bps) or offered[-1:]
