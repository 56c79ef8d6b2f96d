"""How mail with faxes must be protected on its way, and what a tenant has said of agreements about it."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from faxgw.rules.model import Rules

Protection = Literal["require-verified", "require-encrypted", "link-only"]
"""``require-verified``: the content goes over TLS to a host that was proven to be the right one; ``require-encrypted``:
over TLS to whoever answers; ``link-only``: never, a notice says that there is a fax. Nothing ever goes in clear."""

DomainPattern = Annotated[
    str,
    Field(
        max_length=255,
        pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        description="A mail domain in small letters, in ASCII (`xn--...` where it has others), or `*.example.com` for "
        "all below one.",
        examples=["clinic.example"],
    ),
]


class DomainProtection(Rules):
    """What holds for mail to one domain."""

    domain: DomainPattern
    protection: Protection = Field(
        description="`require-verified`, `require-encrypted` or `link-only`, as for the whole tenant."
    )


class Agreement(Rules):
    """A business associate agreement (HIPAA), as it is on record."""

    partner: str = Field(
        min_length=1, max_length=200, description="With whom it was made.", examples=["Example Hosting Ltd."]
    )
    signed_on: date = Field(description="The day on which it was signed.", examples=["2026-02-01"])
    reference: str = Field(
        default="", max_length=200, description="Where it is filed, such as the number of a contract."
    )


class MailPolicy(Rules):
    """How mail to and from a tenant is protected."""

    protection: Protection = Field(
        default="require-verified",
        description="How the way of a fax to a mailbox must be protected: TLS to the right host, proven "
        "(`require-verified`), TLS to whoever answers (`require-encrypted`), or the fax stays here and the mail only "
        "says that it came (`link-only`). A way that cannot do it gets no content. Nothing ever goes without TLS.",
    )
    domains: tuple[DomainProtection, ...] = Field(
        default=(),
        max_length=1000,
        description="Domains for which something else holds; the most exact entry is taken.",
    )
    hipaa: bool = Field(
        default=False,
        description="Faxes are health records (HIPAA): content goes only to mailboxes whose operator is said to have "
        "signed a business associate agreement (`baa_attested`), and only verified; the others get a mail that says "
        "that a fax came. Needs `baa`.",
    )
    baa: Agreement | None = Field(
        default=None,
        description="The agreement between the tenant and whoever runs this gateway; null: none is on record.",
    )
    clear_credentials: Literal["revoke", "tell"] = Field(
        default="revoke",
        description="When a device sends its secret without TLS: revoke the secret and tell the owners (`revoke`), or "
        "only tell them (`tell`).",
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.hipaa and self.baa is None:
            raise ValueError("hipaa needs the agreement on record: give baa")
        names = [each.domain for each in self.domains]
        if len(set(names)) < len(names):
            raise ValueError("a domain is there twice in domains")
        return self

    def required(
        self, address: str, *, target: Protection | None = None, baa_attested: bool = False
    ) -> tuple[Protection, str]:
        """Return what holds for content to an address, and by which rule, in a few words for the record.

        Args:
            address: where the mail goes, whole.
            target: what is laid down for this mailbox itself.
            baa_attested: its operator is said to have signed a business associate agreement.
        """
        if self.hipaa and not baa_attested:
            return "link-only", "hipaa"
        found, rule = (target, "target") if target else self._by_domain(ascii_domain(address))
        if self.hipaa and found == "require-encrypted":
            return "require-verified", "hipaa"
        return found, rule

    def _by_domain(self, domain: str) -> tuple[Protection, str]:
        best = _most_exact((each for each in self.domains), domain)
        return (best.protection, f"domain {best.domain}") if best else (self.protection, "default")


def ascii_domain(address: str) -> str:
    """Return the domain of an address in the form in which it is looked up, in small letters.

    Raises:
        ValueError: if it is none.

    >>> ascii_domain("fax@Ärzte.example")
    'xn--rzte-koa.example'
    """
    domain = address.rpartition("@")[2].rstrip(".")
    if not domain or any(sign.isspace() or not sign.isprintable() for sign in domain):
        raise ValueError("the address has no domain")
    return domain.encode("idna").decode("ascii").lower()


def _most_exact(entries: Iterable[DomainProtection], domain: str) -> DomainProtection | None:
    fitting = [each for each in entries if _fits(each.domain, domain)]
    return max(fitting, key=lambda each: (not each.domain.startswith("*"), len(each.domain)), default=None)


def _fits(pattern: str, domain: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith("*.") else domain == pattern
