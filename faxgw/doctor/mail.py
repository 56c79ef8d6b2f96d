"""Mail that leaves: is there a way, are its authorities to be had, can DANE be relied on."""

import asyncio
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING

from faxgw.config import Config
from faxgw.delivery.carrier import NotCarried
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok

if TYPE_CHECKING:
    from faxgw.mail.sending.tls import Spoken

AREA = "mail"


def route(config: Config, machine: Machine) -> Iterator[Finding]:
    """Look at the configuration; nobody is connected to."""
    mail = config.mail
    if not mail.has_route:
        yield ok(AREA, "No mail leaves this gateway: neither mail.smarthost nor mail.direct is configured.")
        return
    if mail.smarthost:
        yield ok(
            AREA, f"Mail goes to the smarthost {mail.smarthost}, port {mail.port}, under verified TLS or not at all."
        )
    elif mail.dns_validates or _validates_here(config, machine):
        yield ok(AREA, "Mail goes to the hosts of its domain, proven by MTA-STS, DANE or their name.")
    else:
        yield advice(
            AREA,
            "Mail goes to the hosts of its domain, and DANE is not used: no DNS server on this machine is asked.",
            "Run a resolver here that validates DNSSEC, or set FAXGW_MAIL_DNS_VALIDATES if the way to yours is safe.",
        )
    if mail.trust is not None:
        yield _trusted(config)


def answers(config: Config, machine: Machine) -> Iterator[Finding]:  # noqa: ARG001
    """Ask the smarthost, if there is one, whether it can be trusted and lets us in; no mail is sent."""
    if not config.mail.smarthost:
        return
    try:
        spoken = asyncio.run(_reached(config))
    except NotCarried as fault:
        yield bad(
            AREA, f"The smarthost cannot be used: {fault}", "Until it can, no mail leaves: correct `mail`, or it."
        )
    else:
        yield ok(AREA, f"The smarthost {config.mail.smarthost} answers under {spoken.protocol} and lets us in.")


async def _reached(config: Config) -> "Spoken":
    from faxgw.mail.sending.postman import Postman  # noqa: PLC0415

    postman = Postman(config)
    try:
        return await postman.reach(config.mail.sender, protection="require-verified")
    finally:
        await postman.close()


def _trusted(config: Config) -> Finding:
    path = config.mail.trust
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        return bad(AREA, f"The authorities in {path} cannot be read: {error}.", "Give certificates in PEM.")
    return ok(AREA, f"Mail hosts may have certificates by the authorities in {path}.")


def _validates_here(config: Config, machine: Machine) -> bool:
    """Tell whether all servers that are asked are on this machine: they are believed about DNSSEC."""
    lines = (line.split() for line in machine.read("/etc/resolv.conf").splitlines())
    of_the_system = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    asked = [str(each) for each in config.mail.dns] or of_the_system
    return bool(asked) and all(_is_loopback(each) for each in asked)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
