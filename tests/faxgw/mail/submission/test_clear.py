"""Without TLS there is nothing to be had: one wrong word, and the connection is closed (WF-12, XM-16)."""

import ssl
from base64 import b64encode
from io import StringIO
from pathlib import Path

import pytest

from tests.faxgw.mail.submission.listening import LOGIN, SECRET, Listening, listening
from tests.faxgw.mail.submission.probe import Probe, b64, protected, trusting, until

pytestmark = pytest.mark.requirement("WF-12", "XM-16")

PLAIN = b64(f"\0{LOGIN}\0{SECRET}")


@pytest.fixture
def clear(server: Listening) -> Probe:
    probe = Probe(server.ports.starttls)
    assert probe.hear().startswith("220 ")
    return probe


def test_starttls_is_all_that_is_offered_in_clear(clear: Probe) -> None:
    with clear:
        offered = clear.ask("EHLO device.example")
        assert offered.splitlines()[1:] == ["250-ENHANCEDSTATUSCODES", "250 STARTTLS"]
        assert clear.ask("NOOP").startswith("250 ")
        assert clear.ask("QUIT").startswith("221 ")
        assert clear.is_closed


@pytest.mark.parametrize(
    "line",
    [
        *("HELO a", "MAIL FROM:<a@b.example>", "RCPT TO:<1@b.example>", "DATA", "RSET", "VRFY a", "HELP", "AUTH LOGIN"),
        *("AUTH", "AUTH PLAIN", f"AUTH PLAIN {PLAIN}", "", "GET / HTTP/1.1", "XCLIENT ADDR=1.2.3.4", "STARTTLS now"),
        "EHLO\x00a",
    ],
)
def test_anything_else_is_refused_and_the_connection_closed(server: Listening, clear: Probe, line: str) -> None:
    with clear:
        answer = clear.ask(line)
        assert answer[:4] in {"530 ", "501 ", "500 "}, answer
        assert clear.is_closed
    assert not server.desk.asked


def test_what_was_sent_behind_a_refused_command_is_not_obeyed(server: Listening, clear: Probe) -> None:
    with clear:
        clear.raw(f"AUTH PLAIN {PLAIN}\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\n".encode())
        assert clear.hear().startswith("530 ")
        assert clear.is_closed


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        (f"AUTH PLAIN {PLAIN}", (LOGIN, SECRET)),
        (f"auth plain {PLAIN}", (LOGIN, SECRET)),
        (f"AUTH PLAIN\r\n{PLAIN}", (LOGIN, SECRET)),
        (f"AUTH LOGIN {b64(LOGIN)}", (LOGIN, None)),
        (f"AUTH LOGIN\r\n{b64(LOGIN)}", (LOGIN, None)),
        (f"AUTH LOGIN\r\n{b64(LOGIN)}\r\n{b64(SECRET)}", (LOGIN, SECRET)),
        (f"AUTH LOGIN {b64(LOGIN)}\r\n{b64(SECRET)}", (LOGIN, SECRET)),
    ],
)
def test_a_credential_in_clear_is_told_to_the_desk_and_never_let_in(
    server: Listening, clear: Probe, log: StringIO, said: str, seen: tuple[str, str | None]
) -> None:
    with clear:
        clear.ask("EHLO device.example")
        assert clear.ask(said).startswith("530 "), "nobody is asked for the rest"
        assert clear.is_closed
    assert server.desk.noted.wait(5)
    assert server.desk.seen == [seen]
    assert not server.desk.asked
    until(lambda: "credential seen in clear" in log.getvalue())
    assert LOGIN not in log.getvalue() and SECRET not in log.getvalue()


@pytest.mark.parametrize(
    "said", ["AUTH PLAIN", "AUTH PLAIN ====", "AUTH LOGIN", "AUTH CRAM-MD5", "AUTH PLAIN " + b64("x")]
)
def test_where_no_credential_was_said_none_is_told(server: Listening, clear: Probe, said: str) -> None:
    with clear:
        assert clear.ask(said).startswith("530 ")
        assert clear.is_closed
    until(lambda: not server.connections)
    assert not server.desk.seen


@pytest.mark.parametrize(
    "injected", [b"EHLO a\r\n", b"AUTH PLAIN " + PLAIN.encode() + b"\r\nMAIL FROM:<evil@b.example>\r\n", b"x", b"\r\n"]
)
def test_what_was_injected_behind_starttls_is_not_obeyed_under_tls(
    server: Listening, clear: Probe, injected: bytes
) -> None:
    with clear:
        clear.ask("EHLO device.example")
        clear.raw(b"STARTTLS\r\n" + injected)
        assert clear.hear().startswith("554 ")
        assert clear.is_closed
    assert not server.desk.asked and not server.desk.seen


def test_clear_octets_in_place_of_a_handshake_close_the_connection(
    server: Listening, clear: Probe, log: StringIO
) -> None:
    with clear:
        assert clear.ask("STARTTLS").startswith("220 ")
        clear.raw(b"AUTH PLAIN " + PLAIN.encode() + b"\r\n")
        rest = b""
        while more := clear.socket.recv(1000):
            rest += more
        assert not rest or rest[:1] == b"\x15", f"{rest!r}: an alert of TLS at most"
    until(lambda: not server.connections)
    assert not server.desk.asked and not server.desk.seen
    until(lambda: "TLS handshake failed" in log.getvalue())
    assert "Traceback" not in log.getvalue() and '"level": "error"' not in log.getvalue()


def test_a_handshake_that_the_client_gives_up_leaves_nothing(server: Listening, clear: Probe, log: StringIO) -> None:
    with clear:
        assert clear.ask("STARTTLS").startswith("220 ")
        clear.raw(bytes.fromhex("1603010200 01"))
    until(lambda: "TLS handshake failed" in log.getvalue())
    assert "Traceback" not in log.getvalue() and '"level": "error"' not in log.getvalue()


def test_what_was_said_in_clear_is_forgotten_under_tls(server: Listening, clear: Probe) -> None:
    with clear:
        clear.ask("EHLO device.example")
        assert clear.ask("STARTTLS").startswith("220 ")
        clear.wrap(trusting(server.certificate))
        assert clear.ask(f"AUTH PLAIN {PLAIN}").startswith("503 "), "EHLO comes first once more"
        assert "AUTH PLAIN LOGIN" in clear.ask("EHLO device.example")
        assert clear.ask("STARTTLS").startswith("500 ")
        assert clear.ask(f"AUTH PLAIN {PLAIN}").startswith("235 ")


@pytest.mark.parametrize("octets", [b"EHLO a\n", b"EHLO\ra\r\n", b"A" * 5000, b"EHLO a\r\r\n"])
def test_a_line_that_is_none_closes_the_connection(server: Listening, clear: Probe, octets: bytes) -> None:
    with clear:
        clear.raw(octets)
        assert clear.hear().startswith("500 ")
        assert clear.is_closed


def test_the_other_port_does_not_answer_in_clear(server: Listening) -> None:
    with Probe(server.ports.tls) as probe:
        probe.raw(b"EHLO a\r\nAUTH PLAIN " + b64encode(b"\0a\0b") + b"\r\n")
        said = b""
        try:
            while more := probe.socket.recv(1000):
                said += more
        except ConnectionResetError:
            pass
        assert b"220" not in said
    assert not server.desk.asked and not server.desk.seen


def test_both_ports_speak_tls_1_3(server: Listening) -> None:
    for implicit in (False, True):
        with protected(server, implicit=implicit) as probe:
            assert isinstance(probe.socket, ssl.SSLSocket)
            assert probe.socket.version() == "TLSv1.3"


def test_too_many_words_before_tls_end_it(clear: Probe) -> None:
    with clear:
        clear.raw(b"NOOP\r\n" * 20)
        answers = [clear.hear() for _ in range(21)]
        assert answers[-1].startswith("421 ")
        assert clear.is_closed


@pytest.mark.requirement("WF-03")
def test_a_machine_outside_the_networks_hears_no_octet_on_either_port(tmp_path: Path) -> None:
    with listening(tmp_path, allowed=["127.0.0.2/32"]) as server:
        for port in (server.ports.starttls, server.ports.tls):
            with Probe(port, source="127.0.0.3") as stranger:
                assert stranger.is_closed
        with Probe(server.ports.starttls, source="127.0.0.2") as known:
            assert known.hear().startswith("220 ")
        with protected(server, implicit=True, source="127.0.0.2"):
            pass
