"""A webhook's secret as it is stored: sealed under the server's key, bound to its webhook."""

from uuid import UUID

from faxgw.keys.tokens import ServerKeys


def sealed(keys: ServerKeys, webhook_id: UUID, secret: bytes) -> bytes:
    """Return what is stored."""
    return keys.seal_small(secret, context=_context(webhook_id))


def opened(keys: ServerKeys, webhook_id: UUID, stored: bytes) -> bytes:
    """Return the secret.

    Raises:
        SmallSealBroken: if it was sealed for another webhook, or by another server.
    """
    return keys.open_small(stored, context=_context(webhook_id))


def _context(webhook_id: UUID) -> bytes:
    return b"webhook" + webhook_id.bytes
