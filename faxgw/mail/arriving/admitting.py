"""May this device call this recipient? Asked at RCPT, by what its tenant had laid down a moment ago.

So a machine that hands in one fax after the other costs no transaction for each recipient. What was laid down since is
heeded all the same: what is taken over is judged anew, in the transaction that makes a fax of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from faxgw.devices.device import Device
from faxgw.errors import RequestError
from faxgw.faxes.accepting import admit_all, admit_from
from faxgw.faxes.policies import Lists, Tenant, all_lists, lists_for, tenant_of
from faxgw.mail.arriving.addressing import international, number_of
from faxgw.numbers import normalised, split_subaddress
from faxgw.store.database import Database

KNOWN = 2.0
"""Seconds for which what a tenant has laid down is not read again."""
MOST = 1000
"""Entries of a tenant's lists that are kept for so long; of longer ones, those for each number are read."""


@dataclass(frozen=True, slots=True)
class _LaidDown:
    tenant: Tenant
    lists: Lists | None
    at: float


class Admission:
    """Lets numbers pass, or not."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[UUID, _LaidDown] = {}

    async def admit(self, device: Device, local: str) -> None:
        """Let the number pass that is written before the @.

        Raises:
            RequestError: ``number.*``.
            DatabaseUnavailable: if it has to be read now what holds, and cannot be.
        """
        plain, _ = split_subaddress(_written(local))
        laid_down = await self._laid_down(device.tenant_id)
        tenant, lists = laid_down.tenant, laid_down.lists
        number = normalised(international(plain, tenant.numbering), tenant.numbering)
        if lists is None:
            async with self._database.tenant(tenant.id) as connection:
                lists = await lists_for(connection, tenant, [number], direction="out")
        admit_all([number], lists, tenant)
        admit_from(device.actor, [number])

    async def _laid_down(self, tenant_id: UUID) -> _LaidDown:
        fresh = self._clock() - KNOWN
        known = self._known.get(tenant_id)
        if known is not None and known.at >= fresh:
            return known
        async with self._database.tenant(tenant_id) as connection:
            at = self._clock()
            tenant = await tenant_of(connection, tenant_id)
            lists = await all_lists(connection, tenant, direction="out", most=MOST)
        self._known = {each: one for each, one in self._known.items() if one.at >= fresh}
        self._known[tenant_id] = read = _LaidDown(tenant, lists, at)
        return read


def _written(local: str) -> str:
    """Return the number that an address is of, as it is written.

    Raises:
        RequestError: ``number.invalid``.
    """
    written = number_of(local)
    if written is None:
        raise RequestError("number.invalid", "Write the number to call before the @, such as +49301234567.")
    return written
