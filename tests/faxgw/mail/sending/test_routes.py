"""Mail straight to the hosts of its domain: what proves them, and what goes to those that nothing proves."""

from datetime import timedelta
from typing import Any

import pytest

from faxgw.delivery.carrier import NotProtected, Refused, Unreachable
from tests.faxgw.mail.sending.authority import SHOWN, Authority, tlsa
from tests.faxgw.mail.sending.far_hosts import Host
from tests.faxgw.mail.sending.far_side import FarSide, mail

pytestmark = pytest.mark.requirement("WF-16")

OWN, FOREIGN = "mx.clinic.example", "mx.elsewhere.test"


def certificate(far: FarSide, which: str, name: str) -> dict[str, Any]:
    match which:
        case "good":
            return {}
        case "expired":
            return {"context": far.authority.context(name, ends=timedelta(days=-1))}
        case "self-signed":
            return {"context": far.authority.context(name, self_signed=True)}
        case "another name":
            return {"context": far.authority.context("wrong.test")}
    raise AssertionError(which)


BAD = ("expired", "self-signed", "another name")

# ------------------------------------------------------------------------------------------ the own name, and DNSSEC


@pytest.mark.requirement("WF-06")
async def test_a_host_below_its_domain_is_proven_by_its_certificate(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", OWN)
    proof = await (await far.direct()).send(mail(), protection="require-verified", rule="default")
    assert proof.verified and proof.decision == "require-verified by default: own-name"
    assert len(host.messages) == 1


async def test_a_domain_without_mx_is_its_own_host(far: FarSide) -> None:
    host = await far.of_domain("x.test", "clinic.example")
    far.zones.records["clinic.example", "A"] = ["127.0.0.1"]
    proof = await (await far.direct()).send(mail(), protection="require-verified")
    assert proof.verified and len(host.messages) == 1


async def test_a_host_with_another_name_may_be_anybody_s(far: FarSide) -> None:
    """Whoever answers for the DNS can name a host of their own, with a perfect certificate."""
    host = await far.of_domain("clinic.example", FOREIGN)
    postman = await far.direct()
    with pytest.raises(NotProtected, match="nothing proves"):
        await postman.send(mail(), protection="require-verified")
    assert not host.connections
    proof = await postman.send(mail(), protection="require-encrypted", rule="domain clinic.example")
    assert not proof.verified and proof.protocol == "TLSv1.3"
    assert proof.decision == "require-encrypted by domain clinic.example: encrypted, not verified"


async def test_nobody_is_asked_for_tls_all_the_way_who_may_be_anybody(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN, extensions=("REQUIRETLS",))
    await (await far.direct()).send(mail(), protection="require-encrypted")
    assert host.envelopes[0][0] == "MAIL FROM:<fax@gateway.example>"


@pytest.mark.parametrize("name", ["clinic.example.evil.test", "evilclinic.example"])
async def test_a_name_that_only_looks_like_the_domain_proves_nothing(far: FarSide, name: str) -> None:
    host = await far.of_domain("clinic.example", name)
    with pytest.raises(NotProtected):
        await (await far.direct()).send(mail(), protection="require-verified")
    assert not host.connections


@pytest.mark.parametrize("which", BAD)
async def test_a_bad_certificate_proves_nothing(far: FarSide, which: str) -> None:
    host = await far.of_domain("clinic.example", OWN, **certificate(far, which, OWN))
    postman = await far.direct()
    with pytest.raises(NotProtected, match="certificate is not valid"):
        await postman.send(mail(), protection="require-verified")
    assert not host.messages and not host.inside
    assert not (await postman.send(mail(), protection="require-encrypted")).verified
    assert len(host.messages) == 1


async def test_a_host_that_dnssec_vouches_for_is_proven_by_its_name(far: FarSide) -> None:
    await far.of_domain("clinic.example", FOREIGN)
    far.zones.secure = {"clinic.example"}
    proof = await (await far.direct()).send(mail(), protection="require-verified")
    assert proof.decision.endswith("dnssec")


# ------------------------------------------------------------------------------------------------------------ MTA-STS


async def test_a_policy_proves_hosts_with_other_names(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN)
    far.policy("clinic.example", "*.elsewhere.test")
    postman = await far.direct()
    for _ in range(2):
        proof = await postman.send(mail(), protection="require-verified")
        assert proof.verified and proof.decision.endswith(": mta-sts")
    assert len(host.messages) == 2
    assert far.policies.fetched == ["mta-sts.clinic.example"], "a policy is kept"


@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted", "link-only"])
@pytest.mark.parametrize("which", BAD)
async def test_an_enforced_policy_is_obeyed_whatever_is_asked(far: FarSide, protection: Any, which: str) -> None:
    host = await far.of_domain("clinic.example", OWN, **certificate(far, which, OWN))
    far.policy("clinic.example", OWN)
    with pytest.raises(NotProtected):
        await (await far.direct()).send(mail(attachments=()), protection=protection)
    assert not host.messages and not host.inside


async def test_a_mail_host_is_not_told_that_we_speak_http(far: FarSide) -> None:
    """Fetching a policy sets what HTTP wants; a mail host that takes ALPN at its word would refuse the handshake."""
    host = await far.of_domain("clinic.example", FOREIGN)
    far.policy("clinic.example", FOREIGN)
    assert host.context is not None
    host.context.set_alpn_protocols(["http/1.1"])
    await (await far.direct()).send(mail(), protection="require-verified")
    assert len(host.messages) == 1 and host.protocols == [None]


async def test_a_host_that_an_enforced_policy_does_not_name_gets_nothing(far: FarSide) -> None:
    evil = await far.of_domain("clinic.example", "mx.evil.clinic.example", preference=5)
    good = await far.of_domain("clinic.example", OWN, preference=10, last=2)
    far.policy("clinic.example", OWN)
    await (await far.direct()).send(mail(), protection="require-encrypted")
    assert not evil.connections and len(good.messages) == 1
    far.policies.texts["mta-sts.clinic.example"] = (
        "version: STSv1\nmode: enforce\nmx: mx2.clinic.example\nmax_age: 60\n"
    )
    with pytest.raises(NotProtected, match="names in its policy"):
        await (await far.direct()).send(mail(), protection="require-encrypted")


async def test_a_policy_in_testing_proves_but_does_not_forbid(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN, **certificate(far, "expired", FOREIGN))
    far.policy("clinic.example", FOREIGN, mode="testing")
    postman = await far.direct()
    with pytest.raises(NotProtected):
        await postman.send(mail(), protection="require-verified")
    await postman.send(mail(), protection="require-encrypted")
    host.context = far.authority.context(FOREIGN)
    await postman.close()
    assert (await postman.send(mail(), protection="require-verified")).decision.endswith("mta-sts")


async def test_a_policy_holds_when_somebody_silences_the_dns(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN)
    far.policy("clinic.example", FOREIGN)
    postman = await far.direct()
    await postman.send(mail(), protection="require-encrypted")
    del far.zones.records["_mta-sts.clinic.example", "TXT"]
    far.zones.broken.add(("_mta-sts.clinic.example", "TXT"))
    host.context = far.authority.context("wrong.test")
    await postman.close()
    _forget(postman)
    with pytest.raises(NotProtected):
        await postman.send(mail(), protection="require-encrypted")


async def test_a_policy_with_a_new_id_is_fetched_anew(far: FarSide) -> None:
    await far.of_domain("clinic.example", FOREIGN)
    far.policy("clinic.example", "mx.old.test")
    postman = await far.direct()
    with pytest.raises(NotProtected):
        await postman.send(mail(), protection="require-verified")
    far.policy("clinic.example", FOREIGN, id_="2")
    _forget(postman)
    await postman.send(mail(), protection="require-verified")
    assert len(far.policies.fetched) == 2


GOOD = "version: STSv1\nmode: enforce\nmx: mx.elsewhere.test\nmax_age: 60\n"


@pytest.mark.parametrize(
    "text",
    [
        "version: STSv1\nmode: enforce\nmx: mx.elsewhere.test\n",
        "version: STSv2\nmode: enforce\nmx: mx.elsewhere.test\nmax_age: 60\n",
        "version: STSv1\nmode: enforce\nmax_age: 60\n",
        "version: STSv1\nmode: perhaps\nmx: mx.elsewhere.test\nmax_age: 60\n",
        "HTTP/1.1 301 Moved\r\nLocation: https://other.example/\r\nContent-Length: 0\r\n\r\n",
        GOOD + "x: y\n" * 20_000,
        f"HTTP/1.1 404 No\r\nContent-Length: {len(GOOD)}\r\n\r\n{GOOD}",
        "",
    ],
)
async def test_what_is_no_policy_proves_nothing(far: FarSide, text: str) -> None:
    host = await far.of_domain("clinic.example", FOREIGN)
    far.policy("clinic.example", FOREIGN)
    far.policies.texts["mta-sts.clinic.example"] = text
    with pytest.raises(NotProtected, match="nothing proves"):
        await (await far.direct()).send(mail(), protection="require-verified")
    assert not host.connections and len(far.policies.fetched) == 1


async def test_a_policy_from_a_server_with_another_s_certificate_is_none(far: FarSide) -> None:
    host = await far.of_domain("third.example", FOREIGN)  # the HTTPS server has no certificate for this one
    far.policy("third.example", FOREIGN)
    with pytest.raises(NotProtected, match="nothing proves"):
        await (await far.direct()).send(mail("fax@third.example"), protection="require-verified")
    assert not host.connections and not far.policies.fetched


# --------------------------------------------------------------------------------------------------------------- DANE


def recorded(far: FarSide, host: Host, name: str, **how: int) -> None:
    """Put what a host shows into its zone, validated."""
    assert host.context is not None
    certificate = far.authority.certificate if how.get("usage") == 2 else SHOWN[host.context]
    far.zones.records[f"_{far.smtp}._tcp.{name}", "TLSA"] = [tlsa(certificate, **how)]
    far.zones.secure = {"clinic.example", "elsewhere.test"}


DANE = [{"usage": 3, "selector": selector, "matching": matching} for selector in (0, 1) for matching in (0, 1, 2)] + [
    {"usage": 2, "selector": selector, "matching": matching} for selector in (0, 1) for matching in (0, 1, 2)
]


@pytest.mark.parametrize("how", DANE, ids=lambda how: " ".join(map(str, how.values())))
async def test_a_certificate_that_its_zone_vouches_for_is_proven_without_an_authority(
    far: FarSide, how: dict[str, int]
) -> None:
    own = Authority(far.folder, "private")
    host = await far.of_domain("clinic.example", FOREIGN, context=own.context(FOREIGN))
    far.authority = own
    recorded(far, host, FOREIGN, **how)
    proof = await (await far.direct(trust=None)).send(mail(), protection="require-verified")
    assert proof.verified and proof.decision.endswith(": dane")


@pytest.mark.parametrize("protection", ["require-verified", "require-encrypted"])
@pytest.mark.parametrize("usage", [2, 3])
async def test_a_certificate_that_its_zone_does_not_know_gets_nothing(
    far: FarSide, protection: Any, usage: int
) -> None:
    """Even if it is for that name and by an authority that everybody believes."""
    host = await far.of_domain("clinic.example", OWN)
    recorded(far, host, OWN, usage=usage)
    host.context = far.authority.context(OWN)
    if usage == 2:
        another = Authority(far.folder, "another")
        far.zones.records[f"_{far.smtp}._tcp.{OWN}", "TLSA"] = [tlsa(another.certificate, usage=2)]
    with pytest.raises(NotProtected, match="DANE"):
        await (await far.direct()).send(mail(), protection=protection)
    assert not host.messages and not host.inside


async def test_an_authority_of_the_zone_vouches_for_the_right_name_only(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", OWN, context=far.authority.context("wrong.test"))
    recorded(far, host, OWN, usage=2)
    with pytest.raises(NotProtected, match="DANE"):
        await (await far.direct()).send(mail(), protection="require-encrypted")


async def test_records_that_nobody_validated_are_not_used(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN)
    recorded(far, host, FOREIGN)
    far.zones.secure = set()
    with pytest.raises(NotProtected, match="nothing proves"):
        await (await far.direct()).send(mail(), protection="require-verified")
    assert not any(kind == "TLSA" for _, kind in far.zones.asked)


async def test_a_zone_that_does_not_say_its_records_may_be_hiding_them(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", OWN)
    far.zones.secure = {"clinic.example"}
    far.zones.broken.add((f"_{far.smtp}._tcp.{OWN}", "TLSA"))
    with pytest.raises(Unreachable) as told:
        await (await far.direct()).send(mail(), protection="require-encrypted")
    assert told.value.code == "mail.dns" and not host.connections


async def test_records_that_are_not_for_mail_prove_nothing(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", FOREIGN)
    recorded(far, host, FOREIGN, usage=1)
    assert (await (await far.direct()).send(mail(), protection="require-verified")).decision.endswith("dnssec")


# -------------------------------------------------------------------------------------------------------- which hosts


async def test_hosts_are_tried_in_the_order_of_their_domain(far: FarSide) -> None:
    backup = await far.of_domain("clinic.example", "mx2.clinic.example", preference=20, last=2)
    first = await far.of_domain("clinic.example", OWN, preference=10)
    postman = await far.direct()
    await postman.send(mail(), protection="require-verified")
    assert len(first.messages) == 1 and not backup.connections
    first.answers = {"MAIL": "451 4.3.0 later"}
    await postman.send(mail(), protection="require-verified")
    assert len(backup.messages) == 1


async def test_a_refusal_for_good_is_not_taken_to_the_next_host(far: FarSide) -> None:
    await far.of_domain("clinic.example", OWN, preference=10, answers={"RCPT": "550 5.1.1 nobody"})
    backup = await far.of_domain("clinic.example", "mx2.clinic.example", preference=20, last=2)
    with pytest.raises(Refused, match=r"mx\.clinic\.example answers 550 5\.1\.1 nobody"):
        await (await far.direct()).send(mail(), protection="require-verified")
    assert not backup.connections


async def test_a_host_without_tls_is_passed_over_for_one_that_has_it(far: FarSide) -> None:
    bare = await far.of_domain("clinic.example", OWN, preference=10, strips=True)
    good = await far.of_domain("clinic.example", "mx2.clinic.example", preference=20, last=2)
    await (await far.direct()).send(mail(), protection="require-verified")
    assert not bare.messages and len(good.messages) == 1


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ({("clinic.example", "MX"): ["0 ."]}, "mail.domain"),
        ({}, "mail.domain"),
    ],
)
async def test_a_domain_that_takes_no_mail_is_told(far: FarSide, records: dict[Any, Any], code: str) -> None:
    far.zones.records = records
    with pytest.raises(Refused) as told:
        await (await far.direct()).send(mail(), protection="require-verified")
    assert told.value.code == code


async def test_a_dns_that_does_not_answer_is_asked_again_later(far: FarSide) -> None:
    far.zones.broken.add(("clinic.example", "MX"))
    with pytest.raises(Unreachable) as told:
        await (await far.direct()).send(mail(), protection="require-verified")
    assert told.value.code == "mail.dns"


async def test_a_domain_cannot_lead_into_the_operator_s_own_network(far: FarSide) -> None:
    host = await far.of_domain("clinic.example", OWN)
    postman = await far.direct()
    postman = type(postman)(_closed(far), _ports(far))
    with pytest.raises(Refused, match="private or reserved") as told:
        await postman.send(mail(), protection="require-encrypted")
    assert told.value.code == "mail.address" and not host.connections


async def test_a_long_answer_of_the_dns_is_read_by_tcp(far: FarSide) -> None:
    await far.of_domain("clinic.example", OWN)
    far.zones.records["clinic.example", "MX"] += [f"{50 + n} mx{n}.{'x' * 50}.clinic.example." for n in range(30)]
    await (await far.direct()).send(mail(), protection="require-verified")


def _closed(far: FarSide) -> Any:
    from faxgw.config import Config  # noqa: PLC0415

    whole = far.config(direct=True)
    return Config.model_validate({**whole.model_dump(), "delivery": {}})


def _ports(far: FarSide) -> Any:
    from faxgw.mail.sending.postman import Ports  # noqa: PLC0415

    return Ports(dns=far.zones.port, smtp=far.smtp, https=far.policies.port)


def _forget(postman: Any) -> None:
    """Let what the DNS said run out."""
    postman._direct.names._resolver().cache.flush()
