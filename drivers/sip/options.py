"""What a ``sip:`` URL says of a trunk: one table of its options, from which the documentation is made as well."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Self, TypeVar

from drivers.g711.law import Law
from drivers.registry import LineUrl
from drivers.sip.digest import Account
from drivers.sip.grammar import SipMalformed, host_and_port
from drivers.sip.switching import Begins
from drivers.sip.uri import Uri, as_dialled, escaped_user
from drivers.sip.ways import Address, Transport
from drivers.t38.udptl import Protection
from t30.line import LineError

Network = IPv4Network | IPv6Network
T = TypeVar("T")

PORTS = (4000, 4999)
"""Ports for sound and pages, unless the URL names others: two for each call."""

LEAST_SESSION = 90
"""Seconds of a session that everybody must agree to (RFC 4028); asking for less is an error."""

SWITCH = {"on": True, "off": False}


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its value if it is not given, and what it means, as the documentation says it."""

    default: str
    meaning: str


OPTIONS: Mapping[str, Option] = {
    "transport": Option("udp", "`udp`, `tcp` or `tls`: how signalling travels. `tls` checks the trunk's certificate."),
    "local": Option("any free port", "HOST:PORT where we listen for calls; each trunk has its own."),
    "advertise": Option("as `local`", "The address the trunk is told in place of ours, behind address translation."),
    "proxy": Option("", "HOST[:PORT] of an outbound proxy: each call and registration begins there."),
    "from": Option("the URL's user", "The number that our calls come from."),
    "auth_user": Option("the URL's user", "The user name of digest authentication."),
    "password_env": Option("", "The environment variable that holds the password."),
    "register": Option("on with a user", "`on` or `off`: whether to register with the trunk before waiting for calls."),
    "expires": Option("300", "Seconds that a registration is asked for."),
    "options": Option("0", "Seconds between two OPTIONS that ask whether the trunk lives; 0: it is not asked."),
    "t38": Option("reinvite", "When T.38 begins: `reinvite`, `offer` or `answer`; see below."),
    "t38_after": Option("1 answering, 6 calling", "Seconds after the answer until we offer T.38 anyway."),
    "version": Option("0", "The highest T38FaxVersion, 0 to 3."),
    "redundancy": Option("3", "How many earlier packets are repeated in each, 0 to 7."),
    "fec": Option("0", "Parity over so many packets, 1 to 5, in place of redundancy, where the trunk can; 0: none."),
    "max_datagram": Option("as the trunk says", "Octets of our largest UDPTL packet, whatever the trunk says."),
    "tcf": Option("transferred", "`transferred` or `local`: who makes the training check, when we offer."),
    "fill": Option("off", "`on` or `off`: whether pages without error correction may go without their fill."),
    "mmr": Option("off", "`on` or `off`: whether pages without error correction may go as MMR."),
    "law": Option("pcmu,pcma", "The codings of sound until T.38, the preferred one first."),
    "ports": Option("4000-4999", "LOW-HIGH: UDP ports for sound and pages."),
    "media_from": Option("", "Networks from which media may come besides where the trunk says and signals from."),
    "allow": Option("those of the trunk or proxy", "Networks whose signalling is listened to, separated by commas."),
    "session_expires": Option(
        "1800", "Seconds after which a call must have been refreshed, 90 at least; 0: we do not ask for it."
    ),
    "ring": Option("60", "Seconds that a call may ring."),
    "ca": Option("the system's", "A file with the certificates that the trunk's is checked against (TLS)."),
    "cert": Option("", "Our own certificate, with its chain, in a PEM file: needed to be called over TLS."),
    "key": Option("in `cert`", "Its private key, in a PEM file."),
}
"""Name -> default and meaning, in the order in which a reader wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkOptions:
    """A trunk as its URL describes it; see ``OPTIONS``.

    Attributes:
        user: who we are to the trunk; "" if the URL has no user.
        caller: the number that our calls come from.
        host, port: of the trunk; None: the transport's port, or what the DNS says.
        local: port 0: any; host "": the address that leads to the trunk.
        fields: the file names of TLS.
    """

    user: str
    host: str
    port: int | None
    caller: str = ""
    transport: Transport = Transport.UDP
    local: Address = ("", 0)
    advertise: str = ""
    proxy: Uri | None = None
    account: Account | None = None
    register: bool = False
    expires: int = 300
    asks_every: int = 0
    begins: Begins = Begins.REINVITE
    begins_after: float | None = None
    version: int = 0
    protection: Protection = field(default_factory=Protection)
    max_datagram: int | None = None
    local_tcf: bool = False
    fill: bool = False
    mmr: bool = False
    laws: tuple[Law, ...] = tuple(Law)
    ports: tuple[int, int] = PORTS
    media_from: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()
    session_expires: int = 1800
    ring: float = 60.0
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def uri(self) -> Uri:
        """The trunk itself."""
        return self.to("")

    def to(self, user: str) -> Uri:
        """Return the URI of somebody behind the trunk; of the trunk for ""."""
        return Uri("sip", escaped_user(user) or None, self.host, port=self.port)

    @classmethod
    def of(cls, url: LineUrl) -> Self:
        """Read a URL.

        Raises:
            LineError: with code ``usage``.
        """
        said = _Said(url)
        user, host, port = _whom(url)
        transport = said.choice("transport", {each.value.lower(): each for each in Transport})
        span = said.number("fec", most=5)
        made = cls(
            user=user,
            host=host,
            port=port,
            caller=said.read("from", as_dialled(user), _caller),
            transport=transport,
            local=said.read("local", ("", 0), _address),
            advertise=said.read("advertise", "", lambda text: str(ip_address(text))),
            proxy=said.read("proxy", None, lambda text: Uri.parse(f"sip:{text}")),
            account=_account(said, user),
            register=said.choice("register", SWITCH, "on" if user else "off"),
            expires=said.number("expires", least=20, most=86400),
            asks_every=said.number("options", most=3600),
            begins=_begins(said),
            begins_after=said.read("t38_after", None, _seconds),
            version=said.number("version", most=3),
            protection=Protection(0 if span else said.number("redundancy", most=7), span),
            max_datagram=said.read("max_datagram", None, lambda text: _whole(text, least=72, most=65507)),
            local_tcf=said.choice("tcf", {"transferred": False, "local": True}),
            fill=said.choice("fill", SWITCH),
            mmr=said.choice("mmr", SWITCH),
            laws=said.read("law", tuple(Law), _laws),
            ports=said.read("ports", PORTS, _ports),
            media_from=said.read("media_from", (), _networks),
            allow=said.read("allow", (), _networks),
            session_expires=said.read("session_expires", 1800, _session),
            ring=float(said.number("ring", least=1, most=600)),
            ca=said.read("ca", None, _file),
            cert=said.read("cert", None, _file),
            key=said.read("key", None, _file),
        )
        said.finish()
        return made


class _Said:
    """Hands out the options of a URL, each once."""

    def __init__(self, url: LineUrl) -> None:
        self._url = url
        self._left = dict(url.options)
        unknown = sorted(set(self._left) - set(OPTIONS))
        if unknown:
            raise self.wrong(f"there is no option {', '.join(unknown)}; there are {', '.join(OPTIONS)}")
        if len(self._left) < len(url.options):
            raise self.wrong("an option is given more than once")

    def wrong(self, what: str) -> LineError:
        return LineError(f"{self._url}: {what}", code="usage")

    def get(self, name: str, default: str = "") -> str:
        return self._left.get(name) or default

    def read(self, name: str, default: T, reader: Callable[[str], T]) -> T:
        text = self._left.get(name)
        if text is None:
            return default
        try:
            return reader(text)
        except (ValueError, SipMalformed, OSError) as error:
            raise self.wrong(f"{name}={text}: {error}") from None

    def choice(self, name: str, choices: Mapping[str, T], default: str = "") -> T:
        text = self.get(name, default or OPTIONS[name].default).lower()
        if text not in choices:
            raise self.wrong(f"{name}={text} is none of {', '.join(choices)}")
        return choices[text]

    def number(self, name: str, *, least: int = 0, most: int) -> int:
        return self.read(name, int(OPTIONS[name].default), lambda text: _whole(text, least=least, most=most))

    def finish(self) -> None:
        """Refuse what does not go together."""
        on_tls = self.get("transport").lower() == "tls"
        alone = [name for name in ("ca", "cert", "key") if name in self._left and not on_tls]
        if alone:
            raise self.wrong(f"{alone[0]} is of no use without transport=tls")
        if "key" in self._left and "cert" not in self._left:
            raise self.wrong("key needs cert")


def _whom(url: LineUrl) -> tuple[str, str, int | None]:
    """Read ``[USER@]HOST[:PORT]``."""
    user, _, place = url.address.rpartition("@")
    if ":" in user:
        raise LineError(f"sip:...@{place}: a password does not stand in a URL; password_env names it", code="usage")
    try:
        host, port = host_and_port(place)
    except SipMalformed as error:
        raise LineError(f"{url}: it is sip:[USER@]HOST[:PORT]: {error}", code="usage") from None
    return user, host, port


def _account(said: _Said, user: str) -> Account | None:
    name = said.get("password_env")
    if not name:
        if said.get("auth_user"):
            raise said.wrong("auth_user needs password_env")
        return None
    password = os.environ.get(name)
    if not password:
        raise said.wrong(f"password_env={name}: there is no such environment variable")
    username = said.get("auth_user", user)
    if not username:
        raise said.wrong("password_env needs a user in the URL, or auth_user")
    return Account(username, password)


def _begins(said: _Said) -> Begins:
    if said.get("t38").lower() == "off":
        raise said.wrong("t38=off: faxes in sound (G.711) need soft modems, which faxgw does not have yet")
    return said.choice("t38", {each.value: each for each in Begins})


def _whole(text: str, *, least: int, most: int) -> int:
    if not text.isdecimal() or not least <= int(text) <= most:
        raise ValueError(f"it is a whole number from {least} to {most}")
    return int(text)


def _caller(text: str) -> str:
    number = as_dialled(text)
    if not number or not number.isprintable():
        raise ValueError("it is a number, or a user")
    return number


def _session(text: str) -> int:
    seconds = _whole(text, least=0, most=86400)
    if 0 < seconds < LEAST_SESSION:
        raise ValueError(f"it is 0, or {LEAST_SESSION} at least")
    return seconds


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 30.0:
        raise ValueError("it is a number of seconds, 0 to 30")
    return seconds


def _address(text: str) -> Address:
    host, port = host_and_port(text)
    return host, port or 0


def _ports(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    if not dash:
        raise ValueError("it is LOW-HIGH")
    ports = _whole(low, least=1024, most=65535), _whole(high, least=1024, most=65535)
    if ports[1] <= ports[0] + ports[0] % 2:
        raise ValueError("there must be two ports at the least, the first of them even")
    return ports


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(each.strip(), strict=False) for each in text.split(","))


def _laws(text: str) -> tuple[Law, ...]:
    names = [each.strip().upper() for each in text.split(",")]
    if not all(name in Law.__members__ for name in names):
        raise ValueError("it is pcmu, pcma or both")
    return tuple(Law[name] for name in dict.fromkeys(names))


def _file(text: str) -> Path:
    path = Path(text)
    with path.open("rb"):
        return path
