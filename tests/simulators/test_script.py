import pytest

from simulators.script import (
    Script,
    Step,
    carrier,
    expect,
    expect_block,
    expect_hang_up,
    expect_signal,
    expect_tone,
    expect_until,
    hang_up,
    interrupt,
    join,
    send,
    send_block,
    send_damaged,
    send_signal,
    send_tone,
    silence,
    timer,
)
from simulators.tray import Tray
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.line import Tone
from t30.pages import Coding, Length, PageFormat, PageReady, Resolution, Width
from t30.rates import Modulation
from t30.t4 import Decoder, encode
from tests.simulators.calls import sheet

V29 = Modulation.V29_9600
DCS = "FF 13 83 00 06 F0"  # V.29 9600, MH
DCS_ECM = "FF 13 83 00 06 F0 04"
DIS = "FF 13 80 00 4E F0"  # V.27ter and V.29, MH, no error correction
TCF, OUR_TCF = bytes(1800), bytes(1680)
PAGE = encode(sheet().bitmap, Coding.MH)


def frames(page: bytes) -> list[bytes]:
    pieces = [page[at : at + 256].ljust(256, b"\0") for at in range(0, len(page), 256)]
    data = [bytes((0xFF, 0x03, 0x06, number)) + piece for number, piece in enumerate(pieces)]
    return [*data, *[bytes.fromhex("FF 03 86")] * 3]


def test_receiver_repeats_dis_until_dcs_arrives() -> None:
    far_end = Script(expect(Fcf.DIS), silence(2.5), expect(Fcf.DIS), send(DCS), send_signal(V29, TCF), expect(Fcf.CFR))
    outcome = join(answering(Station()), far_end, Tray())
    assert far_end.finished, far_end.diff()
    assert outcome.reason.code == "line.dropped"


def test_a_sender_by_script_gets_a_page_through() -> None:
    tray = Tray()
    far_end = Script(
        send_tone(Tone.CNG, seconds=0.5),
        expect(Fcf.CSI),
        expect(Fcf.DIS),
        send("FF 03 43 20 20 20 20 31 32", DCS),
        send_signal(V29, TCF),
        expect(Fcf.CFR),
        send_signal(V29, PAGE),
        send("FF 13 2F"),
        expect(Fcf.MCF),
        send("FF 13 FB"),
        expect_hang_up(),
    )
    outcome = join(answering(Station("+1 555 0100")), far_end, tray)
    assert far_end.finished, far_end.diff()
    assert outcome.verdict == "received"
    assert outcome.remote_id == "21"
    decoded = tray.received[0].decoded
    assert decoded is not None
    assert decoded.bitmap == sheet().bitmap


def test_a_sender_by_script_gets_a_page_through_with_error_correction() -> None:
    first, second, *rest = frames(PAGE)
    count = len(rest) - 2  # frames of data, less one
    far_end = Script(
        expect(Fcf.DIS),
        send(DCS_ECM),
        send_signal(V29, TCF),
        expect(Fcf.CFR),
        send_block(V29, first, *rest),
        send(f"FF 13 BF 2F 00 00 {count:02X}"),
        expect(Fcf.PPR),
        send_block(V29, second, *rest[-3:]),
        send("FF 13 BF 2F 00 00 00"),
        expect(Fcf.MCF),
        hang_up(),
    )
    outcome = join(answering(Station()), far_end, Tray())
    assert far_end.finished, far_end.diff()
    assert int.from_bytes(far_end.frames[2][3:], "little") & (2 << count) - 1 == 0b10
    assert outcome.verdict == "received"


def test_a_receiver_by_script_gets_a_page() -> None:
    far_end = Script(
        send_tone(Tone.CED),
        send(DIS),
        expect(Fcf.DCS),
        expect_signal(V29),
        send("FF 13 84"),
        expect_signal(V29),
        expect(Fcf.EOP),
        send("FF 13 8C"),
        expect(Fcf.DCN),
    )
    outcome = join(calling(Station(), "200"), far_end, Tray([sheet()]), script_calls=False)
    assert far_end.finished, far_end.diff()
    assert outcome.verdict == "delivered"
    check, page = far_end.signals
    assert check == OUR_TCF
    decoder = Decoder(Coding.MH, 1728)
    decoder.feed(page)
    assert decoder.finish().bitmap == sheet().bitmap


@pytest.mark.parametrize(
    ("step", "heard"),
    [
        (expect(Fcf.CFR), "+ DIS"),
        (expect_signal(V29), "+ a signal of V.21 300"),
        (silence(60.0), "+ CED"),
        (expect_hang_up(within=3.0), "+ CED"),
    ],
    ids=lambda value: value.words if isinstance(value, Step) else value,
)
def test_a_difference_is_shown_where_it_is_and_ends_the_call(step: Step, heard: str) -> None:
    far_end = Script(step, send(DCS))
    outcome = join(answering(Station()), far_end, Tray())
    assert not far_end.finished
    lines = far_end.diff().splitlines()
    assert lines[0] == f"- {step.words}"
    assert lines[1].startswith(heard), far_end.diff()
    assert lines[2] == ". send DCS 00 06 f0"
    assert outcome.reason.code == "line.dropped"


def test_waiting_in_vain_is_a_difference() -> None:
    far_end = Script(expect(Fcf.DIS), expect_signal(V29, within=2.0))
    join(answering(Station()), far_end, Tray())
    assert far_end.diff() == "  expect DIS\n- expect a signal of V.29 9600\n+ nothing for 2.0 s"


@pytest.mark.parametrize(
    ("step", "heard"),
    [
        (expect("FF 13 80 .. EE ..."), ""),
        (expect("FF 13 80 .. EE"), "+ DIS"),
        (expect("FF 13 80 00 EE ..."), ""),
        (expect("FF 13 80 00 EF ..."), "+ DIS"),
        (expect("FF 03 40 ...", "FF 13 80 ..."), ""),
        (expect("FF 03 40 ...", "FF 13 80 ...", whole=True), ""),
        (expect("FF 13 80 ...", whole=True), "+ CSI"),
        (expect("FF 13 80 ...", "FF 13 80 ..."), "+ the end of the signal"),
        (expect_tone(Tone.CED), ""),
        (expect_tone(Tone.CNG), "+ CED"),
        (expect_until(Fcf.DCN, Fcf.DIS, least=30.0, most=50.0), ""),
        (expect_until(Fcf.DCN, Fcf.DIS, least=45.0, most=50.0), "+ DCN after"),
        (expect_until(Fcf.DCN, Fcf.DIS, least=10.0, most=30.0), "+ CSI"),
        (expect_until(Fcf.DCN, Fcf.DTC, least=10.0, most=30.0), "+ DIS"),
    ],
    ids=lambda value: value.words if isinstance(value, Step) else value,
)
def test_a_frame_is_expected_as_it_is_on_the_wire(step: Step, heard: str) -> None:
    far_end = Script(step)
    join(answering(Station("+1 555")), far_end, Tray())
    assert far_end.finished is (heard == ""), far_end.diff()
    assert heard in far_end.diff()


@pytest.mark.parametrize(
    ("least", "most", "finished"), [(2.9, 3.2, True), (3.2, 4.0, False), (1.0, 2.9, False)], ids=["in", "early", "late"]
)
def test_a_timer_is_counted_from_the_end_of_the_last_signal(least: float, most: float, finished: bool) -> None:
    far_end = Script(expect(Fcf.DIS), timer(least, most), expect(Fcf.DIS))
    join(answering(Station()), far_end, Tray())
    assert far_end.finished is finished, far_end.diff()


def test_what_is_damaged_or_empty_or_said_at_the_same_time_is_not_understood() -> None:
    far_end = Script(
        expect(Fcf.DIS),
        send_damaged(DCS),
        expect(Fcf.DIS),
        carrier(Modulation.V21, 0.5),
        expect(Fcf.DIS),
        timer(2.0, 4.0),
        interrupt(DCS),
        expect(Fcf.DIS),  # the end of the one that was interrupted
        timer(2.0, 4.0),
        expect(Fcf.DIS),
        hang_up(),
    )
    join(answering(Station()), far_end, Tray())
    assert far_end.finished, far_end.diff()


@pytest.mark.parametrize("wrong", ["", "octet", "order", "number"])
def test_a_block_is_expected_frame_by_frame(wrong: str) -> None:
    page = bytes(range(256)) * 2
    ready = PageReady(PageFormat(Width.A4, Length.A4, Resolution.STANDARD, Coding.MH, ecm=True), page, 10)
    wanted = frames(page)
    if wrong == "octet":
        wanted[0] = wanted[0][:-1] + b"\x00"
    if wrong == "order":
        wanted[:2] = wanted[1::-1]
    if wrong == "number":
        del wanted[-1]
    far_end = Script(
        send("FF 13 80 00 4E F0 04"),
        expect(Fcf.DCS),
        expect_signal(V29, OUR_TCF),
        send("FF 13 84"),
        expect_block(V29, *wanted),
        expect("FF 13 BF 2F 00 00 01"),
    )
    join(calling(Station(codings=frozenset({Coding.MH})), "200"), far_end, Tray([ready]), script_calls=False)
    assert far_end.finished is (wrong == ""), far_end.diff()
