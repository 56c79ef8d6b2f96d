"""Captures of our calls, read by Wireshark's decoder: SIP, SDP, T.38 and T.30, and nothing that it calls malformed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from drivers.t38.media import Agreed
from drivers.t38.udptl import Protection
from drivers.witness import Wire
from faxgw.trace.pcap import pcap, reading
from faxgw.trace.reading import read
from faxgw.trace.record import Step, Thrown, Trace
from faxgw.trace.synthesis import synthesised
from simulators.faults import Faults
from simulators.network import Weather
from t30.capabilities import Station
from t30.frame import Frame
from t30.line import FrameReceived, ListenFrame, SendFrames
from t30.rates import Modulation
from tests.drivers.sip.authority import Authority
from tests.faxgw.trace.calls import IN, OUT, sip_calls, t38_calls
from tests.faxgw.trace.modem_calls import modem_calls
from tests.faxgw.trace.test_synthesis import MODEMS
from tests.interop.pages import text_page, write_pages
from tests.simulators.calls import sheet

pytestmark = pytest.mark.interop

LIMIT = 60
COLUMNS = ("_ws.col.Protocol", "_ws.col.Info", "_ws.malformed", "_ws.expert.message", "t38.setup-method")
WITHOUT_FRAGMENTS = "[RECEIVED END OF FRAGMENT W/OUT ANY FRAGMENT DATA]"
"""What tshark calls malformed where the octets of a frame came only in the repeats of the next packet."""
SAME_TO_TSHARK = {"DTC": "DIS", "CIG": "CSI", "NSC": "NSF"}
"""What tshark calls what a caller says who polls: it does not look at the bit that tells them apart."""
CALLER = Station("+49 30 1234567", subaddress="4711")
PAGES = [bytes(Random(5).randrange(1, 256) for _ in range(9000)) for _ in range(2)]
FIRST = 25160
"""Ports for signalling; a call takes two."""


@dataclass(frozen=True)
class Row:
    """What tshark says of one packet."""

    protocol: str
    info: str
    malformed: str
    remarks: str
    setup: str


Tshark = Callable[[Trace], list[Row]]


@pytest.fixture
def tshark(peer: Callable[[str], Path], tmp_path: Path) -> Tshark:
    """Return a function that has a trace's capture decoded as the command says that it is to be."""
    program = peer("tshark")

    def decoded(trace: Trace) -> list[Row]:
        file = tmp_path / "call.pcap"
        file.write_bytes(pcap(trace))
        columns = [option for each in COLUMNS for option in ("-e", each)]
        options = " ".join(reading(trace)).split()
        command: list[str | Path] = [program, "-r", file, *options, "-T", "fields", "-E", "separator=\x1f", *columns]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
        rows = [Row(*line.split("\x1f")) for line in done.stdout.split("\n")[:-1]]
        assert len(rows) == len(trace.seen or synthesised(trace))
        return rows

    return decoded


def frames_told(rows: list[Row]) -> list[str]:
    """Return the names of the V.21 frames that tshark put together."""
    rows = [row for row in rows if "data:v21" in row.info and "HDLC Reassembled: " in row.info]
    return [row.info.partition("HDLC Reassembled: ")[2].partition(" ")[0].rstrip(")") for row in rows]


def frames_ours(trace: Trace) -> Iterator[str]:
    """Return those that are in the steps of the trace."""
    for step in trace.steps:
        if isinstance(step.action, SendFrames) and step.action.modulation is Modulation.V21:
            yield from (_name(each) for each in step.action.frames)
        elif isinstance(step.result, FrameReceived) and step.result.good and step.result.octets[2] not in (6, 0x86):
            yield _name(step.result.octets)


def _name(octets: bytes) -> str:
    frame = Frame.parse(octets)
    assert frame is not None
    return SAME_TO_TSHARK.get(frame.name, frame.name)


@pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
@pytest.mark.parametrize("version", [0, 3])
@pytest.mark.parametrize("protection", [Protection(3), Protection(0, 3)], ids=["redundancy", "parity"])
@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_a_call_is_decoded_as_it_was(
    tshark: Tshark, tmp_path: Path, *, ecm: bool, version: int, protection: Protection, loss: float
) -> None:
    weather, agreed = Weather(loss=loss, seed=3), Agreed(version, protection)
    far = Station("+1 555 0100", takes_subaddress=True, ecm=ecm)
    for path in t38_calls(tmp_path, PAGES, caller=CALLER, answerer=far, agreed=agreed, there=weather):
        trace = read(path)
        assert trace.outcome is not None and trace.outcome.complete
        rows = tshark(trace)
        assert {row.protocol for row in rows} <= {"T.38", "T.30"}
        bad = [row for row in rows if row.malformed or "alformed" in row.info]
        assert not bad if loss == 0 else all(row.remarks == WITHOUT_FRAGMENTS for row in bad)
        ours, theirs = list(frames_ours(trace)), frames_told(rows)
        assert theirs == ours if loss == 0 else _is_within(theirs, ours)
        assert {"DIS", "DCS", "CFR", "MCF"} <= {*ours}


@pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
@pytest.mark.parametrize("options", ["", "&version=3", "&t38=offer&fec=3", "&version=3&loss"], ids=str)
def test_with_its_signalling_a_call_needs_no_port(tshark: Tshark, tmp_path: Path, *, ecm: bool, options: str) -> None:
    weather = Weather(loss=0.03, seed=1) if options.endswith("&loss") else Weather()
    far = Station("+1 555 0100", ecm=ecm)
    options = options.removesuffix("&loss")
    for path in sip_calls(tmp_path, PAGES, options=options, answerer=far, weather=weather):
        trace = read(path)
        assert trace.outcome is not None and trace.outcome.complete and trace.outcome.ecm is ecm
        syntax = ["-o t38.use_pre_corrigendum_asn1_specification:FALSE"] if "version" in options else []
        assert reading(trace) == syntax
        rows = tshark(trace)
        check_signalling(rows)
        if not weather.loss:
            assert not [row for row in rows if row.malformed]
            assert frames_told(rows) == list(frames_ours(trace))


@pytest.mark.parametrize("path", MODEMS, ids=lambda path: f"{path.parent.stem}-{path.stem}")
def test_a_kept_modem_call_is_decoded_as_the_packets_that_it_would_have_been(tshark: Tshark, path: Path) -> None:
    check_modem_call(tshark, read(path))


@pytest.mark.parametrize("scheme", ["sim", "class1"])
@pytest.mark.parametrize("ecm", [True, False], ids=["error correction", "none"])
def test_a_modem_call_is_decoded_as_it_was(tshark: Tshark, tmp_path: Path, *, scheme: str, ecm: bool) -> None:
    faults = Faults(seed=7, corrupted=0.3, lost=0.1)
    far = Station("+1 555 0100", takes_subaddress=True, ecm=ecm)
    pages = [sheet(1, rows=700), sheet(2)]
    for path in modem_calls(tmp_path, pages, scheme=scheme, caller=CALLER, answerer=far, faults=faults):
        check_modem_call(tshark, read(path))


def check_modem_call(tshark: Tshark, trace: Trace) -> None:
    """Compare what tshark makes of a call that had no network with the trace: all frames in their order, none odd."""
    assert reading(trace) == []
    rows = tshark(trace)
    assert not [row for row in rows if row.malformed or "alformed" in row.info]
    assert {row.setup for row in rows if row.protocol == "T.38"} <= {"SDP"}
    sent = frames_ours(replace(trace, steps=tuple(step for step in trace.steps if not isinstance(step.result, Thrown))))
    assert frames_told(rows) == list(sent)
    damaged = [row for row in rows if "data:v21" in row.info and "fcs-BAD" in row.info]
    assert len(damaged) == sum(_is_damaged_v21(step) for step in trace.steps)
    said = [row.info.partition("|")[0].strip() for row in rows if row.protocol in ("SIP", "SIP/SDP")]
    assert said[0].startswith("Request: INVITE")
    if trace.outcome is not None:
        assert said[-1].startswith(("Status: 200 OK (BYE)", "Request: ACK"))


def _is_damaged_v21(step: Step) -> bool:
    v21 = isinstance(step.action, ListenFrame) and step.action.modulation is Modulation.V21
    return v21 and isinstance(step.result, FrameReceived) and not step.result.good


def test_a_call_over_tls_that_the_commands_record_is_decoded_without_its_keys(tshark: Tshark, tmp_path: Path) -> None:
    files = Authority(tmp_path).settings("127.0.0.1")
    tls = f"transport=tls&ca={files.ca}&cert={files.certificate}&key={files.key}"
    theirs, ours = (
        f"sip:127.0.0.1:{there}?local=127.0.0.1:{here}&{tls}"
        for here, there in ((FIRST, FIRST + 1), (FIRST + 1, FIRST))
    )
    document = write_pages(tmp_path / "one.tif", [text_page(60)])
    with started("receive", "--line", theirs, "--out", tmp_path / "inbox", "--trace", tmp_path / IN) as receiving:
        assert receiving.stdout is not None
        assert receiving.stdout.readline() == "listening\n"
        with started("send", "--line", ours, "--to", "15550100", "--trace", tmp_path / OUT, document) as sending:
            assert [each.wait(LIMIT) for each in (sending, receiving)] == [0, 0]
    for name in (OUT, IN):
        trace = read(tmp_path / name)
        assert {each.transport for each in trace.seen if each.wire is Wire.SIP} == {"TLS"}
        rows = tshark(trace)
        check_signalling(rows)
        assert not [row for row in rows if row.malformed]
        assert frames_told(rows) == list(frames_ours(trace))


def started(*words: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", "from faxgw.cli import main; main()", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check_signalling(rows: list[Row]) -> None:
    """Compare what tshark found of SIP, and T.38 by its means, with how every call goes."""
    said = [row.info.partition("|")[0] for row in rows if row.protocol in ("SIP", "SIP/SDP")]
    words = list(dict.fromkeys(each.split()[1] for each in said))
    assert words[0] == "INVITE" and {"200", "ACK", "BYE"} <= {*words}
    assert "200 OK (BYE)" in said[-1]
    assert {row.protocol for row in rows} == {"SIP", "SIP/SDP", "T.38"}
    assert {row.setup for row in rows if row.protocol == "T.38"} == {"SDP"}


def _is_within(part: list[str], whole: list[str]) -> bool:
    """Tell whether all of a list comes in another, in the same order."""
    rest = iter(whole)
    return all(each in rest for each in part)
