import pytest

from simulators.script import (
    Script,
    Step,
    expect,
    expect_hang_up,
    expect_signal,
    hang_up,
    join,
    send,
    send_block,
    send_signal,
    send_tone,
    silence,
)
from simulators.tray import Tray
from t30.answering import answering
from t30.calling import calling
from t30.capabilities import Station
from t30.fcf import Fcf
from t30.line import Tone
from t30.pages import Coding
from t30.rates import Modulation
from t30.t4 import Decoder, encode
from tests.simulators.calls import sheet

V29 = Modulation.V29_9600
DCS = "FF 13 83 00 06 F0"  # V.29 9600, MH
DCS_ECM = "FF 13 83 00 06 F0 04"
DIS = "FF 13 80 00 4E F0"  # V.27ter and V.29, MH, no error correction
TCF = bytes(1800)
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
    assert check == TCF
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
