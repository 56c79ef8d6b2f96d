"""What a recorded call looks like: in words, and as a ladder."""

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from faxgw.trace import words
from faxgw.trace.ladder import LETTERS, LETTERS_AT_FOOT, ladder
from faxgw.trace.listing import listing
from faxgw.trace.reading import read
from faxgw.trace.record import Recorder, Trace
from faxgw.trace.signals import party, signals
from faxgw.trace.story import Kind, Party
from simulators.faults import Faults
from t30.capabilities import Station
from t30.ecm import ppr, pps
from t30.fcf import Fcf
from t30.frame import Frame
from t30.line import AwaitCall, Connected, Dial, FrameReceived, ListenFrame, Ringing, SendFrames, Sent
from t30.outcome import Direction
from t30.rates import Modulation
from tests.faxgw.trace.keeping import OF_TODAY

RecordCalls = Callable[..., tuple[Path, Path]]
SVG = "{http://www.w3.org/2000/svg}"


def test_small_call_reads_like_this(small_call: Path) -> None:
    told = [line.plain.rstrip() for line in listing(read(small_call))]
    assert told[0].startswith("Fax from +49 30 1234567 to +1 555 0100, 2026-03-01")
    assert "\n".join(told[1:]) == GOLDEN.strip("\n")


GOLDEN = """
result     delivered: 1 page confirmed, 30.0 s, V.29 9600, no error correction, other machine +1 555 0100
trouble    training failed once (FTT): the line damages too much at V.29 9600
           1 signal of commands or answers came damaged
seconds    30.0 in all: set-up 8.1, negotiation 5.0, training 6.0, page 3.7, confirmation 6.0, turnaround 1.3
           20.7 at least: with no failure, and every signal as short as T.30 allows

   start  seconds  caller   answerer
    0.00     4.00  ──▶  dials +1 555 0100
    4.00     4.00  ──▶  CNG: calling tone, 2 times
    8.06     1.94  ◀──    CSI: called station's identity: +1 555 0100
                          DIS: what the answerer can do: up to V.29 9600, MH, MR, fine, A4 wide, no error correction
                            receives at: V.27ter 2400, V.27ter 4800, V.29 7200, V.29 9600; fine resolution (8 x 7.7
                            lines/mm); 2-D coding (MR); time per scan line: 0 ms
   10.07     1.93  ──▶  SUB: subaddress: not recorded
                        DCS: what the sender chose: V.29 9600, A4 wide, fine, MH, no error correction
                          rate: V.29 9600; fine resolution (8 x 7.7 lines/mm); ms per scan line: 0
   12.07     1.83  ──▶  TCF: training check at V.29 9600, 1,800 octets
   14.09     1.16  ◀──    FTT: training failed
   15.32     1.18  ──▶  DCS: what the sender chose: V.29 9600, A4 wide, fine, MH, no error correction
   16.57     1.82  ──▶  TCF: training check at V.29 9600, 1,800 octets
   18.59     1.16  ◀──    CFR: ready to receive
   19.82     3.68  ──▶  page 1: 3,980 octets at V.29 9600, 1,143 rows
   23.57     1.18  ──▶  EOP: end of the last page
   24.84     1.16  ◀──    damaged frame of 3 octets, perhaps MCF
   26.18     1.07  ──▶  EOP: end of the last page
                        said again, for no answer came that could be read
   27.34     1.16  ◀──    MCF: page confirmed
   28.57     1.18  ──▶  DCN: goodbye
   29.75     0.25  ──▶  hangs up

page 1: A4 wide, fine, MH, 1,143 rows, 3,980 octets, 8.8 s, confirmed
"""


def test_ladder_says_everything_that_the_listing_says(small_call: Path) -> None:
    trace = read(small_call)
    drawn = re.sub(r"\s+", " ", " ".join(texts(ladder(trace))))
    for signal in signals(trace):
        for line in signal.lines:
            assert line.name in drawn
            assert line.words in drawn
    assert "delivered: 1 page confirmed" in drawn


def test_picture_in_the_readme_is_that_of_the_demo_as_it_is_drawn_today() -> None:
    """Draw it anew: faxgw trace tests/faxgw/trace/kept/engine-2/demo-out.jsonl --ladder docs/ladder.svg."""
    drawn = ladder(read(OF_TODAY / "demo-out.jsonl"))
    assert (Path(__file__).parents[3] / "docs" / "ladder.svg").read_text(encoding="utf-8") == drawn


def test_who_does_not_see_the_ladder_is_told_what_it_shows(small_call: Path) -> None:
    root = ElementTree.fromstring(ladder(read(small_call)))
    told = {each.attrib["id"]: each.text or "" for each in root if "id" in each.attrib}
    assert root.attrib["role"] == "img"
    assert list(told) == root.attrib["aria-labelledby"].split()
    assert told["title"].startswith("Fax from +49 30 1234567 to +1 555 0100")
    assert told["description"].startswith("result: delivered: 1 page confirmed")
    assert "trouble: training failed once (FTT)" in told["description"]


def test_result_stands_at_the_top_too_and_its_reasons_at_the_foot(record_calls: RecordCalls) -> None:
    out, _ = record_calls([bytes(9_000)], number="+19995550100")
    said = texts(ladder(read(out)))
    assert said[2] == "failed: no page confirmed, 1.5 s"
    assert said.index("cause") < said.index("the call was rejected (call.rejected)") < said.index("what to do")


def test_text_at_the_foot_is_as_narrow_as_the_page(record_calls: RecordCalls) -> None:
    number = " ".join("1" * 9 for _ in range(60))
    for path in record_calls([bytes(9_000)], number=number):
        foot = [text for text in texts(ladder(read(path))) if "111111111" not in text]
        assert foot
        assert all(len(text) <= LETTERS_AT_FOOT for text in foot)


def test_ladder_has_both_schemes_and_prints_light(small_call: Path) -> None:
    drawn = ladder(read(small_call))
    light, _, dark = drawn.partition("@media screen and (prefers-color-scheme: dark)")
    assert ".paper { fill: #ffffff }" in light
    assert ".paper { fill: #0d1117 }" in dark


def test_damage_is_red(small_call: Path) -> None:
    root = ElementTree.fromstring(ladder(read(small_call)))
    red = [each for each in root.iter(f"{SVG}polygon") if "damaged" in each.attrib["class"]]
    assert len(red) == 3  # the training that failed, the answer that was damaged, and what was said again therefore
    (damaged,) = (each for each in root.iter(f"{SVG}text") if "".join(each.itertext()).startswith("damaged"))
    assert damaged.attrib["class"] == "bad"


def test_time_runs_downward_and_nothing_overlaps(record_calls: RecordCalls) -> None:
    faults = Faults(seed=2, lost=0.1, corrupted=0.3)
    for path in record_calls([bytes(30_000), bytes(9_000)], faults=faults):
        root = ElementTree.fromstring(ladder(read(path)))
        spans = []
        for block in root.iter(f"{SVG}polygon"):
            heights = [float(point.split(",")[1]) for point in block.attrib["points"].split()]
            spans.append((min(heights), max(heights)))
        assert len(spans) > 10
        assert all(before[1] < after[0] for before, after in pairwise(spans))
        assert spans[-1][1] < float(root.attrib["height"])


def test_page_of_ten_minutes_is_no_sheet_of_ten_metres(tmp_path: Path) -> None:
    trace = recorded(tmp_path, SendFrames(Modulation.V27TER_2400, (b"\xff\x03\x06\x00",) * 9, 0.0), Sent(600.0))
    root = ElementTree.fromstring(ladder(trace))
    for block in root.iter(f"{SVG}polygon"):
        heights = [float(point.split(",")[1]) for point in block.attrib["points"].split()]
        assert max(heights) - min(heights) < 250


def test_any_identity_gives_a_file_that_is_xml(tmp_path: Path) -> None:
    identity = bytes(range(20))[::-1]
    frame = FrameReceived(b"\xff\x03\x40" + identity, True, 4.0)
    trace = recorded(tmp_path, ListenFrame(Modulation.V21, 3.0), frame, number="</text>&\x00\x1b\ud800\U0001f4e0")
    assert any("</text>&" in text for text in texts(ladder(trace)))


def test_no_row_of_text_is_wider_than_the_ladder(record_calls: RecordCalls) -> None:
    for path in record_calls([bytes(9_000)], number="+" + "1" * 3000):
        assert all(len(text) <= LETTERS + 2 for text in texts(ladder(read(path))) if text.startswith("dials"))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (Frame.of(Fcf.MCF), "MCF, page confirmed"),
        (Frame.of(Fcf.PPS, pps(None, page=0, block=1, frames=256)),
         "PPS-NULL, end of partial page, more of the page follows: page 1, part 2, 256 frames"),
        (Frame.of(Fcf.PPS, pps(Fcf.EOP, page=2, block=0, frames=1), x=True),
         "PPS-EOP, end of partial page, and of the last page: page 3, part 1, 1 frame"),
        (Frame.of(Fcf.PPS, b"\x55"), "PPS-NULL, end of partial page, more of the page follows: 55"),
        (Frame.of(Fcf.PPR, ppr({*range(40)} - {3, 17})), "PPR, send these frames again: 3, 17, all from 40 on"),
        (Frame.of(Fcf.PPR, ppr({*range(256)} - {3})), "PPR, send these frames again: 3"),
        (Frame.of(Fcf.PPR, ppr(())), "PPR, send these frames again: all"),
        (Frame.of(Fcf.CTC, b"\x00\x08"), "CTC, go on correcting, at this rate: V.27ter 4800"),
        (Frame.of(Fcf.PWD, b"4711"), "PWD, password: not recorded"),
        (Frame.of(Fcf.NSF, b"\xad\x00"), "NSF, answerer's own extensions: AD 00"),
        (Frame.of(Fcf.NSF, b"\xad\x00\x55Hy"), "NSF, answerer's own extensions: HylaFAX, AD 00 55 48 79"),
        (Frame.of(Fcf.SID, b"21"), "SID, sender identification: 12"),
        (Frame.of(Fcf.TSA, b"\x00\x01\x05a@b.c"), "TSA, sender's Internet address: e-mail a@b.c"),
        (Frame.of(Fcf.IRA, b"\x00\x01\x05a@b.c"), "IRA, Internet routing address: not recorded"),
        (Frame.of(Fcf.PSA, b"21"), "PSA, polled subaddress: not recorded"),
        (Frame(0x55, b"\x01"), "55, a code unknown to T.30: 01"),
    ],
    ids=lambda value: "" if isinstance(value, Frame) else value.split(",")[0],
)  # fmt: skip
def test_frame_is_said_in_words(frame: Frame, told: str) -> None:
    assert words.frame(frame.octets).explained == told


@pytest.mark.parametrize("fcf", Fcf)
@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 20, 32, 300])
def test_any_frame_can_be_said_in_words(fcf: Fcf, length: int) -> None:
    for filling in (b"\x00", b"\x55", b"\xff"):
        said = words.frame(Frame.of(fcf, filling * length).octets)
        assert said.name
        assert len(said.words) < 250


def test_own_echo_is_not_drawn_as_the_other_machines_signal(tmp_path: Path) -> None:
    mcf = Frame.of(Fcf.MCF).octets
    path = tmp_path / "call.jsonl"
    with Recorder(path, direction=Direction.IN, line="sim:1", station=Station()) as recorder:
        for action, event in (
            (AwaitCall(), Ringing("1", "2", 0.0)),
            (SendFrames(Modulation.V21, (mcf,), 0.0), Sent(1.5)),
            (ListenFrame(Modulation.V21, 6.0), FrameReceived(mcf, True, 2.0)),
        ):
            recorder.action(action)
            recorder.event(event)
    trace = read(path)
    assert party(trace) is Party.ANSWERER
    *_, echo = signals(trace)
    assert (echo.kind, echo.by) == (Kind.NOTE, Party.ANSWERER)
    assert "echoed" in echo.lines[0].words


def test_both_ends_of_a_call_tell_the_same_story(record_calls: RecordCalls) -> None:
    ends = [signals(read(path)) for path in record_calls([bytes(9_000), bytes(70_000)])]
    stories = [
        [(each.kind, each.by, tuple(line.name for line in each.lines)) for each in end if each.kind in BOTH_KNOW]
        for end in ends
    ]
    assert stories[0] == stories[1]
    assert [name for _, _, names in stories[0] for name in names].count("page 2") == 2  # it has two blocks


BOTH_KNOW = (Kind.FRAMES, Kind.TRAINING, Kind.PAGE)


def test_part_of_a_page_is_not_called_a_page(record_calls: RecordCalls) -> None:
    for path in record_calls([bytes(70_000)]):
        confirmed = [line.plain.partition("MCF: ")[2] for line in listing(read(path)) if "MCF: " in line.plain]
        assert confirmed == ["part of a page confirmed", "page confirmed"]


def test_frames_sent_again_are_told_by_number(record_calls: RecordCalls) -> None:
    out, in_ = record_calls([bytes(9_000)], faults=Faults(corrupt=frozenset({4}), error_density=0.002))
    damaged, again = ([line for line in listing(read(path)) if "page 1: " in line.plain][:2] for path in (in_, out))
    assert "frames, 9,216 octets at V.17 14400" in again[0].plain
    asked = next(line.plain for line in listing(read(in_)) if "PPR: " in line.plain)
    wanted = asked.partition("again: ")[2].partition(", ...")[0].partition(", all")[0]
    assert wanted
    assert f"again at V.17 14400, short training: {wanted}" in again[1].plain
    assert "frames again" in damaged[1].plain


def test_cut_off_recording_says_so(small_call: Path) -> None:
    trace = read(small_call)
    cut = replace(trace, steps=(*trace.steps[:5], replace(trace.steps[5], result=None)), outcome=None)
    told = "\n".join(line.plain for line in listing(cut))
    assert "the recording was cut off here" in told
    assert "the recording ends before the call did" in told
    ElementTree.fromstring(ladder(cut))


def recorded(tmp_path: Path, action: SendFrames | ListenFrame, event: Sent | FrameReceived, number: str = "1") -> Trace:
    path = tmp_path / "call.jsonl"
    with Recorder(path, direction=Direction.OUT, line="sim:1", station=Station()) as recorder:
        recorder.action(Dial("1"))
        recorder.event(Connected(0.0))
        recorder.action(action)
        recorder.event(event)
    trace = read(path)
    return replace(trace, steps=(replace(trace.steps[0], action=Dial(number)), *trace.steps[1:]))


def texts(svg: str) -> list[str]:
    return ["".join(each.itertext()) for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]
