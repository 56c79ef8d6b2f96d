"""Phases C and D of a station that is called, with error correction (T.30 Annex A): a scripted caller."""

from simulators.script import (
    Step,
    carrier,
    expect,
    expect_hang_up,
    expect_until,
    hang_up,
    interrupt,
    send,
    send_block,
    send_damaged,
    send_signal,
    silence,
    timer,
)
from t30.hdlc import stuffed
from t30.rates import Modulation
from tests.scenarios.callers import (
    ECM_TRAINED,
    GOODBYE,
    T2,
    TURNAROUND,
    V17,
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
    CTR,
    DCN,
    DCN_ANSWERER,
    DCS_ECM,
    EOP,
    ERR,
    FTT,
    JBIG,
    MCF,
    OUR_DIS,
    RATES,
    RCP,
    RNR,
    RR,
    RTN,
    mh,
    mmr,
    mr,
    pieces,
    ppr,
    pps,
)

V12000 = Modulation.V17_12000
PAGE = mh(200)  # three frames
FIRST, SECOND, THIRD = FRAMES = pieces(PAGE)
LONG = mh(200, fill=125_800)  # 64 * 256 octets, and two frames more
NEXT = mh(100)
NEXT_FRAMES = pieces(NEXT)
WHOLE = send_block(V29, *FRAMES, *RCP)
WITHOUT_SECOND = send_block(V29, FIRST, THIRD, *RCP)
MISSED = silence(1.7)
"""What is left of T4 after a response that a caller did not hear."""

NO_PAGE_DATA = (
    bytes.fromhex("00 03 06 01") + b"\x55" * 256,  # another address
    bytes.fromhex("FF 03 22 01") + b"\x55" * 256,  # no page data by what it says
    bytes.fromhex("FF 03 06"),  # page data without a number
    bytes.fromhex("FF 03 06 01"),  # and without data
)
ABSENT = range(3, 256)
"""Numbers that the page has no frames of: their bits in PPR are set, too."""
CTC = "FF 13 13 00 0E"
"""Go on at V.29 7200."""


def of_format(choice: str, page: bytes, *, code: str = "06", size: int = 256, driver: bool = False) -> Scenario:
    """Return a call with one page after this DCS."""
    rate = RATES[code]
    frames = pieces(page, size)
    return received(
        expect(OUR_DIS),
        send(f"FF 13 83 {choice}"),
        send_signal(rate, CHECK[code]),
        expect(CFR),
        send_block(rate.short, *frames, *RCP),
        send(pps("2F", len(frames))),
        timer(*TURNAROUND),
        expect(MCF),
        *GOODBYE,
        got=(page,),
        driver=driver,
    )


def with_clicks(code: str) -> bytes:
    """Return a training check with four damaged octets."""
    octets = bytearray(CHECK[code])
    for share in (10, 12, 14, 16):
        octets[len(octets) * share // 100] = 0x10
    return bytes(octets)


def with_damage(number: int) -> bytes:
    """Return the octets of the block, with a bit turned over in the middle of one frame."""
    flags = 240
    signal = bytearray(stuffed([*FRAMES, *RCP], flags_first=flags))
    signal[flags + 266 * number + 150] ^= 0x10
    return bytes(signal)


def one(*far: Step, **others: object) -> Scenario:
    """Return a call with error correction in which the page of three frames arrives."""
    return received(*ECM_TRAINED, *far, **{"got": (PAGE,), **others})


PAGES = {
    "a page in MH is received": of_format("00 06 F0 04", PAGE, driver=True),
    "a page in MR is received": of_format("00 86 F0 04", mr(200)),
    "a page in MMR is received": of_format("00 06 F0 44", mmr(3000), driver=True),
    "a page in T.85 is received": of_format("00 06 F0 84 80 80 80 80 80 20", JBIG),
    "a page in frames of 64 octets is received": of_format("00 06 F0 0C", PAGE, size=64, driver=True),
    **{
        f"a page arrives at {rate}": of_format(f"00 {code} F0 04", PAGE, code=code, driver=True)
        for code, rate in RATES.items()
    },
    "PPS-MPS is confirmed, and the next page follows": one(
        *(WHOLE, send(pps("4F", 3)), timer(*TURNAROUND), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "PPS-EOM is confirmed, and all is negotiated anew": one(
        *(WHOLE, send(pps("8F", 3)), expect(MCF), timer(0.0, T2[1]), expect(OUR_DIS)),
        *(send("FF 13 83 00 2A F0 44"), send_signal(V12000, CHECK["2A"]), expect(CFR)),
        *(send_block(V12000.short, *pieces(mmr(60)), *RCP), send(pps("2F", 1, page=1)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, mmr(60)),
        driver=True,
    ),
    "clicks in training, which a lower rate does not spare, have it refused once and no more": received(
        *(expect(OUR_DIS), send("FF 13 83 00 22 F0 04"), send_signal(V17, with_clicks("22")), expect(FTT)),
        *(send("FF 13 83 00 2A F0 04"), send_signal(V12000, with_clicks("2A")), expect(CFR)),
        *(send_block(V12000.short, *FRAMES, *RCP), send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        got=(PAGE,),
    ),
    "page counters begin again with a negotiation, too": one(
        *(WHOLE, send(pps("8F", 3)), expect(MCF), expect(OUR_DIS)),
        *(send(DCS_ECM), send_signal(V29, CHECK["06"]), expect(CFR)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "T1 runs anew after PPS-EOM": partly(
        "fax.no_machine",
        *ECM_TRAINED,
        *(WHOLE, send(pps("8F", 3)), expect(MCF), timer(0.0, T2[1]), expect(OUR_DIS)),
        expect_until(DCN_ANSWERER, OUR_DIS, least=28.0, most=40.0),
        expect_hang_up(),
        driver=True,
    ),
    "PPS-NULL is confirmed, and the next block of the page follows": one(
        *(send_block(V29, *FRAMES[:2], *RCP), send(pps("00", 2)), timer(*TURNAROUND), expect(MCF)),
        *(send_block(V29, *pieces(PAGE[512:]), *RCP), send(pps("2F", 1, block=1)), expect(MCF)),
        *GOODBYE,
        took=(6.0, 7.5),  # from its first block on: each needs about half a second, PPS and MCF 2.5
        driver=True,
    ),
    "a block of 256 frames is received": received(
        *(expect(OUR_DIS), send("FF 13 83 00 06 F0 0C"), send_signal(V29, CHECK["06"]), expect(CFR)),
        *(send_block(V29, *pieces(LONG[: 64 * 256], 64), *RCP), send(pps("00", 256)), expect(MCF)),
        *(send_block(V29, *pieces(LONG[64 * 256 :], 64), *RCP), send(pps("2F", 2, block=1)), expect(MCF)),
        *GOODBYE,
        got=(LONG,),
        driver=True,
    ),
    "page counters beyond 255 begin again at 0": one(
        *(WHOLE, send(pps("4F", 3, page=255)), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=0)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "a wish for an operator in PPS is a plain end of the page, as nobody is there": one(
        WHOLE, send(pps("3F", 3)), expect(MCF), *GOODBYE
    ),
}

CORRECTION = {
    "a frame that is missing is asked for, and it alone": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), timer(*TURNAROUND), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        took=(7.0, 8.5),
        driver=True,
    ),
    "a frame whose FCS is wrong is asked for": one(
        *(send_signal(V29, with_damage(1)), send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "the last frame is asked for": one(
        *(send_block(V29, FIRST, SECOND, *RCP), send(pps("2F", 3)), expect(ppr(2, *ABSENT))),
        *(send_block(V29, THIRD, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "a block that was lost whole is asked for": one(
        *(silence(1.0), send(pps("2F", 3)), expect(ppr(*range(256))), WHOLE, send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "a block of which only flags came is asked for": one(
        *(carrier(V29, 0.5), send(pps("2F", 3)), expect(ppr(*range(256))), WHOLE, send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "a page of which only flags came is asked for, whatever its counters": one(
        *(WHOLE, send(pps("4F", 3)), expect(MCF)),
        *(carrier(V29, 0.5), send(pps("2F", 2, page=7)), expect(ppr(*range(256)))),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=7)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "a frame that is lost twice is asked for twice": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, *RCP), send(pps("2F", 1)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "frames in any order make the same page": one(
        send_block(V29, THIRD, FIRST, SECOND, *RCP), send(pps("2F", 3)), expect(MCF), *GOODBYE
    ),
    "frames that come twice make the same page": one(
        send_block(V29, FIRST, SECOND, SECOND, THIRD, FIRST, *RCP), send(pps("2F", 3)), expect(MCF), *GOODBYE
    ),
    "a whole block in answer to PPR is as good as the frames that it asks for": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT)), WHOLE, send(pps("2F", 3)), expect(MCF)), *GOODBYE
    ),
    "one RCP ends a block": one(
        send_block(V29, *FRAMES, RCP[0]), send(pps("2F", 3)), expect(MCF), *GOODBYE, driver=True
    ),
    "a block without RCP ends with its carrier": one(
        send_block(V29, *FRAMES), send(pps("2F", 3)), expect(MCF), *GOODBYE, driver=True
    ),
    "a last frame that is not filled up is taken": one(
        send_block(V29, FIRST, SECOND, THIRD.rstrip(b"\0"), *RCP), send(pps("2F", 3)), expect(MCF), *GOODBYE
    ),
    "a frame that is too long is asked for again": one(
        *(send_block(V29, FIRST, SECOND + b"\0", THIRD, *RCP), send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "a last frame that is too long is asked for again": one(
        *(send_block(V29, FIRST, SECOND, THIRD + b"\0", *RCP), send(pps("2F", 3)), expect(ppr(2, *ABSENT))),
        *(send_block(V29, THIRD, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "frames among page data that are none are passed over": one(
        *(send_block(V29, *FRAMES, *NO_PAGE_DATA, *RCP), send(pps("2F", 3)), expect(MCF)), *GOODBYE, driver=True
    ),
    "a frame that is too short is asked for again": one(
        *(send_block(V29, FIRST[:-1], SECOND, THIRD, *RCP), send(pps("2F", 3)), expect(ppr(0, *ABSENT))),
        *(send_block(V29, FIRST, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "damaged PPS has no answer, and is answered when it comes again": one(
        WHOLE, send_damaged(pps("2F", 3)), silence(2.9), send(pps("2F", 3)), expect(MCF), *GOODBYE, driver=True
    ),
    "a page whose counters are those of the page before is a page all the same": one(
        *(WHOLE, send(pps("4F", 3)), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "PPS that comes again though only the PPS before RNR and RR was like it is confirmed again": one(
        *(WHOLE, send(pps("2F", 3)), expect(RNR), send(RR), expect(MCF), MISSED, send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        slow=1,
    ),
    "PPS-MPS that was lost is answered when it comes again": one(
        *(WHOLE, silence(4.2), send(pps("4F", 3)), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "PPS-MPS that comes again because MCF was lost makes no page": one(
        *(WHOLE, send(pps("4F", 3)), expect(MCF), MISSED, send(pps("4F", 3)), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
        driver=True,
    ),
    "PPS-NULL that comes again because MCF was lost keeps no block twice": one(
        *(send_block(V29, *FRAMES[:2], *RCP), send(pps("00", 2)), expect(MCF), MISSED, send(pps("00", 2)), expect(MCF)),
        *(send_block(V29, *pieces(PAGE[512:]), *RCP), send(pps("2F", 1, block=1)), expect(MCF)),
        *GOODBYE,
    ),
    "PPS that comes again because PPR was lost has PPR as answer again": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(MISSED, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "CRP has PPR said again": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT)), send(CRP_CALLER), expect(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "PPR that comes back as an echo does not hide the frames after it": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT)), send(ppr(1, *ABSENT))),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "PPS again that begins before MCF is confirmed again": one(
        *(WHOLE, send(pps("2F", 3)), interrupt(pps("2F", 3)), expect(MCF)), *GOODBYE, driver=True
    ),
    "a fifth PPR is given for a fifth PPS": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, *RCP), send(pps("2F", 1)), expect(ppr(1, *ABSENT))) * 4,
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
}

UNREADY_AND_GIVEN_UP = {
    "CTC has CTR as answer, and the frames follow at the new rate": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send_block(V29, *RCP), send(pps("2F", 1)), expect(ppr(1, *ABSENT))) * 3,
        *(send(CTC), timer(*TURNAROUND), expect(CTR)),
        *(send_block(Modulation.V29_7200, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "a modem change at CTC, from V.17 to V.29, is followed": received(
        *(expect(OUR_DIS), send("FF 13 83 00 2A F0 04"), send_signal(V12000, CHECK["2A"]), expect(CFR)),
        *(send_block(V12000.short, FIRST, *RCP), send(pps("2F", 3)), expect(ppr(1, 2, *ABSENT))),
        *(send_block(V12000.short, *RCP), send(pps("2F", 2)), expect(ppr(1, 2, *ABSENT))) * 3,
        *(send("FF 13 13 00 06"), expect(CTR)),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 2)), expect(ppr(2, *ABSENT))),
        *(send_block(V29, THIRD, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        got=(PAGE,),
        driver=True,
    ),
    "after CTC from V.17 to V.17 the first frames have long training, the next ones short": received(
        *(expect(OUR_DIS), send("FF 13 83 00 22 F0 04"), send_signal(V17, CHECK["22"]), expect(CFR)),
        *(send_block(V17.short, FIRST, *RCP), send(pps("2F", 3)), expect(ppr(1, 2, *ABSENT))),
        *(send("FF 13 13 00 2A"), expect(CTR)),
        *(send_block(V12000, SECOND, *RCP), send(pps("2F", 2)), expect(ppr(2, *ABSENT))),
        *(send_block(V12000.short, THIRD, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        got=(PAGE,),
        driver=True,
    ),
    "CTC that comes again because CTR was lost has CTR as answer again": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send(CTC), expect(CTR), MISSED, send(CTC), expect(CTR)),
        *(send_block(Modulation.V29_7200, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "CTC with a rate that is none goes on at the rate that was": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT)), send("FF 13 13 00 3E"), expect(CTR)),
        *(send_block(V29, SECOND, *RCP), send(pps("2F", 1)), expect(MCF)),
        *GOODBYE,
    ),
    "EOR has ERR as answer, and the page is kept but not confirmed": Scenario(
        far=(
            *ECM_TRAINED,
            *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
            *(send("FF 13 CF 2F"), timer(*TURNAROUND), expect(ERR)),
            *GOODBYE,
        ),
        verdict="failed",
        reason="fax.disconnected",
        driver=True,
    ),
    "after EOR-MPS the next page follows, and the fax is not whole": Scenario(
        far=(
            *ECM_TRAINED,
            *(WITHOUT_SECOND, send(pps("4F", 3)), expect(ppr(1, *ABSENT)), send("FF 13 CF 4F"), expect(ERR)),
            *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
            *GOODBYE,
        ),
        verdict="partial",
        reason="fax.disconnected",
        confirmed=1,
    ),
    "a page of which nothing came before EOR is missing, and the fax is not whole": Scenario(
        far=(
            *ECM_TRAINED,
            *(send(pps("4F", 3)), expect(ppr(*range(256))), send("FF 13 CF 4F"), expect(ERR)),
            *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
            *GOODBYE,
        ),
        verdict="partial",
        reason="fax.disconnected",
        confirmed=1,
        got=(NEXT,),
    ),
    "a part of a page of which nothing came before EOR is missing, and the fax is not whole": Scenario(
        far=(
            *ECM_TRAINED,
            *(send(pps("00", 3)), expect(ppr(*range(256))), send("FF 13 CF 00"), expect(ERR)),
            *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, block=1)), expect(MCF)),
            *GOODBYE,
        ),
        verdict="partial",
        reason="fax.disconnected",
        confirmed=1,
    ),
    "a page that is given up after the last one is missing all the same": Scenario(
        far=(
            *ECM_TRAINED,
            *(WHOLE, send(pps("2F", 3)), expect(MCF), send("FF 13 13 00 06"), expect(CTR)),
            *(send_block(V29, FIRST, THIRD, *RCP), send("FF 13 CF 2F"), expect(ERR)),
            *GOODBYE,
        ),
        verdict="partial",
        reason="fax.disconnected",
        confirmed=1,
    ),
    "EOR out of turn gives nothing up": received(
        *ECM_TRAINED,
        *(WHOLE, send(pps("4F", 3)), expect(MCF), send("FF 13 CF 4F"), expect(ERR)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
    ),
    "EOR in place of PPS leaves the page unconfirmed, and the fax is not whole": partly(
        "fax.disconnected",
        *(*ECM_TRAINED, WHOLE, send("FF 13 CF 4F"), expect(ERR)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        told=2,
    ),
    "what was given up stays given up when EOR comes once more with nothing to give up": partly(
        "fax.disconnected",
        *(*ECM_TRAINED, send(pps("4F", 3)), expect(ppr(*range(256)))),
        *(send("FF 13 CF 4F"), expect(ERR), send("FF 13 CF 00"), expect(ERR)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        told=1,
    ),
    "EOR of a page of which nothing came, and goodbye, leave no page": failed(
        "fax.disconnected",
        *(*ECM_TRAINED, send(pps("4F", 3)), expect(ppr(*range(256))), send("FF 13 CF 4F"), expect(ERR)),
        *GOODBYE,
        told=0,
    ),
    "EOR of a page of which nothing came leaves none, and the next page follows": partly(
        "fax.disconnected",
        *ECM_TRAINED,
        *(silence(1.0), send(pps("4F", 3)), expect(ppr(*range(256))), send("FF 13 CF 4F"), expect(ERR)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(MCF)),
        *GOODBYE,
        told=1,
    ),
    "after EOR of a block the next block of the page follows, and the fax is not whole": partly(
        "fax.disconnected",
        *ECM_TRAINED,
        *(send_block(V29, FIRST, *RCP), send(pps("00", 1)), expect(MCF)),
        *(silence(1.0), send(pps("00", 1, block=1)), expect(ppr(*range(256))), send("FF 13 CF 00"), expect(ERR)),
        *(send_block(V29, *pieces(PAGE[512:]), *RCP), send(pps("2F", 1, block=2)), expect(MCF)),
        *GOODBYE,
        got=(PAGE[:256] + PAGE[512:],),
        told=1,
    ),
    "EOR that comes again because ERR was lost has ERR as answer again": failed(
        "fax.disconnected",
        *ECM_TRAINED,
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send("FF 13 CF 2F"), expect(ERR), MISSED, send("FF 13 CF 2F"), expect(ERR)),
        *GOODBYE,
    ),
    "a page that is not safe on disk yet is not ready, and is confirmed when it is": one(
        *(WHOLE, send(pps("2F", 3)), expect(RNR), send(RR), expect(RNR), send(RR), expect(MCF)),
        *GOODBYE,
        slow=2,
        driver=True,
    ),
    "RR that comes again because MCF was lost has MCF as answer again": one(
        *(WHOLE, send(pps("4F", 3)), expect(RNR), send(RR), expect(MCF), MISSED, send(RR), expect(MCF)),
        *(send_block(V29, *NEXT_FRAMES, *RCP), send(pps("2F", 2, page=1)), expect(RNR), send(RR), expect(MCF)),
        *GOODBYE,
        confirmed=2,
        got=(PAGE, NEXT),
        slow=1,
    ),
    "PPS again after RNR is asked to wait, or confirmed": one(
        *(WHOLE, send(pps("2F", 3)), expect(RNR), MISSED, send(pps("2F", 3)), expect(RNR), send(RR), expect(MCF)),
        *GOODBYE,
        slow=2,
    ),
}

END = {
    "a caller that hangs up after MCF has sent its fax": one(
        WHOLE, send(pps("2F", 3)), expect(MCF), hang_up(), driver=True
    ),
    "PPS and MCF that collide are both said again": one(
        *(WHOLE, send(pps("2F", 3)), interrupt(pps("2F", 3)), expect(MCF), *GOODBYE), driver=True
    ),
    "a clipped DCN after MCF is as good as none": one(
        WHOLE, send(pps("2F", 3)), expect(MCF), send_damaged(DCN), expect_hang_up(within=12.0), driver=True
    ),
    "a clipped DCN after PPR leaves nothing confirmed": failed(
        "line.dropped",
        *ECM_TRAINED,
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT)), send_damaged(DCN), hang_up()),
    ),
    "DCN after PPR ends the call, and the page is not confirmed": failed(
        "fax.disconnected",
        *ECM_TRAINED,
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *GOODBYE,
        driver=True,
    ),
    "a caller that is silent after PPR is left after T2": failed(
        "fax.no_response",
        *ECM_TRAINED,
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        timer(*T2),
        expect(DCN_ANSWERER),
        expect_hang_up(),
    ),
    "a caller that is silent after its frames is left after T2": failed(
        "fax.no_response", *ECM_TRAINED, WHOLE, timer(*T2), expect(DCN_ANSWERER), expect_hang_up(), driver=True
    ),
    "a caller that forgets error correction is asked to begin again": one(
        *(send_signal(V29, PAGE), send(EOP), expect(RTN)),
        *(send(DCS_ECM), send_signal(V29, CHECK["06"]), expect(CFR), WHOLE, send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "training that begins again in the midst of a page has the page begin again": one(
        *(WITHOUT_SECOND, send(pps("2F", 3)), expect(ppr(1, *ABSENT))),
        *(send(DCS_ECM), send_signal(V29, CHECK["06"]), expect(CFR), WHOLE, send(pps("2F", 3)), expect(MCF)),
        *GOODBYE,
        driver=True,
    ),
    "PPS that says nothing of what follows ends the call": failed(
        "fax.protocol", *ECM_TRAINED, WHOLE, send("FF 13 BF 55 00 00 02"), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "PPS that says nothing at all ends the call": failed(
        "fax.protocol", *ECM_TRAINED, WHOLE, send("FF 13 BF"), expect(DCN_ANSWERER), expect_hang_up()
    ),
    "PPS without counters ends the call": failed(
        "fax.protocol", *ECM_TRAINED, WHOLE, send("FF 13 BF 2F"), expect(DCN_ANSWERER), expect_hang_up()
    ),
}


@each(PAGES)
def test_how_a_called_station_takes_corrected_pages(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(CORRECTION)
def test_how_a_called_station_has_frames_sent_again(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(UNREADY_AND_GIVEN_UP)
def test_how_a_called_station_changes_rates_waits_and_gives_up(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)


@each(END)
def test_how_a_corrected_call_ends_for_a_called_station(scenario: Scenario, by_driver: bool) -> None:
    check(scenario, by_driver=by_driver)
