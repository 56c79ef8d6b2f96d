"""Tenants with people who are told something."""

from tests.faxgw.api.conftest import app, client, connect, gateway, owner, settings

__all__ = ["app", "client", "connect", "gateway", "owner", "settings"]
