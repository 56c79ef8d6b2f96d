"""Clock, entropy, ports and certificate."""

import ctypes
import os
import ssl
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509

from faxgw.config import Config
from faxgw.data_folder import is_held
from faxgw.doctor.finding import Finding, Machine, advice, bad, ok
from faxgw.errors import RequestError
from faxgw.private import bound

OLDEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this program: a clock that says so was never set."""
UNSYNCHRONISED = 0x0040  # STA_UNSYNC of linux/timex.h
TIMEX_WORDS = 64
STATUS_AT = 5
"""``struct timex`` in longs, and which of them has the status (on 64-bit Linux, which pads the modes)."""
SOON = timedelta(days=21)


def ports(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the ports are free, and no listener is open to more than it should be."""
    if is_held(config.data_dir):
        yield ok("ports", "A gateway runs with this data directory, and has its ports.")
    else:
        yield _port("api", config.api.host, config.api.port)
        yield _port("private", config.private.host, config.private.port)
        if config.submission.enabled:
            yield _port("submission", config.submission.host, config.submission.port)
            yield _port("submissions", config.submission.host, config.submissions.port)
    if not _is_loopback(config.private.host):
        yield advice(
            "ports",
            f"Health and metrics on {config.private.host} are open to other machines without a password.",
            "Set FAXGW_PRIVATE_HOST to 127.0.0.1, or let a firewall admit only who watches the gateway.",
        )
    if not _is_loopback(config.api.host) and not config.api.allowed:
        yield advice(
            "ports",
            f"The API on {config.api.host} takes connections from every machine that reaches it.",
            "Name the networks that may in FAXGW_API_ALLOWED.",
        )


def submission(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look who can reach the submission server."""
    host = config.submission.host
    ports = f"{config.submission.port} and {config.submissions.port}"
    if not config.submission.enabled:
        yield ok("mail", "No mail is taken: submission is switched off.")
    elif _is_loopback(host):
        yield ok("mail", f"Mail is taken from this machine only, on ports {ports}; port 25 is not used.")
    elif config.submission.allowed:
        yield ok("mail", f"Mail is taken from the networks that are allowed, on ports {ports}; port 25 is not used.")
    else:
        yield advice(
            "mail",
            f"The submission server on {host} takes connections from every machine that reaches ports {ports}.",
            "Name the networks of your devices in FAXGW_SUBMISSION_ALLOWED.",
        )


def certificate(config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the certificates can be used, and for how long."""
    if config.api.certificate is None or config.api.certificate_key is None:
        yield ok("certificate", "The gateway makes and renews a certificate for the API itself.")
    else:
        yield _certificate(config.api.certificate, config.api.certificate_key)
    given = config.submission
    if given.enabled and given.certificate is not None and given.certificate_key is not None:
        yield _certificate(given.certificate, given.certificate_key)


def _certificate(path: Path, key: Path) -> Finding:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key, password="")
        ends = x509.load_pem_x509_certificates(path.read_bytes())[0].not_valid_after_utc
    except (OSError, ValueError) as error:
        wrong = f"{path} and its key cannot be used: {error}."
        return bad("certificate", wrong, "Give both in PEM, without a password.")
    if ends - datetime.now(UTC) < SOON:
        return bad("certificate", f"The certificate {path} ends on {ends:%Y-%m-%d}.", "Renew it.")
    return ok("certificate", f"The certificate {path} is good until {ends:%Y-%m-%d}.")


def clock(_config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the clock was set, and is being kept right."""
    if datetime.now(UTC) < OLDEST:
        yield bad("clock", f"The clock says {datetime.now(UTC):%Y-%m-%d}: it was never set.", "Set it, by NTP at best.")
        return
    if time.tzname[0] not in ("UTC", "GMT"):
        yield ok("clock", f"The machine's time zone is {time.tzname[0]}; the gateway counts in UTC whatever it is.")
    if _synchronised():
        yield ok("clock", "The clock is kept right by a time server.")
    else:
        yield advice(
            "clock",
            "Nothing tells that the clock is kept right; keys, schedules and other nodes rely on it to a minute.",
            "Run a time service, such as chrony or systemd-timesyncd.",
        )


def entropy(_config: Config, _machine: Machine) -> Iterator[Finding]:
    """Look whether the kernel has random numbers for keys."""
    try:
        if hasattr(os, "getrandom"):
            os.getrandom(32, os.GRND_NONBLOCK)
    except BlockingIOError:
        yield bad(
            "entropy", "The kernel has no good random numbers yet.", "Wait, or install a source such as rng-tools."
        )
    else:
        yield ok("entropy", "The kernel gives good random numbers.")


def _port(section: str, host: str, port: int) -> Finding:
    try:
        bound(host, port, section).close()
    except RequestError as error:
        wrong, _, way_out = error.reason.partition("; ")
        return bad("ports", f"{wrong}.", f"{way_out[:1].upper()}{way_out[1:]}.")
    return ok("ports", f"Port {port} of {host} is free for the {section} listener.")


def _synchronised() -> bool:
    """Ask the kernel whether its clock is disciplined (adjtimex with no modes changes nothing)."""
    if sys.platform != "linux":
        return True
    words = (ctypes.c_long * TIMEX_WORDS)()
    if ctypes.CDLL(None).adjtimex(ctypes.byref(words)) < 0:
        return False
    status = ctypes.c_int.from_buffer(words, STATUS_AT * ctypes.sizeof(ctypes.c_long)).value
    return not status & UNSYNCHRONISED


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
