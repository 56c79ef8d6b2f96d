"""Mail to Postfix: with TLS it has all of it, and its own log says under which; without, nothing was even begun."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from faxgw.delivery.carrier import NotProtected, Refused
from tests.faxgw.mail.sending.authority import shown, tlsa
from tests.faxgw.mail.sending.far_side import PAGE, FarSide, far_side, mail
from tests.faxgw.mail.sending.reading import read
from tests.interop.postfix import Postfix, running

pytestmark = [pytest.mark.interop, pytest.mark.requirement("WF-16")]


@pytest_asyncio.fixture
async def far(tmp_path: Path) -> AsyncIterator[FarSide]:
    async with far_side(tmp_path) as made:
        yield made


def nothing_begun(postfix: Postfix, *, tries: int = 1) -> None:
    """Look into its log: nobody has named a sender or signed in."""
    postfix.await_said("disconnect from", times=1 + tries)  # the first is whoever waited for it to start
    counts = re.findall(r"disconnect from \S+ (.*)", postfix.log)
    assert not re.search(r"\b(mail|rcpt|data|auth)=", "\n".join(counts)), counts
    assert not postfix.messages()


@pytest.mark.requirement("XM-17")
async def test_postfix_has_a_whole_message_and_says_which_tls_it_came_under(
    postfix_program: Path, far: FarSide
) -> None:
    with running(postfix_program, chain=far.authority.chain("localhost")) as postfix:
        postman = await far.by_smarthost(postfix.port)
        sent = [mail(text=f"{n}\r\n.\r\nFrom me\n..") for n in range(3)]
        proofs = [await postman.send(each, protection="require-verified") for each in sent]
        messages = [read(each) for each in await asyncio.to_thread(postfix.await_messages, 3)]
    assert {each["Message-ID"] for each in messages} == {f"<{each.id}@gateway.example>" for each in sent}
    for each in messages:
        (attached,) = each.iter_attachments()
        assert attached.get_content() == PAGE
        assert f"(using {proofs[0].protocol} with cipher {proofs[0].cipher}" in " ".join(each["Received"].split())
    assert all("queued as" in each.reference and each.verified for each in proofs)


async def test_postfix_without_tls_gets_nothing(postfix_program: Path, far: FarSide) -> None:
    with running(postfix_program) as postfix:
        postman = await far.by_smarthost(postfix.port)
        for protection in ("require-verified", "require-encrypted", "link-only"):
            with pytest.raises(NotProtected):
                await postman.send(mail(attachments=()), protection=protection)
        await asyncio.to_thread(nothing_begun, postfix, tries=3)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other.example", {}),
        (
            "localhost",
            {
                "smtpd_tls_mandatory_protocols": "<=TLSv1.1",
                "smtpd_tls_mandatory_ciphers": "low",
                "tls_low_cipherlist": "ALL:@SECLEVEL=0",
            },
        ),
        ("localhost", {"smtpd_discard_ehlo_keywords": "starttls"}),
    ],
    ids=["another name", "old TLS", "STARTTLS hidden"],
)
async def test_postfix_that_is_not_proven_gets_nothing(
    postfix_program: Path, far: FarSide, name: str, options: dict[str, str]
) -> None:
    with running(postfix_program, chain=far.authority.chain(name), options=options) as postfix:
        with pytest.raises(NotProtected):
            await (await far.by_smarthost(postfix.port)).send(mail(), protection="require-verified")
        await asyncio.to_thread(nothing_begun, postfix)


async def test_postfix_is_proven_by_its_zone_where_no_authority_knows_it(postfix_program: Path, far: FarSide) -> None:
    chain = far.authority.chain("mx.elsewhere.test", self_signed=True)
    with running(postfix_program, chain=chain) as postfix:
        far.smtp = postfix.port
        far.zones.secure = {"clinic.example", "elsewhere.test"}
        far.zones.records = {
            ("clinic.example", "MX"): ["10 mx.elsewhere.test."],
            ("mx.elsewhere.test", "A"): [postfix.address],
            (f"_{postfix.port}._tcp.mx.elsewhere.test", "TLSA"): [tlsa(shown(chain))],
        }
        proof = await (await far.direct()).send(mail(), protection="require-verified")
        await asyncio.to_thread(postfix.await_messages, 1)
    assert proof.verified and proof.decision.endswith(": dane")


async def test_what_postfix_refuses_comes_with_its_words(postfix_program: Path, far: FarSide) -> None:
    options = {"smtpd_recipient_restrictions": "permit_mynetworks, reject", "smtpd_relay_restrictions": "reject"}
    with (
        running(postfix_program, chain=far.authority.chain("localhost"), options=options) as postfix,
        pytest.raises(Refused, match=r"localhost answers 554 5\.7\.1 .*Access denied") as told,
    ):
        await (await far.by_smarthost(postfix.port)).send(mail(), protection="require-verified")
    assert told.value.code == "mail.refused"
