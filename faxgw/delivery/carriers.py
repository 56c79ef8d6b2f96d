"""The carriers that there are, by kind of target; one is imported when it is needed."""

import importlib
from collections.abc import Mapping
from typing import Any, Protocol

from sqlalchemy import RowMapping

from faxgw.delivery.carrier import Carrier, Proof, Refused
from faxgw.delivery.targets import Target
from faxgw.gateway import Gateway

CARRIERS: Mapping[str, str] = {
    "mail": "faxgw.mail.sending.carrier:MailCarrier",
    "sftp": "faxgw.folders.sftp:SftpCarrier",
    "scp": "faxgw.folders.scp:ScpCarrier",
    "ftps": "faxgw.folders.ftps:FtpsCarrier",
    "local": "faxgw.folders.local:LocalCarrier",
    "s3": "faxgw.folders.s3:S3Carrier",
}
"""Kind of a target -> ``module:Class``; the class takes ``(target, gateway)``."""


NOTICES = "faxgw.notices.sending:NoticeCarrier"
"""What carries notices; the class takes ``(gateway)``."""


class CarriesNotices(Protocol):
    """What sends one notice."""

    async def carry(self, parcel: RowMapping) -> Proof:
        """Write a notice as its parcel's row says, and hand it over.

        Raises:
            Unreachable, Refused, NotProtected: as of a carrier.
        """
        ...


def carrier_for(target: Target, gateway: Gateway) -> Carrier:
    """Return what carries to a target.

    Raises:
        Refused: ``delivery.kind``, if this gateway has no carrier for such targets.
    """
    made = _named(CARRIERS.get(target.kind, ""))
    if made is None:
        raise Refused("delivery.kind", f"This gateway delivers to no target of the kind {target.kind}.")
    carrier: Carrier = made(target, gateway)
    return carrier


def notice_carrier(gateway: Gateway) -> CarriesNotices:
    """Return what carries notices.

    Raises:
        Refused: ``delivery.kind``, if this gateway sends none.
    """
    made = _named(NOTICES)
    if made is None:
        raise Refused("delivery.kind", "This gateway sends no notices.")
    carrier: CarriesNotices = made(gateway)
    return carrier


def _named(path: str) -> Any:
    """Return the class of a name; None where there is no such module."""
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name) if module else None
    except ModuleNotFoundError as missing:
        if missing.name is None or not module.startswith(missing.name):
            raise
        return None
