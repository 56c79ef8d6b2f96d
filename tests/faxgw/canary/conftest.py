"""A gateway of which nothing runs, and clients of its API, for what needs no started service."""

from tests.faxgw.api.conftest import app, client, connect, gateway, owner, settings

__all__ = ["app", "client", "connect", "gateway", "owner", "settings"]
