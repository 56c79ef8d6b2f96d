"""Mail over connections that can go wrong in every way: nothing of it leaves but under the TLS that was asked for."""

import asyncio
import ssl
from datetime import timedelta
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP as Server  # noqa: N811 (a server)
from aiosmtpd.smtp import AuthResult
from cryptography.hazmat.primitives.hashes import SHA256

from faxgw.config import Config
from faxgw.delivery.carrier import NotCarried, NotProtected, Refused, Unreachable
from faxgw.doctor import Level, Machine
from faxgw.doctor.mail import answers
from faxgw.mail.sending import postman as postman_module
from faxgw.mail.sending.postman import Postman
from tests.faxgw.mail.sending.authority import SHOWN, Authority
from tests.faxgw.mail.sending.far_side import PAGE, FarSide, file, mail
from tests.faxgw.mail.sending.reading import nothing_in_clear, read

# ------------------------------------------------------------------------------------------------------- the good way


@pytest.mark.requirement("XM-17", "WF-16")
@pytest.mark.parametrize("implicit", [False, True])
async def test_a_mail_goes_to_a_smarthost_under_tls_and_its_proof_says_which(far: FarSide, implicit: bool) -> None:
    host, port = await far.host(implicit=implicit)
    postman = await far.by_smarthost(port, tls="implicit" if implicit else "starttls")
    proof = await postman.send(mail(), protection="require-verified", rule="default")
    assert proof.protocol == "TLSv1.3" and proof.cipher.startswith("TLS_") and proof.verified
    assert host.context is not None
    assert proof.peer == SHOWN[host.context].fingerprint(SHA256()).hex()
    assert proof.decision == "require-verified by default: smarthost"
    assert proof.reference == "2.0.0 queued as 4711" and proof.place == "fax@clinic.example"
    message = read(host.messages[0])
    (attached,) = message.iter_attachments()
    assert attached.get_content() == PAGE and attached.get_filename() == "fax.tif"
    size = len(host.messages[0])
    assert host.envelopes == [(f"MAIL FROM:<fax@gateway.example> SIZE={size}", "RCPT TO:<fax@clinic.example>")]
    nothing_in_clear(host)


async def test_aiosmtpd_takes_mail_from_us_when_it_asks_for_tls_and_a_password(far: FarSide) -> None:
    taken: list[Any] = []

    class Keeping:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's)
            taken.append(envelope)
            return "250 kept"

    def let_in(_server: Any, _session: Any, _envelope: Any, _mechanism: str, auth: Any) -> AuthResult:
        return AuthResult(success=(auth.login, auth.password) == (b"gateway", b"very-secret"))

    def session() -> Server:
        rules: dict[str, Any] = {"require_starttls": True, "auth_required": True, "authenticator": let_in}
        return Server(Keeping(), hostname="far.example", tls_context=far.authority.context("localhost"), **rules)

    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    async with server:
        postman = await far.by_smarthost(server.sockets[0].getsockname()[1], user="gateway", password="very-secret")
        sent = mail(text=".\n..\n.x\nFrom me\n" * 50)
        proof = await postman.send(sent, protection="require-verified")
        await postman.close()
    assert proof.reference == "kept"
    (envelope,) = taken
    assert envelope.rcpt_tos == ["fax@clinic.example"]
    body = read(envelope.content).get_body()
    assert body is not None and body.get_content().splitlines() == sent.text.splitlines()


async def test_a_smarthost_is_signed_in_to_under_tls_only(far: FarSide) -> None:
    host, port = await far.host(extensions=("AUTH PLAIN LOGIN",), answers={"AUTH": "235 welcome"})
    postman = await far.by_smarthost(port, user="gateway", password="very-secret")
    await postman.send(mail(), protection="require-verified")
    assert b"AUTH PLAIN" in host.inside and b"AUTH" not in host.clear
    nothing_in_clear(host)


async def test_a_smarthost_that_does_not_let_us_in_is_asked_again_later(far: FarSide) -> None:
    host, port = await far.host(extensions=("AUTH PLAIN",), answers={"AUTH": "535 5.7.8 no"})
    postman = await far.by_smarthost(port, user="gateway", password="very-secret")
    with pytest.raises(Unreachable, match="does not let the gateway sign in") as told:
        await postman.send(mail(), protection="require-verified")
    assert told.value.code == "mail.sign_in" and "very-secret" not in str(told.value)
    assert not host.messages


async def test_a_smarthost_that_wants_to_know_who_we_are_speaks_of_us_not_of_the_mail(far: FarSide) -> None:
    _, port = await far.host(answers={"MAIL": "530 5.7.0 Authentication required"})
    with pytest.raises(Unreachable, match="530") as told:
        await (await far.by_smarthost(port)).send(mail(), protection="require-verified")
    assert told.value.code == "mail.sign_in"


async def test_a_gateway_without_a_way_says_so(far: FarSide) -> None:
    postman = Postman(Config.model_validate({"data_dir": far.folder}))
    with pytest.raises(Unreachable, match=r"neither mail\.smarthost nor mail\.direct") as told:
        await postman.send(mail(), protection="require-encrypted")
    assert told.value.code == "mail.no_route"


@pytest.mark.parametrize(
    ("how", "level", "words"),
    [
        ({}, Level.OK, "localhost answers under TLSv1.3 and lets us in"),
        ({"answers": {"AUTH": "535 no"}}, Level.BAD, "does not let the gateway sign in: no"),
        ({"strips": True}, Level.BAD, "cannot be used: localhost"),
    ],
)
async def test_the_doctor_asks_the_smarthost_and_sends_nothing(
    far: FarSide, how: dict[str, Any], level: Level, words: str
) -> None:
    host, port = await far.host(**{"extensions": ("AUTH PLAIN",), "answers": {"AUTH": "235 in"}, **how})
    config = far.config(smarthost="localhost", port=port, user="gateway", password="very-secret")
    (told,) = await asyncio.to_thread(lambda: list(answers(config, Machine())))
    assert (told.level, words in told.text) == (level, True)
    assert b"MAIL" not in host.inside and not host.messages


# ---------------------------------------------------------------------------------------------------- the wrong ways


OLD = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}


def weakened(context: ssl.SSLContext, *, ciphers: str, **versions: ssl.TLSVersion) -> ssl.SSLContext:
    context.set_ciphers(ciphers)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def wrong(name: str, far: FarSide) -> dict[str, Any]:
    """Return a host with which there is no good TLS."""
    good = far.authority.context("localhost")
    match name:
        case "strips STARTTLS":
            return {"strips": True}
        case "refuses STARTTLS":
            return {"refuses_tls": "454 4.7.0 TLS not available"}
        case "refuses STARTTLS with 250":
            return {"refuses_tls": "250 fine, go on"}
        case "refuses STARTTLS for good":
            return {"refuses_tls": "501 what?"}
        case "hangs up at the handshake":
            return {"hangs_up": "handshake"}
        case "answers the handshake in clear":
            return {"injected": b"250-far.example\r\n250 AUTH PLAIN\r\n" * 50, "hangs_up": "handshake"}
        case "old TLS":
            return {"context": weakened(good, ciphers="ALL:@SECLEVEL=0", **OLD)}
        case "no AEAD":
            return {
                "context": weakened(good, ciphers="ECDHE-ECDSA-AES256-SHA384", maximum_version=ssl.TLSVersion.TLSv1_2)
            }
        case "expired":
            return {"context": far.authority.context("localhost", ends=timedelta(days=-1))}
        case "another name":
            return {"context": far.authority.context("other.example")}
        case "self-signed":
            return {"context": far.authority.context("localhost", self_signed=True)}
        case "another authority":
            return {"context": Authority(far.folder, "another").context("localhost")}
    raise AssertionError(name)


NO_TLS = (
    "strips STARTTLS",
    "refuses STARTTLS",
    "refuses STARTTLS with 250",
    "refuses STARTTLS for good",
    "old TLS",
    "no AEAD",
)
HANGS_UP = ("hangs up at the handshake", "answers the handshake in clear")
WRONG_CERTIFICATE = ("expired", "another name", "self-signed", "another authority")


@pytest.mark.requirement("WF-16", "XM-17", "WF-11")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("name", [*NO_TLS, *HANGS_UP, *WRONG_CERTIFICATE])
@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted", "link-only"])
async def test_nothing_leaves_for_a_smarthost_that_is_not_proven(far: FarSide, name: str, protection: Any) -> None:
    host, port = await far.host(**wrong(name, far), extensions=("AUTH PLAIN",))
    postman = await far.by_smarthost(port, user="gateway", password="very-secret")
    with pytest.raises(Unreachable if name in HANGS_UP else NotProtected):
        await postman.send(mail(attachments=()), protection=protection)
    assert not host.messages and not host.inside
    assert b"very-secret" not in host.clear
    nothing_in_clear(host)


@pytest.mark.requirement("WF-16")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("name", [*NO_TLS, *HANGS_UP])
async def test_nothing_leaves_for_a_host_without_tls_however_little_is_asked(far: FarSide, name: str) -> None:
    host = await far.of_domain("clinic.example", "mx.elsewhere.test", **wrong(name, far))
    postman = await far.direct()
    with pytest.raises(Unreachable if name in HANGS_UP else NotProtected):
        await postman.send(mail(), protection="require-encrypted")
    assert not host.messages
    nothing_in_clear(host)


async def test_what_is_said_in_clear_behind_starttls_is_never_heard(far: FarSide) -> None:
    """An extension that somebody in the middle puts there is not believed: REQUIRETLS would be, if it were heard."""
    host, port = await far.host(injected=b"250-far.example\r\n250 REQUIRETLS\r\n")
    postman = await far.by_smarthost(port)
    try:
        await postman.send(mail(), protection="require-verified")
    except NotProtected:
        assert not host.messages
    assert b"REQUIRETLS" not in host.inside
    nothing_in_clear(host)


# ------------------------------------------------------------------------------------------- what the other side says


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "message"])
@pytest.mark.parametrize(
    ("code", "expected"), [("451", "mail.deferred"), ("550", "mail.refused"), ("421", "mail.deferred")]
)
async def test_the_other_side_s_words_come_with_its_answer(far: FarSide, verb: str, code: str, expected: str) -> None:
    host, port = await far.host(answers={verb: f"{code} 5.7.1 not\x07 today \x1b[31m"})
    postman = await far.by_smarthost(port)
    with pytest.raises(NotCarried, match=rf"localhost answers {code} 5\.7\.1 not today \[31m\.") as told:
        await postman.send(mail(), protection="require-verified")
    assert told.value.code == expected
    assert isinstance(told.value, Refused if code == "550" else Unreachable)
    nothing_in_clear(host)


@pytest.mark.parametrize("verb", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "message"])
async def test_a_host_that_breaks_off_is_tried_again_later(far: FarSide, verb: str) -> None:
    host, port = await far.host(hangs_up=verb)
    postman = await far.by_smarthost(port)
    with pytest.raises(Unreachable):
        await postman.send(mail(), protection="require-verified")
    assert not host.messages


async def test_a_host_that_says_nothing_is_not_waited_for(far: FarSide) -> None:
    async def silent_at(verb: str) -> None:
        host, port = await far.host(silent=verb, **({"refuses_tls": "-"} if verb == "STARTTLS" else {}))
        postman = await far.by_smarthost(port, timeout=1)
        with pytest.raises(Unreachable):
            await postman.send(mail(attachments=()), protection="require-verified")
        assert host.connections == 1

    async def dripping() -> None:
        host, port = await far.host(drips="RCPT")
        postman = await far.by_smarthost(port, timeout=1)
        with pytest.raises(Unreachable):
            await postman.send(mail(attachments=()), protection="require-verified")
        assert not host.messages

    async with asyncio.timeout(8):
        await asyncio.gather(*map(silent_at, ("greeting", "EHLO", "STARTTLS", "MAIL", "DATA", "message")), dripping())


@pytest.mark.parametrize("answer", ["banana", "25", "250-" + "x" * 9000, "-1 no", "999 no"])
async def test_a_host_that_does_not_speak_smtp_is_told(far: FarSide, answer: str) -> None:
    host, port = await far.host(answers={"RCPT": answer})
    postman = await far.by_smarthost(port, timeout=1)
    with pytest.raises(Unreachable) as told:
        await postman.send(mail(attachments=()), protection="require-verified")
    assert told.value.code == "mail.unreachable" and not host.messages


async def test_a_host_that_is_away_is_told(far: FarSide) -> None:
    _, port = await far.host()
    await far.stack.aclose()
    postman = await far.by_smarthost(port)
    with pytest.raises(Unreachable, match="cannot be connected to"):
        await postman.send(mail(), protection="require-verified")


async def test_a_message_that_is_too_large_is_not_begun(far: FarSide) -> None:
    host, port = await far.host(extensions=("SIZE 2000",))
    postman = await far.by_smarthost(port)
    with pytest.raises(Refused, match="takes messages of up to 2000 octets") as told:
        await postman.send(mail(), protection="require-verified")
    assert told.value.code == "mail.too_large" and b"MAIL" not in host.inside


# -------------------------------------------------------------------------------------------------------- connections


async def test_a_connection_is_used_again(far: FarSide) -> None:
    host, port = await far.host()
    postman = await far.by_smarthost(port)
    for _ in range(3):
        await postman.send(mail(), protection="require-verified")
    assert host.connections == 1 and len(host.messages) == 3


async def test_a_connection_that_the_other_side_closed_meanwhile_costs_no_mail(far: FarSide) -> None:
    host, port = await far.host()
    postman = await far.by_smarthost(port)
    await postman.send(mail(), protection="require-verified")
    host.hangs_up = "MAIL"
    with pytest.raises(Unreachable):
        await postman.send(mail(), protection="require-verified")
    host.hangs_up = ""
    await postman.send(mail(), protection="require-verified")
    assert len(host.messages) == 2


@pytest.mark.parametrize("by", ["time", "closing", "mails"])
async def test_a_connection_does_not_stay_open_for_ever(far: FarSide, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postman_module, "IDLE", 0.05 if by == "time" else 60)
    monkeypatch.setattr(postman_module, "MOST_MAILS", 1 if by == "mails" else 100)
    host, port = await far.host()
    postman = await far.by_smarthost(port)
    await postman.send(mail(), protection="require-verified")
    if by == "closing":
        await postman.close()
    async with asyncio.timeout(5):
        await host.gone.wait()


async def test_a_message_that_may_have_arrived_is_not_sent_again_at_once(far: FarSide) -> None:
    host, port = await far.host()
    postman = await far.by_smarthost(port)
    await postman.send(mail(), protection="require-verified")
    host.hangs_up = "message"
    with pytest.raises(Unreachable):
        await postman.send(mail(), protection="require-verified")
    assert host.connections == 1


async def test_one_host_has_few_connections_at_once(far: FarSide) -> None:
    host, port = await far.host(gate=asyncio.Event())
    postman = await far.by_smarthost(port)
    assert host.gate is not None
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        tasks = [group.create_task(postman.send(mail(), protection="require-verified")) for _ in range(9)]
        for _ in range(4):
            await host.at_gate.get()
        host.gate.set()
        await asyncio.gather(*tasks)
    assert host.most_open == 4 and len(host.messages) == 9


async def test_tls_is_asked_for_all_the_way_where_that_is_offered(far: FarSide) -> None:
    host, port = await far.host(extensions=("REQUIRETLS",))
    postman = await far.by_smarthost(port)
    await postman.send(mail(), protection="require-verified")
    await postman.send(mail(sensitive=False, attachments=()), protection="require-encrypted")
    assert [line[0] for line in host.envelopes] == [
        "MAIL FROM:<fax@gateway.example> REQUIRETLS",
        "MAIL FROM:<fax@gateway.example>",
    ]


async def test_no_content_goes_where_only_a_link_may(far: FarSide) -> None:
    host, port = await far.host()
    postman = await far.by_smarthost(port)
    with pytest.raises(Refused, match="No content goes"):
        await postman.send(mail(attachments=(file(),)), protection="link-only")
    assert not host.connections
