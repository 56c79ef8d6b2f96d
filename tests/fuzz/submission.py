"""Mail under any octets: a message in any pieces, command lines, and the whole of a conversation up to the desk."""

import asyncio
import re
from contextlib import suppress
from typing import Any, cast

from faxgw.config.submission import SubmissionSettings
from faxgw.mail.submission.clear import until_starttls
from faxgw.mail.submission.commands import Command, Misspelt, Path, decoded, plain
from faxgw.mail.submission.content import LONGEST_LINE, Content, Unfit
from faxgw.mail.submission.limits import Limits, Shared
from faxgw.mail.submission.port import Peer
from faxgw.mail.submission.session import Over, Session
from faxgw.mail.submission.wire import Gone, Wire
from tests.faxgw.mail.submission.listening import LOGIN, SECRET, Book
from tests.faxgw.mail.submission.probe import b64
from tests.fuzz.target import Reader, Target, pieced

LARGEST = 2000
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


# ------------------------------------------------------------------------------------------------------------- messages


def check_content(octets: bytes) -> None:
    """Read a message whole, and in pieces: it is the same, or refused both times."""
    choices = Reader(octets)
    step, octets = 1 + choices.number(256), choices.rest()
    whole = _read([octets])
    assert _read([octets[at : at + step] for at in range(0, len(octets), step)]) == whole
    if whole is not None:
        content, rest = whole
        check_message(content)
        *lines, end = octets[: len(octets) - len(rest)].split(b"\r\n")[:-1]
        assert end == b"." and b"." not in lines
        assert content == b"".join(each.removeprefix(b".") + b"\r\n" for each in lines)


def check_message(content: bytes) -> None:
    """Check that nobody can see two messages in it."""
    assert not BARE.search(content) and (not content or content.endswith(b"\r\n"))
    assert len(content) <= LARGEST


def _read(pieces: list[bytes]) -> tuple[bytes, bytes] | None:
    content = Content(LARGEST)
    for place, piece in enumerate(pieces):
        try:
            rest = content.feed(piece)
        except Unfit:
            return None
        assert content.held <= LARGEST + LONGEST_LINE
        if rest is not None:
            return content.take_out(), rest + b"".join(pieces[place + 1 :])
    return None


def content_corpus() -> list[bytes]:
    """Return messages, with dots, and what only looks like their end."""
    ends = (b"\r\n.\r\n", b"\n.\n", b"\r\n.\n", b"\r.\r", b"\r\n..\r\n.\r\nMAIL FROM:<a@b>\r\n")
    return [b"\x05Subject: a\r\n\r\n.b\r\ntext" + each for each in ends] + [
        b"\0.\r\n",
        b"\0\r\n" + b"a" * 1900 + ends[0],
    ]


# ------------------------------------------------------------------------------------------------------------- commands


def check_commands(octets: bytes) -> None:
    """Read a line as a command, as an address, as a credential."""
    with suppress(Misspelt):
        command = Command.read(octets)
        assert not command.verb or command.verb.isalpha()
        for read in (plain, decoded):
            with suppress(Misspelt):
                read(command.argument)
        for word in ("FROM", "TO"):
            with suppress(Misspelt):
                path = Path.read(command.argument, word)
                assert len(path.address.encode()) <= 256 and not set(path.address) & set(
                    "\r\n\0<>" * ('"' not in path.address)
                )
                assert path.domain == path.domain.lower()


def commands_corpus() -> list[bytes]:
    """Return one line of each kind."""
    lines = ("EHLO a", "MAIL FROM:<a@b> SIZE=1 BODY=8BITMIME", 'RCPT TO:<"+49 30"@[1.2.3.4]>', "RCPT TO: a@b", "DATA")
    return [each.encode() for each in (*lines, "AUTH PLAIN " + b64("\0a\0b"), b64("\0a\0b"), "MAIL FROM:<>")]


# ------------------------------------------------------------------------------------------------- whole conversations


class _Memory:
    """The other way of a connection: what is said goes nowhere."""

    def write(self, octets: bytes) -> None:
        assert octets.endswith(b"\r\n") and not BARE.search(octets)

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    resume_reading = abort = pause_reading


def check_conversation(octets: bytes) -> None:
    """Say anything, in pieces, in clear and under TLS: it ends, and what came to the desk is whole."""
    asyncio.run(_converse(Reader(octets)))


async def _converse(choices: Reader) -> None:
    in_clear, signs_in = choices.number(2), choices.number(2)
    wire, desk = Wire(), Book()
    wire.connection_made(cast(Any, _Memory()))
    limits = Limits(tarpit=0)
    shared = Shared.of(SubmissionSettings(max_message=LARGEST, max_memory=LARGEST * 2, domains=("b",)), limits)  # type: ignore[arg-type]
    said = asyncio.get_running_loop().create_task(_say(wire, choices, signs_in=bool(signs_in)))
    if in_clear:
        with suppress(Gone):
            ended = await until_starttls(wire, "a", limits)
            assert not (ended.protect and wire.waiting)
    else:
        session = Session(wire, desk, shared, name="a", peer=Peer("127.0.0.1", "TLSv1.3", ""), caller="127.0.0.1")
        with suppress(Gone, Over):
            await session.run(greet=True)
        if not signs_in:
            assert not desk.taken or desk.asked
    await said
    assert not shared.memory.held
    for each in desk.taken:
        check_message(each.content)
        assert each.recipients and all("\r" not in one and "\n" not in one for one in (*each.recipients, each.sender))


async def _say(wire: Wire, choices: Reader, *, signs_in: bool) -> None:
    if signs_in:
        wire.data_received(b"EHLO a\r\nAUTH PLAIN " + b64(f"\0{LOGIN}\0{SECRET}").encode() + b"\r\n")
    for piece in choices.pieces():
        wire.data_received(piece)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    wire.eof_received()


def conversation_corpus() -> list[bytes]:
    """Return conversations that come to a message, and such that do not come to it."""
    envelope = pieced(b"MAIL FROM:<a@b>\r\nRCPT TO:<1@b>\r\n", b"DATA\r\n")
    message = pieced(b"Subject: a\r\n\r\n", b"b\r\n.\r\n", b"QUIT\r\n")
    login = pieced(b"EHLO a\r\n", b"AUTH LOGIN\r\n", b64(LOGIN).encode() + b"\r\n", b64(SECRET).encode() + b"\r\n")
    return [
        b"\0\1" + envelope + message,
        b"\0\0" + login + envelope + message,
        b"\0\1" + envelope + pieced(b"a\n.\nMAIL FROM:<a@b>\r\n"),
        b"\1\0" + pieced(b"EHLO a\r\nSTARTTLS\r\n"),
        b"\1\0" + pieced(b"STARTTLS\r\nMAIL FROM:<a@b>\r\n"),
        b"\1\1",
    ]


TARGETS = (
    Target("smtp-message", check_content, content_corpus),
    Target("smtp-command", check_commands, commands_corpus),
    Target("smtp", check_conversation, conversation_corpus),
)
