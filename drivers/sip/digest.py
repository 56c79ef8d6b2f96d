"""Digest authentication, the client's side (RFC 7616, RFC 8760): challenges in, credentials out.

MD5, SHA-256 and SHA-512-256; quality of protection ``auth``, or none where a server asks for none (RFC 2069).
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.sip.grammar import SipMalformed, quoted, shown, unquoted
from drivers.sip.messages import Request, Response

ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
"""What SIP calls each algorithm -> what hashlib does."""

FIELDS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}
"""Status -> the field that challenges, the field that answers."""

MOST_STALE = 3
"""How many nonces in a row may have gone stale before they were used. Stops servers that would have us ask forever."""

_TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+(?={_TOKEN}\s*=)|\s*$)")
_PARAM = re.compile(rf'[\s,]*({_TOKEN})\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]*)\s*(?:,|$)')
_BARE = frozenset({"algorithm", "qop", "nc", "stale"})


@dataclass(frozen=True, slots=True)
class Account:
    """Who we are to a server."""

    username: str
    password: str = field(repr=False)
    realm: str | None = None
    """The only realm that gets an answer; None: all."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a challenge or credentials say: a scheme and its parameters, names in small letters, values unquoted."""

    scheme: str
    values: tuple[tuple[str, str], ...]

    @classmethod
    def parse_all(cls, text: str) -> "list[Parameters]":
        """Read what one header field says; some servers put several challenges in one.

        Raises:
            SipMalformed: if it is broken off or no such thing.
        """
        text = text.rstrip(" \t,")
        found: list[tuple[str, list[tuple[str, str]]]] = []
        place = 0
        while place < len(text):
            if found and (match := _PARAM.match(text, place)):
                found[-1][1].append((match[1].lower(), unquoted(match[2])))
            elif match := _SCHEME.match(text, place):
                found.append((match[1].lower(), []))
            else:
                raise SipMalformed(f"no challenge: {shown(text[place:])}")
            place = match.end()
        return [cls(scheme, tuple(values)) for scheme, values in found]

    def get(self, name: str) -> str | None:
        """Return a value, None where there is none of that name."""
        return dict(self.values).get(name)

    def __str__(self) -> str:
        said = (f"{name}={value if name in _BARE else quoted(value)}" for name, value in self.values)
        return f"{self.scheme.capitalize()} {', '.join(said)}"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One that can be answered here.

    Attributes:
        algorithm: as the server spells it; "" if it names none, which means MD5.
        opaque: to be given back; None if there is none.
        auth: whether the quality of protection is ``auth``; else it is none.
        stale: whether only the nonce was wrong.
    """

    realm: str
    nonce: str
    algorithm: str = ""
    opaque: str | None = None
    auth: bool = False
    stale: bool = False

    @classmethod
    def parse_all(cls, text: str) -> "list[Challenge]":
        """Read a WWW-Authenticate or Proxy-Authenticate; what cannot be answered here is left out. Never raises."""
        try:
            offered = Parameters.parse_all(text)
        except SipMalformed:
            return []
        return [each for each in map(_usable, offered) if each is not None]


@dataclass(slots=True)
class _Realm:
    challenge: Challenge
    used: int = 0
    stale: int = 0


class Digest:
    """Our side of authentication with one server, and what it last asked for, so that most requests are asked once.

    Args:
        account: who we are.
        cnonce: makes a new random text of letters and digits at each call.
    """

    def __init__(self, account: Account, *, cnonce: Callable[[], str]) -> None:
        self._account = account
        self._cnonce = cnonce
        self._realms: dict[tuple[int, str], _Realm] = {}

    def challenged(self, request: Request, response: Response) -> bool:
        """Take the challenges of a 401 or 407; return whether the request is worth sending again, authorized anew.

        It is not if no challenge can be answered, or if the server refuses credentials made from a fresh nonce: then
        the user or the password is wrong.
        """
        if response.status not in FIELDS:
            return False
        asks, _ = FIELDS[response.status]
        offered = [each for text in response.headers.all(asks) for each in Challenge.parse_all(text)]
        # The topmost that can be answered in each realm: the server's order is its preference (RFC 8760).
        chosen = {each.realm: each for each in reversed(offered) if self._account.realm in {None, each.realm}}
        answers = [self._take(response.status, each, request) for each in chosen.values()]
        return bool(answers) and all(answers)

    def authorize(self, request: Request) -> None:
        """Put credentials for all that was asked for so far into a request, in place of those that are there."""
        for _, answers in FIELDS.values():
            request.headers.remove(answers)
        for (status, _), realm in self._realms.items():
            realm.used += 1
            request.headers.add(FIELDS[status][1], str(self._credentials(realm, request)))

    def _take(self, status: int, challenge: Challenge, request: Request) -> bool:
        """Keep a challenge; return whether an answer to it may help."""
        old = self._realms.get((status, challenge.realm))
        tried = old is not None and _was_fresh(_sent(request, status, challenge.realm), old, challenge.nonce)
        stale = old.stale + 1 if old is not None and tried else 0
        self._realms[status, challenge.realm] = _Realm(challenge, stale=stale)
        return not tried or (challenge.stale and stale <= MOST_STALE)

    def _credentials(self, realm: _Realm, request: Request) -> Parameters:
        challenge = realm.challenge
        hashed = _hash(challenge.algorithm)
        uri = str(request.uri)
        secret = hashed(f"{self._account.username}:{challenge.realm}:{self._account.password}")
        asked = hashed(f"{request.method}:{uri}")
        count, cnonce = _count(realm.used), self._cnonce()
        between = f"{challenge.nonce}:{count}:{cnonce}:auth" if challenge.auth else challenge.nonce
        values = {
            "username": self._account.username,
            "realm": challenge.realm,
            "nonce": challenge.nonce,
            "uri": uri,
            "response": hashed(f"{secret}:{between}:{asked}"),
        }
        if challenge.algorithm:
            values["algorithm"] = challenge.algorithm
        if challenge.auth:
            values |= {"cnonce": cnonce, "qop": "auth", "nc": count}
        if challenge.opaque is not None:
            values["opaque"] = challenge.opaque
        return Parameters("digest", tuple(values.items()))


def _usable(offered: Parameters) -> Challenge | None:
    realm, nonce = offered.get("realm"), offered.get("nonce")
    algorithm = offered.get("algorithm") or ""
    qop = {each.strip().lower() for each in (offered.get("qop") or "").split(",")} - {""}
    known = algorithm.upper() in {"", *ALGORITHMS} and (not qop or "auth" in qop)
    if offered.scheme != "digest" or realm is None or not nonce or not known:
        return None
    stale = (offered.get("stale") or "").lower() == "true"
    return Challenge(realm, nonce, algorithm, offered.get("opaque"), auth=bool(qop), stale=stale)


def _hash(algorithm: str) -> Callable[[str], str]:
    name = ALGORITHMS[algorithm.upper() or "MD5"]
    # Which algorithm protects the password is the server's choice; MD5 is what most trunks know.
    return lambda text: hashlib.new(name, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _sent(request: Request, status: int, realm: str) -> Parameters | None:
    """Return the credentials that a request of ours had."""
    sent = (each for text in request.headers.all(FIELDS[status][1]) for each in Parameters.parse_all(text))
    return next((each for each in sent if each.get("realm") == realm), None)


def _was_fresh(sent: Parameters | None, old: _Realm, nonce: str) -> bool:
    """Whether credentials were made from a nonce that was new. Others may be on the way, so its own count says it."""
    if sent is None:
        return False
    if sent.get("nc"):
        return sent.get("nc") == _count(1)
    return sent.get("nonce") == nonce or old.used == 1 or sent.get("nonce") != old.challenge.nonce


def _count(used: int) -> str:
    return f"{used:08x}"
