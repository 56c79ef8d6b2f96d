"""Callers that are late, repeat themselves, count wrongly or forget what they chose: scripted, before our receiver."""

import pytest

from simulators.script import (
    Step,
    carrier,
    expect,
    expect_hang_up,
    send,
    send_block,
    send_damaged,
    send_signal,
    silence,
    timer,
)
from t30.rates import Modulation
from tests.scenarios.callers import (
    CHOICE,
    ECM_TRAINED,
    GOODBYE,
    PAGE,
    PAGE_AND_END,
    T2,
    TRAINED,
    V29,
    failed,
    partly,
    received,
)
from tests.scenarios.stage import Scenario, check, each
from tests.scenarios.wire import (
    CFR,
    CHECK,
    CRP_CALLER,
    DCN,
    DCN_ANSWERER,
    DCS_ECM,
    DCS_V29,
    EOM,
    EOP,
    FTT,
    MCF,
    MPS,
    OUR_DIS,
    RCP,
    RNR,
    RR,
    RTN,
    mh,
    mmr,
    pieces,
    pps,
)

MISSED = silence(1.7)
"""What is left of T4 after a response that a caller did not hear."""
LONGEST = silence(2.6)
"""The same at its longest, with a modem that is half a second late."""
LATE = silence(4.9)
"""Far more than that: a page fits into it."""
LONG = mh(200)  # three frames
FRAMES = pieces(LONG)
NEXT = mh(100)
NEXT_FRAMES = pieces(NEXT)
WHOLE = send_block(V29, *FRAMES, *RCP)
SECOND = send_block(V29, *NEXT_FRAMES, *RCP)
NOTHING = "FF 13 BC" + " FF" * 32
"""PPR that asks for everything."""
LEFT = (expect(DCN_ANSWERER), expect_hang_up())

REPETITIONS = {
    "MPS that comes again after the longest T4, half a second late, makes no page": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), LONGEST, send(MPS), expect(MCF), *PAGE_AND_END),
        confirmed=2,
        got=(PAGE, PAGE),
        driver=True,
    ),
    "MPS that comes again twice, late each time, makes no page": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(LONGEST, send(MPS), expect(MCF)) * 2,
        *PAGE_AND_END,
        confirmed=2,
        got=(PAGE, PAGE),
    ),
    "MPS so late that a page may have come and gone unheard is refused, not confirmed": partly(
        "fax.disconnected",
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), LATE, send(MPS), expect(RTN), *GOODBYE),
    ),
    "EOP that comes again as late as may be is confirmed again": received(
        *(*TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF), silence(5.7), send(EOP), expect(MCF), *GOODBYE),
        driver=True,
    ),
    "EOM that comes again late is confirmed again": received(
        *(*TRAINED, send_signal(V29, PAGE), send(EOM), expect(MCF), LATE, send(EOM), expect(MCF), expect(OUR_DIS)),
        *(*CHOICE, expect(CFR), *PAGE_AND_END),
        confirmed=2,
        got=(PAGE, PAGE),
    ),
    "MPS after a carrier in which nothing of a page was heard has RTN as answer": partly(
        "fax.disconnected",
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(carrier(V29, 2.0), send(MPS), expect(RTN), *GOODBYE),
    ),
    "CRP after a page whose end was not heard does not confirm it by the confirmation before": received(
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), send_signal(V29, PAGE), send_damaged(MPS)),
        *(send(CRP_CALLER), silence(2.5), send(MPS), expect(MCF), *PAGE_AND_END),
        confirmed=3,
        got=(PAGE, PAGE, PAGE),
        driver=True,
    ),
    "CRP after frames whose end was not heard does not confirm them by the confirmation before": received(
        *(*ECM_TRAINED, WHOLE, send(pps("4F", 3)), expect(MCF), WHOLE, send_damaged(pps("4F", 3, page=1))),
        *(send(CRP_CALLER), silence(2.5), send(pps("4F", 3, page=1)), expect(MCF)),
        *(SECOND, send(pps("2F", len(NEXT_FRAMES), page=2)), expect(MCF), *GOODBYE),
        confirmed=3,
        got=(LONG, LONG, NEXT),
    ),
    "CRP for ever after a page whose end was not heard ends the call": partly(
        "fax.no_response",
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF), send_signal(V29, PAGE), send_damaged(MPS)),
        *(*(send(CRP_CALLER), silence(2.5)) * 3, send(CRP_CALLER), timer(0.0, 1.0), *LEFT),
    ),
    "CRP is obeyed three times, and no more": partly(
        "fax.no_response",
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(*(send(CRP_CALLER), expect(MCF)) * 3, send(CRP_CALLER), *LEFT),
        driver=True,
    ),
    "CRP without end after the last page takes nothing from the fax": received(
        *(*TRAINED, send_signal(V29, PAGE), send(EOP), expect(MCF)),
        *(*(send(CRP_CALLER), expect(MCF)) * 3, send(CRP_CALLER), *LEFT),
    ),
    "MPS that never hears MCF is answered three times more, and no more": partly(
        "fax.no_response",
        *(*TRAINED, send_signal(V29, PAGE), send(MPS), expect(MCF)),
        *(*(MISSED, send(MPS), expect(MCF)) * 3, MISSED, send(MPS), *LEFT),
    ),
    "PPR that was lost comes again, before anything was confirmed": received(
        *(*ECM_TRAINED, silence(2.0), send(pps("2F", 3)), expect(NOTHING), MISSED, send(pps("2F", 3)), expect(NOTHING)),
        *(WHOLE, send(pps("2F", 3)), expect(MCF), *GOODBYE),
        got=(LONG,),
    ),
    "RR has MCF as answer as often as it comes": received(
        *(*ECM_TRAINED, WHOLE, send(pps("2F", 3)), expect(MCF), *(send(RR), expect(MCF)) * 6, *GOODBYE), got=(LONG,)
    ),
    "PPS that never hears MCF is answered three times more, and no more": partly(
        "fax.no_response",
        *(*ECM_TRAINED, WHOLE, send(pps("4F", 3)), expect(MCF)),
        *(*(MISSED, send(pps("4F", 3)), expect(MCF)) * 3, MISSED, send(pps("4F", 3)), *LEFT),
    ),
}

PAGES_NOT_SAFE = {
    "a page that is never safe is not confirmed, and that is why the fax is not whole": failed(
        "storage.failed",
        *(*TRAINED, send_signal(V29, PAGE), send(EOP), silence(3.0), send(EOP), silence(3.0), send(EOP), silence(3.0)),
        *(send(DCN), *LEFT),
        slow=1000,
    ),
    "DCS in place of a repeated EOP is trained, and the page comes again": received(
        *(*TRAINED, send_signal(V29, PAGE), send(EOP), silence(3.0), *CHOICE, expect(CFR)),
        *(send_signal(V29, PAGE), send(EOP), silence(3.0), send(EOP), expect(MCF), *GOODBYE),
        slow=1,
    ),
    "a page with error correction that is never safe has RNR as answer until T5 has elapsed": failed(
        "storage.failed",
        *(*ECM_TRAINED, WHOLE, send(pps("2F", 3)), *(expect(RNR), send(RR)) * 25, *LEFT),
        slow=1000,
        driver=True,
    ),
    "a caller that loses patience at RNR has met a page that is not safe": failed(
        "storage.failed",
        *(*ECM_TRAINED, WHOLE, send(pps("2F", 3)), expect(RNR), send(RR), expect(RNR), send(DCN), *LEFT),
        slow=1000,
    ),
    "a caller that is silent at RNR has met a page that is not safe": failed(
        "storage.failed", *ECM_TRAINED, WHOLE, send(pps("2F", 3)), expect(RNR), timer(*T2), *LEFT, slow=1000
    ),
    "DCS in place of RR is trained, and the page comes again": received(
        *(*ECM_TRAINED, WHOLE, send(pps("2F", 3)), expect(RNR), send(DCS_ECM), send_signal(V29, CHECK["06"])),
        *(expect(CFR), WHOLE, send(pps("2F", 3)), expect(RNR), send(RR), expect(MCF), *GOODBYE),
        got=(LONG,),
        slow=1,
    ),
}

COUNTERS = {
    "a page counter that stands still makes two pages of two": received(
        *(*ECM_TRAINED, WHOLE, send(pps("4F", 3)), expect(MCF), SECOND, send(pps("2F", 2)), expect(MCF), *GOODBYE),
        confirmed=2,
        got=(LONG, NEXT),
    ),
    "PPS that comes again with a page counter of its own makes no page": received(
        *(*ECM_TRAINED, WHOLE, send(pps("4F", 3)), expect(MCF), MISSED, send(pps("4F", 3, page=7)), expect(MCF)),
        *(SECOND, send(pps("2F", 2, page=1)), expect(MCF), *GOODBYE),
        confirmed=2,
        got=(LONG, NEXT),
    ),
    "PPS-EOP that comes again with a block counter of its own makes no page": received(
        *(*ECM_TRAINED, WHOLE, send(pps("2F", 3)), expect(MCF), MISSED, send(pps("2F", 3, block=9)), expect(MCF)),
        *GOODBYE,
        got=(LONG,),
    ),
    "a page of which nothing was heard but PPS is asked for whole": received(
        *(*ECM_TRAINED, WHOLE, send(pps("4F", 3)), expect(MCF), silence(2.0), send(pps("2F", 2, page=1))),
        *(expect(NOTHING), SECOND, send(pps("2F", 2, page=1)), expect(MCF), *GOODBYE),
        confirmed=2,
        got=(LONG, NEXT),
    ),
}


WORN = b"".join(bytes(each) + b"\x10" for each in (200, 20, 20, 20)) + bytes(1536)
"""1.5 s of zeros at 9600 bit/s, with four errors at the beginning."""

TRAINING = {
    "a rate that has errors enough is refused, and the next lower one is taken": received(
        *(expect(OUR_DIS), send(DCS_V29), send_signal(V29, WORN), expect(FTT)),
        *(send("FF 13 83 00 0E 70"), send_signal(Modulation.V29_7200, CHECK["0E"]), expect(CFR)),
        *(send_signal(Modulation.V29_7200, PAGE), send(EOP), expect(MCF), *GOODBYE),
    ),
    "a rate that was refused for its errors is taken when the caller insists": received(
        *(expect(OUR_DIS), send(DCS_V29), send_signal(V29, WORN), expect(FTT)),
        *(send(DCS_V29), send_signal(V29, WORN), expect(CFR), *PAGE_AND_END),
    ),
}


def of_small_frames(frames: list[bytes], choice: str) -> Scenario:
    """Return a call in which frames have another length than this DCS says."""
    return received(
        *(expect(OUR_DIS), send(f"FF 13 83 {choice}"), send_signal(V29, CHECK["06"]), expect(CFR)),
        *(send_block(V29, *frames, *RCP), send(pps("2F", len(frames))), expect(MCF), *GOODBYE),
        got=(LONG,),
    )


CHOICES = {
    "MMR without error correction is taken as it comes": received(
        *(expect(OUR_DIS), send("FF 13 83 00 06 F0 40"), send_signal(V29, CHECK["06"]), expect(CFR)),
        *(send_signal(V29, mmr(300)), send(EOP), expect(MCF), *GOODBYE),
        got=(mmr(300),),
    ),
    "a page without error correction where it was chosen is refused, and may come as chosen now": received(
        *(*ECM_TRAINED, send_signal(V29, PAGE), send(EOP), expect(RTN), *CHOICE, expect(CFR), *PAGE_AND_END)
    ),
    "RCP may come four times": received(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, *RCP, RCP[0]), send(pps("2F", 3)), expect(MCF), *GOODBYE), got=(LONG,)
    ),
    "RCP may come once": received(
        *(*ECM_TRAINED, send_block(V29, *FRAMES, RCP[0]), send(pps("2F", 3)), expect(MCF), *GOODBYE), got=(LONG,)
    ),
    "frames of 64 octets where 256 were chosen are taken": of_small_frames(pieces(LONG, 64), "00 06 F0 04"),
    "frames of 256 octets where 64 were chosen are taken": of_small_frames(FRAMES, "00 06 F0 0C"),
    "one frame of another length than the rest is asked for again": received(
        *(*ECM_TRAINED, send_block(V29, FRAMES[0], FRAMES[1][:68], FRAMES[2], *RCP), send(pps("2F", 3))),
        *(expect("FF 13 BC FA" + " FF" * 31), send_block(V29, FRAMES[1], *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        got=(LONG,),
    ),
}


def pages_of_one_frame(count: int) -> tuple[Step, ...]:
    """Send so many pages, each but the last before MPS, with a counter that begins again after 256."""
    block = send_block(Modulation.V29_9600, *pieces(mh(8)), *RCP)
    return tuple(
        step
        for page in range(count)
        for step in (block, send(pps("2F" if page == count - 1 else "4F", 1, page=page % 256)), expect(MCF))
    )


@each(REPETITIONS)
def test_what_is_answered_to_commands_that_come_again(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(PAGES_NOT_SAFE)
def test_what_becomes_of_pages_that_cannot_be_made_safe(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(COUNTERS)
def test_pages_are_told_apart_whatever_their_counters_say(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(TRAINING)
def test_which_rates_with_errors_are_taken(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(CHOICES)
@pytest.mark.case("R23")
def test_what_is_made_of_senders_that_forget_what_they_chose(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


def test_two_hundred_and_sixty_pages_arrive_in_one_call() -> None:
    scenario = received(*ECM_TRAINED, *pages_of_one_frame(260), *GOODBYE, confirmed=260, got=(mh(8),) * 260)
    check(scenario, by_driver=False)
