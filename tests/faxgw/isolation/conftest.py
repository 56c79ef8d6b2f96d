"""A gateway of which nothing runs, clients of its API, and two tenants that have one of everything each."""

from tests.faxgw.api.conftest import app, connect, gateway, owner, settings

__all__ = ["app", "connect", "gateway", "owner", "settings"]
