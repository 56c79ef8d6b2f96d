"""Where an identity provider lets people in: its own tenants, and no other that they belong to."""

from collections.abc import Mapping, Sequence
from typing import Any

from faxgw.config import Config
from faxgw.config.oidc import OidcSettings

Row = Mapping[Any, Any]


def provider_of(config: Config, name: str) -> OidcSettings | None:
    """Return the provider of that name; None: there is none, or none any more."""
    return next((each for each in config.oidc if each.name == name), None)


def may_enter(config: Config, provider: str | None, tenant: str) -> bool:
    """Tell whether a session may be in a tenant, given by name; ``provider`` is None where none vouched."""
    if provider is None:
        return True
    found = provider_of(config, provider)
    return found is not None and tenant in found.tenants


def reachable(config: Config, provider: str | None, memberships: Sequence[Row]) -> list[Row]:
    """Return the memberships, of those with the tenant's name as ``tenant``, that a session may be in."""
    return [row for row in memberships if may_enter(config, provider, row["tenant"])]
