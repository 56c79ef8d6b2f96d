"""What holds for mail to an address: the strictest, by tenant, domain and mailbox."""

import pytest
from pydantic import ValidationError

from faxgw.rules.mail import Agreement, DomainProtection, MailPolicy

BAA = Agreement(partner="Example Hosting Ltd.", signed_on="2026-02-01")  # type: ignore[arg-type]  # as in JSON


def policy(**domains: str) -> MailPolicy:
    """Return one for some domains, with ``_`` for what a name cannot have."""
    named = {name.replace("__", "*.").replace("_", "."): each for name, each in domains.items()}
    return MailPolicy(
        domains=tuple(DomainProtection.model_validate({"domain": n, "protection": p}) for n, p in named.items())
    )


@pytest.mark.requirement("WF-06")
def test_content_goes_verified_where_nobody_says_otherwise() -> None:
    assert MailPolicy().required("fax@clinic.example") == ("require-verified", "default")


@pytest.mark.requirement("WF-06")
@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("a@clinic.example", ("require-encrypted", "domain clinic.example")),
        ("a@Clinic.EXAMPLE.", ("require-encrypted", "domain clinic.example")),
        ("a@x.clinic.example", ("link-only", "domain *.clinic.example")),
        ("a@y.example", ("require-verified", "domain *.example")),
        ("a@badclinic.example.com", ("require-verified", "default")),
        ("clinic.example@other.test", ("require-verified", "default")),
        ('"a@clinic.example"@other.test', ("require-verified", "default")),
    ],
)
def test_the_most_exact_domain_is_taken(address: str, expected: tuple[str, str]) -> None:
    rules = policy(__example="require-verified", clinic_example="require-encrypted", __clinic_example="link-only")
    assert rules.required(address) == expected


def test_a_domain_with_other_letters_is_known_by_its_ascii_form() -> None:
    rules = MailPolicy(domains=(DomainProtection(domain="xn--rzte-koa.example", protection="link-only"),))
    assert rules.required("fax@Ärzte.example")[0] == "link-only"


def test_a_mailbox_has_rules_of_its_own() -> None:
    rules = policy(clinic_example="require-encrypted")
    assert rules.required("a@clinic.example", target="link-only") == ("link-only", "target")


@pytest.mark.requirement("WF-15")
def test_health_records_need_an_agreement_on_record() -> None:
    with pytest.raises(ValidationError, match="hipaa needs the agreement"):
        MailPolicy(hipaa=True)


@pytest.mark.requirement("WF-15")
def test_health_records_go_by_mail_to_attested_mailboxes_only_and_verified() -> None:
    rules = MailPolicy(hipaa=True, baa=BAA)
    assert rules.required("a@b.example", target="require-verified") == ("link-only", "hipaa")
    assert rules.required("a@b.example", baa_attested=True) == ("require-verified", "default")
    assert rules.required("a@b.example", target="require-encrypted", baa_attested=True) == ("require-verified", "hipaa")
    assert rules.required("a@b.example", target="link-only", baa_attested=True)[0] == "link-only"


@pytest.mark.parametrize(
    "wrong",
    ["", "*", "a b.example", "UPPER.example", "-a.example", "a..example", "a@b.example", "*.*.example", "é.example"],
)
def test_what_is_no_domain_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        DomainProtection(domain=wrong, protection="link-only")


def test_a_domain_is_named_once() -> None:
    twice = DomainProtection(domain="a.example", protection="link-only")
    with pytest.raises(ValidationError, match="twice"):
        MailPolicy(domains=(twice, twice))


@pytest.mark.parametrize("wrong", ["a@", "a@b\r\nc", "a@b c", "a@" + "x" * 70 + ".example"])
def test_an_address_without_a_domain_has_no_rule(wrong: str) -> None:
    with pytest.raises(ValueError):
        MailPolicy().required(wrong)
