"""What a device may say under TLS: it signs in with its own credential, and hands over mail to numbers only."""

import re
import time
from io import StringIO
from pathlib import Path

import pytest

from faxgw.mail.submission.limits import Limits
from faxgw.mail.submission.port import Rejected
from tests.faxgw.mail.submission.listening import LOGIN, SECRET, Listening, listening
from tests.faxgw.mail.submission.probe import Probe, at_data, b64, protected, signed_in, until

MESSAGE = b"Subject: fax\r\nMIME-Version: 1.0\r\n\r\n\xe4\xf6 8bit\r\n"
DOCUMENTATION = Path(__file__).parents[4] / "docs" / "mail.md"
GOOD = "AUTH PLAIN " + b64(f"\0{LOGIN}\0{SECRET}")


# -------------------------------------------------------------------------------------------------------------- signing


@pytest.mark.requirement("WF-09", "WF-10", "XM-16")
@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
@pytest.mark.parametrize(
    "said",
    [
        [GOOD],
        ["AUTH PLAIN", b64(f"\0{LOGIN}\0{SECRET}")],
        ["AUTH PLAIN " + b64(f"{LOGIN}\0{LOGIN}\0{SECRET}")],
        ["auth login", b64(LOGIN), b64(SECRET)],
        ["AUTH LOGIN " + b64(LOGIN), b64(SECRET)],
    ],
    ids=["plain-at-once", "plain", "plain-as-itself", "login", "login-at-once"],
)
def test_a_device_signs_in_and_its_message_arrives_as_it_was_sent(
    server: Listening, said: list[str], implicit: bool
) -> None:
    with protected(server, implicit=implicit) as probe:
        *asked, let_in = [probe.ask(each) for each in said]
        assert all(each.startswith("334 ") for each in asked)
        assert let_in.startswith("235 ")
        assert probe.ask("MAIL FROM:<scan@office.example> BODY=8BITMIME SIZE=100").startswith("250 ")
        assert probe.ask("RCPT TO:<+49301234567@fax.example>").startswith("250 ")
        assert probe.ask("DATA").startswith("354 ")
        probe.raw(MESSAGE + b".\r\n")
        assert probe.hear() == "250 2.0.0 1 faxes accepted"
        assert probe.ask("QUIT").startswith("221 ")
        assert probe.is_closed
    (taken,) = server.desk.taken
    assert taken.content == MESSAGE
    assert (taken.device.login, taken.sender, taken.recipients) == (
        LOGIN,
        "scan@office.example",
        ("+49301234567@fax.example",),
    )
    assert (taken.peer.address, taken.peer.protocol) == ("127.0.0.1", "TLSv1.3")
    assert taken.peer.cipher.startswith("TLS_")


@pytest.mark.requirement("WF-10")
def test_who_has_not_signed_in_sends_nothing(server: Listening) -> None:
    with protected(server) as probe:
        assert probe.ask("MAIL FROM:<a@b.example>").startswith("530 5.7.0 ")
        assert probe.ask("RCPT TO:<1@b.example>").startswith("503 ")
        assert probe.ask("DATA").startswith("503 ")
    assert not server.desk.taken


@pytest.mark.requirement("WF-10")
def test_the_sender_named_in_a_message_is_nobodys_identity(server: Listening) -> None:
    with protected(server) as probe:
        assert probe.ask(GOOD).startswith("235 ")
        for sender in ("fax-b@fax.example", "", "root"):
            assert probe.ask(f"MAIL FROM:<{sender}>").startswith("250 ")
            assert probe.ask("RCPT TO:<1@fax.example>").startswith("250 ")
            assert probe.ask("DATA").startswith("354 ")
            probe.raw(b"From: fax-b@fax.example\r\n\r\n.\r\n")
            assert probe.hear().startswith("250 ")
    assert [each.device.login for each in server.desk.taken] == [LOGIN] * 3


@pytest.mark.requirement("WF-10", "WF-04")
def test_failures_say_the_same_after_the_same_time_whatever_was_wrong(tmp_path: Path, log: StringIO) -> None:
    wrong = [f"\0{LOGIN}\0wrong", "\0nobody\0wrong", f"\0{LOGIN}\0", f"\0fax-b@fax.example\0{SECRET}"]
    answers, times = set(), []
    with listening(tmp_path, limits=Limits(tarpit=0.2)) as server:
        for each in wrong:
            with protected(server) as probe:
                began = time.monotonic()
                answers.add(probe.ask(f"AUTH PLAIN {b64(each)}"))
                times.append(time.monotonic() - began)
    assert answers == {"535 5.7.8 Login or secret is wrong"}
    assert min(times) >= 0.19 and max(times) - min(times) < 0.15, times
    pattern = r'"event": "device sign-in failed".*"address": "(?P<host>[^"]+)"'  # as docs/mail.md has it
    assert pattern.replace('(?P<host>[^"]+)', "<HOST>") in DOCUMENTATION.read_text()
    until(lambda: log.getvalue().count("device sign-in failed") == len(wrong))
    found = [match["host"] for line in log.getvalue().splitlines() if (match := re.search(pattern, line))]
    assert found == ["127.0.0.1"] * len(wrong)
    assert not [each for each in (LOGIN, SECRET, "nobody") if each in log.getvalue()]


@pytest.mark.requirement("WF-04")
def test_guessing_ends_the_connection_and_then_the_address_waits(tmp_path: Path) -> None:
    with listening(tmp_path, failures_per_minute=5) as server:
        for tries in (3, 2):
            with protected(server) as probe:
                for _ in range(tries):
                    assert probe.ask("AUTH PLAIN " + b64("\0a\0b")).startswith("535 ")
                assert tries < 3 or probe.is_closed
        with protected(server) as probe:
            asked = len(server.desk.asked)
            assert probe.ask(GOOD).startswith("454 4.7.0 ")
            assert probe.is_closed
            assert len(server.desk.asked) == asked
        with signed_in(server, source="127.0.0.9"):
            pass


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (["AUTH CRAM-MD5"], "504"),
        (["AUTH PLAIN =A="], "501"),
        (["AUTH PLAIN " + b64("no credential")], "501"),
        (["AUTH PLAIN " + b64(f"other\0{LOGIN}\0{SECRET}")], "501"),
        (["AUTH LOGIN", "*"], "501"),
        (["AUTH LOGIN", b64(LOGIN), "*"], "501"),
        ([GOOD, GOOD], "503"),
    ],
)
def test_a_credential_that_is_none_is_not_asked_about(server: Listening, said: list[str], code: str) -> None:
    with protected(server) as probe:
        assert [probe.ask(each) for each in said][-1].startswith(code)
        assert len(server.desk.asked) == said.count(GOOD) / 2
        assert probe.ask("NOOP").startswith("250 ")


# ------------------------------------------------------------------------------------------------------------ addresses


@pytest.mark.requirement("WF-09")
@pytest.mark.parametrize(
    ("said", "recipient"),
    [
        ("RCPT TO:<+49-30-1234567@fax.example>", "+49-30-1234567@fax.example"),
        ("RCPT TO: <+49.30.1234567@fax.example>", "+49.30.1234567@fax.example"),
        ("RCPT TO:<+49(30)1234567@fax.example>", "+49(30)1234567@fax.example"),
        ("rcpt to:+4930/1234567@fax.example", "+4930/1234567@fax.example"),
        ('RCPT TO:<"+49 30 1234567"@fax.example>', '"+49 30 1234567"@fax.example'),
        ("RCPT TO:<+49301234567>", "+49301234567"),
        ("RCPT TO:<FAX=+49301234567@fax.example>", "FAX=+49301234567@fax.example"),
        ("RCPT TO:<+49301234567@[127.0.0.1]>", "+49301234567@[127.0.0.1]"),
        ("RCPT TO:<ümlaut@fax.example>", "ümlaut@fax.example"),
    ],
)
def test_recipients_come_to_the_desk_as_they_were_given(server: Listening, said: str, recipient: str) -> None:
    with signed_in(server) as probe:
        probe.ask("MAIL FROM: <scan@office.example> SMTPUTF8")
        assert probe.ask(said).startswith("250 ")
        assert probe.ask(said).startswith("250 ")
        assert probe.ask("DATA").startswith("354 ")
        probe.raw(b"\r\n.\r\n")
        assert probe.hear().startswith("250 ")
    assert server.desk.taken[0].recipients == (recipient,)


@pytest.mark.parametrize(
    "said",
    [
        *("RCPT TO:<>", "RCPT TO:", "RCPT FROM:<1@a.example>", "RCPT TO:<1@a.example", "RCPT TO:<@a.example>"),
        *(
            "RCPT TO:<@a.example,@b.example:1@c.example>",
            "RCPT TO:<1@a.example> <2@a.example>",
            "RCPT TO:<1@2@a.example>",
        ),
        *(
            "RCPT TO:<1@a.example>NOTIFY=NEVER",
            "RCPT TO:<1@a.example> NOTIFY=NEVER",
            f"RCPT TO:<{'1' * 300}@a.example>",
        ),
        "RCPT TO:<1 2@a.example>",
    ],
)
def test_what_is_no_address_is_refused_and_the_next_is_heard(server: Listening, said: str) -> None:
    with signed_in(server) as probe:
        probe.ask("MAIL FROM:<a@b.example>")
        assert probe.ask(said)[:3] in {"501", "555"}
        assert probe.ask("RCPT TO:<1@a.example>").startswith("250 ")


@pytest.mark.requirement("WF-07")
def test_mail_for_other_domains_is_not_taken(tmp_path: Path) -> None:
    with listening(tmp_path, domains=["fax.example"]) as server, signed_in(server) as probe:
        probe.ask("MAIL FROM:<scan@fax.example>")
        for each in (
            *("user@other.example", "user%other.example@relay.example", '"user@other.example"@relay.example'),
            *(
                "other.example!user@relay.example",
                "user@[192.0.2.1]",
                "1@sub.fax.example",
                "1@fax.example.other.example",
            ),
        ):
            assert probe.ask(f"RCPT TO:<{each}>").startswith("550 5.7.1 "), each
        assert probe.ask("RCPT TO:<@fax.example:user@other.example>").startswith("501 ")
        assert probe.ask("DATA").startswith("554 ")
        assert probe.ask("RCPT TO:<+49301234567@FAX.example>").startswith("250 ")


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        *(("SIZE=1000", "250"), ("SIZE=68719476736", "552"), ("SIZE=x", "501"), ("SIZE=" + "9" * 30, "501")),
        *(("BODY=7BIT", "250"), ("BODY=BINARYMIME", "501"), ("AUTH=<>", "250"), ("RET=HDRS", "555"), ("SIZE", "501")),
    ],
)
def test_parameters_that_were_not_offered_are_refused(server: Listening, parameter: str, code: str) -> None:
    with signed_in(server) as probe:
        assert probe.ask(f"MAIL FROM:<a@b.example> {parameter}").startswith(code)


def test_too_many_recipients_are_put_off_and_the_others_are_taken(tmp_path: Path) -> None:
    with listening(tmp_path, max_recipients=3) as server, signed_in(server) as probe:
        probe.ask("MAIL FROM:<a@b.example>")
        answers = [probe.ask(f"RCPT TO:<{each}@b.example>")[:3] for each in range(1, 6)]
        assert answers == ["250", "250", "250", "452", "452"]


# ------------------------------------------------------------------------------------------------------------- messages


@pytest.mark.requirement("WF-09")
def test_commands_may_come_in_one_piece(server: Listening) -> None:
    with signed_in(server) as probe:
        probe.raw(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<1@b.example>\r\nRCPT TO:<01@b.example>\r\nDATA\r\n")
        assert [probe.hear()[:3] for _ in range(4)] == ["250", "250", "550", "354"]
        probe.raw(b"\r\n.\r\nMAIL FROM:<a@b.example>\r\nRSET\r\nQUIT\r\n")
        assert [probe.hear()[:3] for _ in range(4)] == ["250", "250", "250", "221"]
    assert [each.recipients for each in server.desk.taken] == [("1@b.example",)]


def test_several_messages_go_through_one_connection_each_with_its_own_recipients(server: Listening) -> None:
    with signed_in(server) as probe:
        for number in range(3):
            probe.ask("MAIL FROM:<a@b.example>")
            probe.ask(f"RCPT TO:<{number + 1}@b.example>")
            probe.ask("DATA")
            probe.raw(b"Subject: %d\r\n\r\n.\r\n" % number)
            assert probe.hear().startswith("250 ")
        assert probe.ask("DATA").startswith("503 ")
    assert [(each.recipients, each.content) for each in server.desk.taken] == [
        ((f"{number + 1}@b.example",), b"Subject: %d\r\n\r\n" % number) for number in range(3)
    ]


def test_what_the_desk_rejects_is_told_in_its_words(server: Listening) -> None:
    server.desk.fault = Rejected(554, "5.6.1", "There is nothing\r\n250 to send")
    with at_data(server) as probe:
        probe.raw(b"\r\n.\r\n")
        assert probe.hear() == "554 5.6.1 There is nothing 250 to send"
        assert probe.ask("NOOP").startswith("250 ")


def test_a_desk_that_fails_leaves_the_message_with_the_device(server: Listening, log: StringIO) -> None:
    server.desk.fault = RuntimeError("the canary +49 30 1234567")
    with at_data(server) as probe:
        probe.raw(b"Subject: canary\r\n\r\n.\r\n")
        assert probe.hear().startswith("451 4.3.0 ")
        assert probe.ask("NOOP").startswith("250 ")
    until(lambda: "mail could not be dealt with" in log.getvalue())
    assert "Subject" not in log.getvalue() and "1234567" not in log.getvalue()


def test_a_message_at_the_desk_is_answered_before_the_server_stops(tmp_path: Path) -> None:
    with listening(tmp_path) as server, at_data(server) as busy, signed_in(server) as idle:
        server.desk.is_slow = True
        busy.raw(b"\r\n.\r\n")
        assert server.desk.noted.wait(5)
        server.stop.set()
        assert idle.hear().startswith("421 4.3.2 ")
        assert idle.is_closed
        server.desk.let_go.set()
        assert busy.hear().startswith("250 ")


@pytest.mark.parametrize("line", ["GET / HTTP/1.1", "Host: a", "POST / HTTP/1.1", "", "\x01"])
def test_a_browser_that_was_sent_here_is_not_listened_to(server: Listening, line: str) -> None:
    with protected(server) as probe:
        assert probe.ask(line).startswith("500 ")
        assert probe.is_closed


def test_errors_without_end_are_not_answered_without_end(server: Listening) -> None:
    with signed_in(server) as probe:
        probe.raw(b"ETRN a\r\n" * 60)
        assert [probe.hear()[:3] for _ in range(50)] == ["500"] * 50
        assert probe.is_closed


def test_one_address_and_all_together_have_so_many_connections_and_no_more(tmp_path: Path) -> None:
    with listening(tmp_path, connections=3, connections_per_address=2) as server:
        first = [Probe(server.ports.starttls) for _ in range(2)]
        assert [each.hear()[:3] for each in first] == ["220", "220"]
        with Probe(server.ports.starttls) as third:
            assert third.hear().startswith("421 4.7.0 ")
            assert third.is_closed
        other = Probe(server.ports.starttls, source="127.0.0.2")
        assert other.hear().startswith("220 ")
        with Probe(server.ports.tls, source="127.0.0.4") as late:
            assert late.is_closed
        for each in (*first, other):
            each.socket.close()
        until(lambda: not server.connections)
        with signed_in(server):
            pass
