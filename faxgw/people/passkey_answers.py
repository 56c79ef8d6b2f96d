"""What passkeys answer (WebAuthn), as browsers hand it on: read, and judged as far as it says which site it is for.

An authenticator that has the PRF extension gives, with each use, a secret of its own for this gateway.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from faxgw.config import Config
from faxgw.errors import RequestError
from faxgw.gateway import Gateway
from faxgw.keys.slots import PasskeySecret
from faxgw.people.authenticators import Answer
from faxgw.people.challenges import NoChallenge, check_challenge, spend

Credential = Mapping[str, Any]
"""What a browser's ``PublicKeyCredential.toJSON()`` gives."""

PRF_SALT = hashlib.sha256(b"faxgw passkey 1").digest()
"""What authenticators are asked about: the same for everybody, since nobody has said yet who they are."""
PRF_SECRET = 32


class Refused(RequestError):
    """A passkey was not accepted."""


@dataclass(frozen=True, slots=True)
class Site:
    """The address that passkeys are for.

    Attributes:
        origin: as browsers write it.
        host: ``rpId``.
    """

    origin: str
    host: str

    @classmethod
    def of(cls, config: Config) -> "Site":
        """Return that of the configuration.

        Raises:
            RequestError: ``passkey.off``.
        """
        if not config.people.url:
            raise RequestError("passkey.off", "There are no passkeys here: `people.url` is not configured.")
        return cls(config.people.url, config.people.passkey_host)


def check(gateway: Gateway, site: Site, purpose: bytes, answer: Answer, *, now: datetime) -> None:
    """Say what is wrong with an answer, where that can be said; the library looks at all of it once more.

    Raises:
        Refused: ``passkey.challenge``, ``.origin``, ``.host``.
    """
    try:
        check_challenge(gateway.server_keys, purpose, answer.challenge, now=now)
    except NoChallenge:
        raise _no_challenge() from None
    if answer.origin != site.origin:
        raise Refused("passkey.origin", f"The passkey was used on another site than {site.origin}.")
    if answer.rp_id_hash != hashlib.sha256(site.host.encode()).digest():
        raise Refused("passkey.host", f"The passkey belongs to another host than {site.host}.")


async def spend_challenge(connection: AsyncConnection, challenge: bytes, now: datetime) -> None:
    """Take note that a challenge was answered.

    Raises:
        Refused: ``passkey.challenge``, if it was before.
    """
    try:
        await spend(connection, challenge, now=now)
    except NoChallenge:
        raise _no_challenge() from None


def secret_of(credential: Credential) -> PasskeySecret | None:
    """Return what the PRF extension gave, as ``toJSON`` writes it; None: nothing.

    Raises:
        Refused: ``passkey.refused``, if it is not of 32 octets.
    """
    found: Any = credential
    for name in ("clientExtensionResults", "prf", "results", "first"):
        found = found.get(name) if isinstance(found, Mapping) else None
    if found is None:
        return None
    try:
        octets = octets_of(found)
    except (ValueError, TypeError, AttributeError):
        raise refused() from None
    if len(octets) != PRF_SECRET:
        raise refused()
    return PasskeySecret(octets)


def octets_of(text: str) -> bytes:
    """Return octets that are written as base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def with_prf(options: dict[str, Any]) -> dict[str, Any]:
    """Return options that ask for the authenticator's own secret, too."""
    return {**options, "extensions": {"prf": {"eval": {"first": urlsafe_b64encode(PRF_SALT).rstrip(b"=").decode()}}}}


def refused() -> Refused:
    """Return what is said of an answer that is wrong in any other way."""
    return Refused("passkey.refused", "The passkey's answer is damaged, not signed by it, or without PIN or finger.")


def _no_challenge() -> Refused:
    return Refused("passkey.challenge", "What the passkey has answered is not ours, over, or was answered before.")
