"""The bad habits of ``simulators.personalities`` by name, as the tests of single calls and of thousands draw them."""

from collections.abc import Callable
from functools import partial

from simulators import personalities as odd
from simulators.machine import Habit
from simulators.nonsense import TalksNonsense
from t30.fcf import Fcf
from t30.frame import Frame

Making = Callable[[], Habit]


NONSENSE: dict[str, Making] = {f"talks nonsense {seed}": partial(TalksNonsense, seed) for seed in range(4)}


def frame(fcf: Fcf, fif: str = "") -> Frame:
    return Frame.of(fcf, bytes.fromhex(fif), x=True)


SENDERS: dict[str, Making] = {
    "hangs up after EOP": lambda: odd.HangsUpAfter(Fcf.EOP),
    "hangs up after MPS": lambda: odd.HangsUpAfter(Fcf.MPS),
    "hangs up after DCS": lambda: odd.HangsUpAfter(Fcf.DCS),
    "silent after DCS": lambda: odd.GoesSilentAfter(Fcf.DCS),
    "silent after MPS": lambda: odd.GoesSilentAfter(Fcf.MPS),
    "silent after EOP": lambda: odd.GoesSilentAfter(Fcf.EOP),
    "trains short after failure": odd.TrainsShortAfterFailure,
    "cuts pages short": odd.CutsPagesShort,
    "echoes": odd.Echoes,
    "repeats itself": odd.RepeatsItself,
    "withholds a frame": odd.WithholdsFrame,
    "CTC out of turn": lambda: odd.SaysOutOfTurn(frame(Fcf.CTC, "00 46")),
    "CTC without a rate": lambda: odd.SaysOutOfTurn(frame(Fcf.CTC)),
    "EOR out of turn": lambda: odd.SaysOutOfTurn(frame(Fcf.EOR, "2F")),
    "EOR with nothing": lambda: odd.SaysOutOfTurn(frame(Fcf.EOR)),
    "PPS-NULL after PPS-MPS": lambda: odd.SaysOutOfTurn(frame(Fcf.PPS, "00 00 00 05")),
    "PPS without counters": lambda: odd.SaysOutOfTurn(frame(Fcf.PPS)),
    "PPS with nonsense": lambda: odd.SaysOutOfTurn(frame(Fcf.PPS, "55 FF FF FF")),
    "RR out of turn": lambda: odd.SaysOutOfTurn(frame(Fcf.RR)),
    "DCS out of turn": lambda: odd.SaysOutOfTurn(frame(Fcf.DCS, "00 46 F0")),
    "EOP out of turn": lambda: odd.SaysOutOfTurn(frame(Fcf.EOP)),
    "an unknown command": lambda: odd.SaysOutOfTurn(Frame(0x55)),
    "no RCP": lambda: odd.SendsRcp(0),
    "1 RCP": lambda: odd.SendsRcp(1),
    "4 RCP": lambda: odd.SendsRcp(4),
    "frames too long once": lambda: odd.SendsOddFrames(+3),
    "frames too short once": lambda: odd.SendsOddFrames(-3),
    "frames too long for ever": lambda: odd.SendsOddFrames(+3, for_ever=True),
    "frames too short for ever": lambda: odd.SendsOddFrames(-3, for_ever=True),
    "forgets error correction": odd.ForgetsErrorCorrection,
    "MMR without error correction": odd.SendsMmrWithoutErrorCorrection,
    "negotiates again at once": odd.NegotiatesAgainAtOnce,
    "leaves frames out at first": lambda: odd.DamagesFirstBursts(2),
    **NONSENSE,
}
RECEIVERS: dict[str, Making] = {
    "hangs up after DIS": lambda: odd.HangsUpAfter(Fcf.DIS),
    "hangs up after CFR": lambda: odd.HangsUpAfter(Fcf.CFR),
    "hangs up after MCF": lambda: odd.HangsUpAfter(Fcf.MCF),
    "silent after DIS": lambda: odd.GoesSilentAfter(Fcf.DIS),
    "silent after CFR": lambda: odd.GoesSilentAfter(Fcf.CFR),
    "silent after MCF": lambda: odd.GoesSilentAfter(Fcf.MCF),
    "echoes": odd.Echoes,
    "repeats itself": odd.RepeatsItself,
    "says DCN to V.17": odd.RefusesFamily,
    "never trains": lambda: odd.Answers(odd.NEVER_TRAINS),
    "never confirms": lambda: odd.Answers(odd.NEVER_CONFIRMS),
    "never satisfied": lambda: odd.Answers(odd.NEVER_SATISFIED),
    "asks for nothing": lambda: odd.Answers(odd.ASKS_FOR_NOTHING),
    "never ready": lambda: odd.Answers(odd.NEVER_READY),
    "asks for repetition for ever": lambda: odd.Answers(dict.fromkeys(Fcf, Frame.of(Fcf.CRP))),
    "answers MCF with CFR": lambda: odd.Answers({Fcf.MCF: Frame.of(Fcf.CFR)}),
    "answers CFR with MCF": lambda: odd.Answers({Fcf.CFR: Frame.of(Fcf.MCF)}),
    "wants an operator": lambda: odd.Answers({Fcf.MCF: Frame.of(Fcf.PIP)}),
    "refuses and wants an operator": lambda: odd.Answers({Fcf.MCF: Frame.of(Fcf.PIN)}),
    "wants to train after every page": lambda: odd.Answers({Fcf.MCF: Frame.of(Fcf.RTP)}),
    "an unknown answer": lambda: odd.Answers({Fcf.MCF: Frame(0x55)}),
    "an empty PPR": lambda: odd.Answers({Fcf.MCF: Frame.of(Fcf.PPR)}),
    "DIS with nothing in it": lambda: odd.Answers({Fcf.DIS: Frame.of(Fcf.DIS)}),
    "DTC in place of DIS": lambda: odd.Answers({Fcf.DIS: Frame.of(Fcf.DTC, bytes.fromhex("00 EE F8"))}),
    **NONSENSE,
}

FALSE_SENDERS = frozenset(
    {
        *NONSENSE,
        "cuts pages short",
        "CTC out of turn",
        "EOR out of turn",
        "PPS-NULL after PPS-MPS",
        "DCS out of turn",
        "EOP out of turn",
        "RR out of turn",
        "frames too short once",
        "frames too short for ever",
        "forgets error correction",
        "MMR without error correction",
    }
)
"""Those that say of something else than the page that it is the page, or ask for one answer twice: what is stored then
is what they sent, and a late answer to one thing is taken for the answer to another."""
CHANGED_ANSWERS = frozenset(
    {
        *NONSENSE,
        "never confirms",
        "never satisfied",
        "asks for nothing",
        "never ready",
        "asks for repetition for ever",
        "answers MCF with CFR",
        "refuses and wants an operator",
        "an unknown answer",
        "an empty PPR",
    }
)
"""Those that store a page as confirmed and say something else: it comes again, and is stored as the next."""
