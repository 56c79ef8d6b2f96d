"""What can be known to be wrong with a folder while it is set up, before anything is connected to."""

from contextlib import suppress
from ipaddress import ip_address

from faxgw.config.folders import DeliverySettings
from faxgw.delivery.targets import FtpsTarget, LocalTarget, S3Target, ScpTarget, SftpTarget, Target
from faxgw.errors import RequestError
from faxgw.folders.local import root_of
from faxgw.folders.s3 import check_bucket, endpoint_of
from faxgw.folders.ssh import own_key, pinned_keys
from faxgw.folders.trust import trusting
from faxgw.webhooks.egress import Forbidden, admit


def check(target: Target, rules: DeliverySettings) -> None:
    """Look at what a target is set up with; there is nothing to be looked at here of a mailbox.

    Raises:
        RequestError: ``target.*``, for what can never work.
    """
    match settings := target.settings:
        case SftpTarget() | ScpTarget():
            _check_host(settings.host, rules)
            pinned_keys(settings.host_keys)
            own_key(target.secret)
        case FtpsTarget():
            _check_host(settings.host, rules)
            trusting(settings.authorities)
        case S3Target():
            check_bucket(settings, target.secret)
            _check_host(endpoint_of(settings).host, rules)
            trusting(settings.authorities)
        case LocalTarget():
            root_of(settings.folder, target.tenant_id, rules)


def _check_host(host: str, rules: DeliverySettings) -> None:
    """Judge an address; names are judged whenever they are connected to."""
    with suppress(ValueError):
        _admit(host, rules)


def _admit(host: str, rules: DeliverySettings) -> None:
    try:
        admit(ip_address("127.0.0.1" if f".{host}".endswith(".localhost") else host), rules.allow_private)
    except Forbidden as error:
        raise RequestError(
            "target.address", "The host is a private or reserved address; the gateway's operator may allow its network."
        ) from error
