"""What is to be said of a device: that it has never signed in, speaks an older TLS, or has given its secret away."""

from collections.abc import Mapping
from typing import Any

OLDER = "TLSv1.2"


def findings(row: Mapping[Any, Any]) -> list[str]:
    """Return what is wrong with a device, of whose row of ``devices``; nothing: it is ready.

    >>> seen = {"exposed_at": None, "revoked_at": None, "enabled": True, "seen_at": 1, "seen_tls": "TLSv1.2 X"}
    >>> findings(seen), findings(seen | {"seen_tls": "TLSv1.3 X"})
    (['tls_1_2'], [])
    """
    said = {
        "exposed": row["exposed_at"] is not None,
        "never_connected": row["seen_at"] is None,
        "tls_1_2": row["seen_tls"].startswith(OLDER),
        "revoked": row["revoked_at"] is not None,
        "disabled": not row["enabled"],
    }
    return [name for name, holds in said.items() if holds]
