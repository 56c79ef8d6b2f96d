"""The settings of one identity provider."""

import re
from typing import Annotated, Literal

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer

from faxgw.documented import Documented


def _issuer(url: str) -> str:
    parts = httpx.URL(url)
    if parts.scheme != "https" or not parts.host or parts.query or parts.fragment or parts.userinfo:
        raise ValueError("it is an https address without query, exactly as the provider writes it in its tokens")
    return url


def _domain(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", name):
        raise ValueError("it is what stands after the @ of mail addresses, in small letters")
    return name


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]


class OidcSettings(Documented, BaseModel):
    """An identity provider (OpenID Connect) by which members of some tenants sign in; any number of these tables."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["company"])]
    """What it is called in addresses: GET /v1/sessions/oidc/NAME."""
    issuer: Annotated[str, AfterValidator(_issuer), Field(examples=["https://login.example.com"])]
    """Its address, under which /.well-known/openid-configuration lies; fetched by the rules for webhooks."""
    client_id: Annotated[str, Field(min_length=1, max_length=200, examples=["faxgw"])]
    """What it calls this gateway."""
    client_secret_env: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]*$", examples=["COMPANY_CLIENT_SECRET"])] = ""
    """The variable of the environment that has the secret; empty for a public client, which has PKCE only."""
    tenants: Annotated[frozenset[str], Field(min_length=1, examples=[["acme"]])]
    """Names of the tenants whose members it lets in. A session by it never gets into another tenant."""
    domains: Annotated[frozenset[Annotated[str, AfterValidator(_domain)]], Field(examples=[["example.com"]])] = (
        frozenset()
    )
    """Domains of mail addresses that it is believed about; any, if none is named."""
    scopes: Annotated[tuple[str, ...], Field(min_length=1)] = ("openid", "email")
    """What it is asked for."""
    email_claim: Annotated[str, Field(min_length=1)] = "email"
    """The claim that has the mail address."""
    verified_claim: Annotated[str, Field(min_length=1)] = "email_verified"
    """The claim that must be true, and says that the address is the person's."""
    algorithms: Annotated[frozenset[Algorithm], Field(min_length=1)] = frozenset({"RS256", "ES256"})
    """How its tokens may be signed."""
    invite: bool = False
    """Whether somebody with a verified address who is no member is invited as one; only with a single tenant."""

    @field_serializer("tenants", "domains", "algorithms")
    def _in_order(self, several: frozenset[str]) -> list[str]:
        return sorted(several)
