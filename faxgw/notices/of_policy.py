"""Owners and admins are told when switches of their policy were changed: which, from what, to what."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.notices.kinds import MOST
from faxgw.notices.telling import Role, notify

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_CHANGED = "(changed)"
"""What stands for a value of several, which may have numbers or names in it: it is in the policy itself."""


async def tell_of_policy(
    connection: AsyncConnection,
    tenant_id: UUID,
    changes: Mapping[str, Mapping[str, Any]],
    *,
    version: int,
    now: datetime,
) -> None:
    """Tell of a change of the policy, if it was one.

    Args:
        connection: the transaction that changes it.
        tenant_id: whose policy it is.
        changes: the fields that are not as they were: ``old`` and ``new``.
        version: of the policy, as it is now.
        now: the time.
    """
    old, new = (dict(_leaves("", changes[each])) for each in ("old", "new"))
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    said = [{"name": name, "old": _shown(old.get(name)), "new": _shown(new.get(name))} for name in changed]
    if said:
        data = {"changes": said[:MOST], "at": f"{now:%Y-%m-%d %H:%M} UTC"}
        await notify(connection, tenant_id, kind="policy", key=f"version {version}", to=Role.ADMINS, data=data)


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Go through what a policy lays down: ``mail.protection`` -> its value."""
    if not isinstance(value, Mapping) or not value:
        yield name, value
        return
    for inner, each in value.items():
        yield from _leaves(f"{name}.{inner}" if name else inner, each)


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int) or (isinstance(value, str) and _WORD.fullmatch(value)) else _CHANGED
