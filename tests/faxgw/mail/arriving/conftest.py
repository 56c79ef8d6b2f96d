"""A gateway with one tenant's owner, and devices of theirs."""

from tests.faxgw.api.conftest import app, client, connect, gateway, owner, settings

__all__ = ["app", "client", "connect", "gateway", "owner", "settings"]
