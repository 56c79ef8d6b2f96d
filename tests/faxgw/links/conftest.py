"""A tenant whose faxes leave by links, and clients of its API."""

from tests.faxgw.api.conftest import app, client, connect, gateway, owner, settings

__all__ = ["app", "client", "connect", "gateway", "owner", "settings"]
