"""A tenant of several people, whose clients speak to the API of one gateway."""

from tests.faxgw.api.conftest import app, client, connect, gateway, owner, settings

__all__ = ["app", "client", "connect", "gateway", "owner", "settings"]
