"""The carriers that there are, by kind of target; one is imported when it is needed."""

import importlib
from collections.abc import Mapping

from faxgw.delivery.carrier import Carrier, Refused
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


def carrier_for(target: Target, gateway: Gateway) -> Carrier:
    """Return what carries to a target.

    Raises:
        Refused: ``delivery.kind``, if this gateway has no carrier for such targets.
    """
    module, _, name = CARRIERS.get(target.kind, "").partition(":")
    try:
        made = getattr(importlib.import_module(module), name) if module else None
    except ModuleNotFoundError as missing:
        if missing.name is None or not module.startswith(missing.name):
            raise
        made = None
    if made is None:
        raise Refused("delivery.kind", f"This gateway delivers to no target of the kind {target.kind}.")
    carrier: Carrier = made(target, gateway)
    return carrier
