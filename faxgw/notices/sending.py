"""Sends a notice by mail: by the same way as faxes, so that a way without TLS gets nothing of it either."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import RowMapping

from faxgw.delivery.carrier import NotProtected, Proof
from faxgw.faxes.policies import tenant_of
from faxgw.gateway import Gateway
from faxgw.mail.sending.mail import Mail
from faxgw.mail.sending.postman import send
from faxgw.notices.choosing import CHOSEN, Stop
from faxgw.notices.rendering import rendered

log = structlog.get_logger(__name__)


class NoticeCarrier:
    """Carries notices; it keeps nothing between two of them."""

    def __init__(self, gateway: Gateway) -> None:
        """Take what mail leaves by."""
        self._gateway = gateway

    async def carry(self, parcel: RowMapping) -> Proof:
        """Write a notice as its parcel's row says, and hand it over.

        Raises:
            Unreachable, Refused: what the other side says.
            NotProtected: the way is not as the tenant's policy asks; nothing of the notice has left.
        """
        async with self._gateway.database.dispatcher() as connection:
            tenant = await tenant_of(connection, parcel["tenant_id"])
        protection, rule = tenant.policy.mail.required(parcel["recipient"], baa_attested=True)
        mail = self._written(parcel, tenant.name)
        try:
            proof = await send(self._gateway, mail, protection=protection, rule=rule)
            return replace(proof, place="")  # whom it went to is forgotten with it
        except NotProtected as fault:
            log.warning("a notice is held: its way is not protected", parcel=parcel["id"], code=fault.code)
            raise

    def _written(self, parcel: RowMapping, organisation: str) -> Mail:
        stop = self._stop(parcel)
        said = rendered(parcel["kind"], parcel["data"], organisation=organisation, stop=stop)
        ids: dict[str, Any] = {"id": parcel["id"], "tenant_id": parcel["tenant_id"]}
        return Mail(**ids, to=parcel["recipient"], subject=said.subject, text=said.text, unsubscribe=stop)

    def _stop(self, parcel: RowMapping) -> str:
        """Return the address by which its reader stops such notices; empty: they are no member, or cannot."""
        url, (_, _, name) = self._gateway.config.people.url, parcel["key"].rpartition("/")
        if not url or parcel["kind"] not in CHOSEN:
            return ""
        try:
            user_id = UUID(name)
        except ValueError:
            return ""  # an address of somebody outside
        return f"{url}/notices/stop/{Stop(user_id, parcel['kind']).token(self._gateway.server_keys)}"
