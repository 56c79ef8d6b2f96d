"""Messages that are more than one, too large, too slow or broken: refused, or bounded, and nothing of them stays."""

import os
import ssl
import time
from pathlib import Path

import pytest

from faxgw.mail.submission.limits import Limits
from tests.faxgw.mail.submission.listening import Listening, listening
from tests.faxgw.mail.submission.probe import Probe, at_data, signed_in, until

pytestmark = pytest.mark.requirement("WF-04")

SMUGGLED = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<666@b.example>\r\nDATA\r\nSubject: evil\r\n\r\n\r\n.\r\n"
HEAD = b"Subject: fax\r\n\r\n"


def refused(probe: Probe, code: str) -> None:
    assert probe.hear().startswith(code)
    assert probe.is_closed


@pytest.mark.requirement("WF-12")
@pytest.mark.parametrize(
    "end",
    [
        *(b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\r\n.\r\r\n", b"\n\n.\n\n"),
        *(b"\r\n.\r\r\n", b"\r\n\x00.\r\n", b"\r\n.\x00\r\n", b"\n\r.\n\r"),
    ],
)
def test_what_only_looks_like_an_end_ends_the_connection_and_not_the_message(server: Listening, end: bytes) -> None:
    with at_data(server) as probe:
        probe.raw(HEAD + b"text" + end + SMUGGLED)
        refused(probe, "554 5.6.0 ")
    assert not server.desk.taken


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\r.\r", b"\n.\r\n"])
def test_it_does_so_octet_by_octet_too(server: Listening, end: bytes) -> None:
    with at_data(server) as probe:
        for octet in HEAD + b"text" + end + b"MAIL\r\n":
            try:
                probe.raw(bytes([octet]))
            except (ConnectionError, ssl.SSLError):
                break
        refused(probe, "554 5.6.0 ")
    assert not server.desk.taken


def test_dots_at_the_beginning_of_lines_come_through(server: Listening) -> None:
    with at_data(server) as probe:
        probe.raw(b"..begin\r\n...\r\n. x\r\n\r\n..\r\n.\r\n")
        assert probe.hear().startswith("250 ")
    assert server.desk.taken[0].content == b".begin\r\n..\r\n x\r\n\r\n.\r\n"


@pytest.mark.parametrize("octets", [HEAD + b"a\x00b\r\n", HEAD + b"\x00", b"\x00"])
def test_nul_is_refused(server: Listening, octets: bytes) -> None:
    with at_data(server) as probe:
        probe.raw(octets + b"\r\n.\r\n")
        refused(probe, "554 5.6.0 ")


@pytest.mark.parametrize(
    ("flood", "code"),
    [
        *((b"X: y\r\n" * 3000, "552 5.3.4"), (b"X: " + b"y" * 5000 + b"\r\n", "552 5.3.4")),
        *((b"a" * 10_000, "554 5.6.0"), (b"\r\n" + b"a" * 9000 + b"\r\n.\r\n", "554 5.6.0")),
    ],
    ids=["fields", "octets", "endless", "long"],
)
def test_a_flood_in_the_header_or_in_one_line_is_refused(server: Listening, flood: bytes, code: str) -> None:
    with at_data(server) as probe:
        probe.raw(flood if len(flood) != 5005 else flood * 30)
        refused(probe, code)
    until(lambda: not server.memory)


def test_a_message_that_does_not_wait_to_be_asked_for_is_refused(server: Listening) -> None:
    with at_data(server) as probe:
        probe.raw(b"\r\n.\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<1@b.example>\r\nDATA\r\n" + HEAD + b".\r\n")
        assert [probe.hear()[:3] for _ in range(4)] == ["250", "250", "250", "503"]
        assert probe.is_closed
    assert len(server.desk.taken) == 1


@pytest.mark.slow
@pytest.mark.requirement("WF-05")
def test_a_message_of_a_gigabyte_is_refused_with_nothing_of_it_in_memory_or_on_the_disk(tmp_path: Path) -> None:
    piece = b"=" * 74 + b"\r\n"
    block = piece * 10_000
    sent, before = 0, _files(tmp_path)
    with listening(tmp_path, max_message=2**20, max_memory=2**21) as server, at_data(server) as probe:
        probe.raw(HEAD)
        try:
            while sent < 2**30:
                probe.raw(block)
                sent += len(block)
                assert server.memory <= 2**20 + 2**16
        except (ConnectionError, ssl.SSLError, TimeoutError):
            pass
        else:
            refused(probe, "552 5.3.4")
        until(lambda: not server.memory)
        assert not server.desk.taken
        assert sent > 2**20
        assert not _files(tmp_path) - before - {"cert.pem", "key.pem"}


def test_a_little_too_large_is_told_to_who_sends_all_of_it_first(tmp_path: Path) -> None:
    with listening(tmp_path, max_message=2**20) as server, at_data(server) as probe:
        probe.raw(HEAD + (b"=" * 74 + b"\r\n") * 40_000 + b".\r\n")
        refused(probe, "552 5.3.4")


def test_all_messages_under_way_have_so_much_memory_together(tmp_path: Path) -> None:
    body = (b"=" * 74 + b"\r\n") * 10_000
    with listening(tmp_path, max_message=2**20, max_memory=2**20) as server:
        first, second = at_data(server), at_data(server)
        with first, second:
            first.raw(HEAD + body)
            until(lambda: server.memory > 700_000)
            second.raw(HEAD + body)
            refused(second, "452 4.3.1")
            first.raw(b".\r\n")
            assert first.hear().startswith("250 ")
        until(lambda: not server.memory)


@pytest.mark.requirement("WF-05")
def test_who_leaves_in_the_middle_leaves_nothing(server: Listening) -> None:
    with at_data(server) as probe:
        probe.raw(HEAD + b"canary\r\n" * 1000)
        until(lambda: server.memory > 7000)
    until(lambda: not server.connections and not server.memory)
    assert not server.desk.taken


def test_who_sends_drop_by_drop_is_cut_off(tmp_path: Path) -> None:
    limits = Limits(tarpit=0.01, grace=0.3, silence=5)
    with listening(tmp_path, limits=limits, slowest=1000) as server, at_data(server) as probe:
        began = time.monotonic()
        probe.socket.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() < began + 5:
            probe.raw(b"a")
            try:
                answer = probe.socket.recv(1000)
            except TimeoutError:
                continue
        assert answer.startswith(b"421 4.4.2 ")
        assert 0.25 < time.monotonic() - began < 2
        assert not server.memory


@pytest.mark.parametrize("limits", [Limits(silence=0.2), Limits(message=0.2)], ids=["silence", "message"])
def test_who_falls_silent_in_a_message_is_cut_off(tmp_path: Path, limits: Limits) -> None:
    with listening(tmp_path, limits=limits) as server, at_data(server) as probe:
        probe.raw(HEAD)
        refused(probe, "421 4.4.2 ")


def test_who_says_nothing_is_cut_off_before_and_after_signing_in(tmp_path: Path) -> None:
    with listening(tmp_path, limits=Limits(sign_in=0.4, command=0.3)) as server:
        with Probe(server.ports.starttls) as probe:
            assert probe.hear().startswith("220 ")
            probe.raw(b"EH")
            refused(probe, "421 4.4.2 ")
        with signed_in(server) as probe:
            refused(probe, "421 4.4.2 ")


def _files(folder: Path) -> set[str]:
    return {name for _, _, names in os.walk(folder) for name in names}
