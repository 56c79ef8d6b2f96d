"""Hosts that talk nonsense: whatever they say, a mail is carried, or is said not to be; nothing else happens."""

import asyncio
import random
from contextlib import suppress

import pytest

from faxgw.delivery.carrier import NotCarried
from tests.faxgw.mail.sending.far_side import FarSide, mail

LINES = (
    *(b"220 far.example", b"250 ok", b"250-far.example", b"250-SIZE", b"250-SIZE x 1", b"250-AUTH=", b"250-STARTTLS"),
    *(b"250-AUTH CRAM-MD5 PLAIN", b"250 AUTH CRAM-MD5", b"354 go on", b"334 ", b"334 !!!", b"334 w6TDtg==", b"235 in"),
    *(b"451 later", b"550 no", b"421 bye", b"999 what", b"-12 what", b"2", b"", b"25\xff no", b"250 \xff\xfe\x00\x1b"),
    *(b"250-", b"x" * 9000, b"250 " + b"y" * 9000),
)
"""What a host may say, now and then rightly."""
ENDS = (b"\r\n", b"\n", b"\r", b"", b"\r\n\r\n")


def said(chance: random.Random) -> bytes:
    """Return what a host says at one time; the right line ends are the usual ones."""
    return b"".join(
        chance.choice(LINES) + (b"\r\n" if chance.random() < 0.9 else chance.choice(ENDS))
        for _ in range(chance.choice((1, 1, 1, 2, 3)))
    )


@pytest.mark.soak
async def test_no_answer_makes_anything_but_a_reason(far: FarSide, soak: bool, soak_seed: int) -> None:
    chance = random.Random(soak_seed)
    offered = b"250-far.example\r\n250-AUTH CRAM-MD5 PLAIN\r\n250 SIZE 9999999\r\n"
    usual = (b"220 hello\r\n", offered, b"235 in\r\n", b"250 ok\r\n")

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        good = chance.randrange(5)
        with suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            for step in range(9):
                writer.write(usual[min(step, 3)] if step < good else said(chance))
                await writer.drain()
                if not await reader.readline():
                    break
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=far.authority.context("localhost"))
    async with server:
        port = server.sockets[0].getsockname()[1]
        postman = await far.by_smarthost(port, tls="implicit", user="gateway", password="very-secret", timeout=1)

        async def once() -> str:
            try:
                await postman.send(mail(attachments=()), protection="require-verified")
            except NotCarried as fault:
                assert fault.code.startswith("mail.") and str(fault).isprintable() and len(str(fault)) < 300
                return fault.code
            return "carried"

        codes = set()
        for _ in range(50 if soak else 1):
            codes |= set(await asyncio.gather(*(once() for _ in range(8))))
        await postman.close()
    assert codes & {"mail.unreachable", "mail.deferred", "mail.sign_in", "mail.refused"}
