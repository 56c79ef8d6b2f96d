"""What the API answers about people, sessions and members, field by field; see ``shapes``."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from faxgw.api.shapes import ApiKeyShape, NamedTenant, Shape, User

Role = Literal["owner", "admin", "member"]


class SessionShape(Shape):
    """Somebody is signed in."""

    id: UUID
    """Its id."""
    tenant: NamedTenant | None
    """The tenant that it is in; null: it is in none yet."""
    way: Literal["password", "recovery", "passkey", "oidc"]
    """How it was begun."""
    second_factor: bool
    """Whether a second factor was shown."""
    unlocked: bool
    """Whether it opens content; if not: `POST /v1/sessions/current:unlock`."""
    address: str
    """Where it was begun."""
    agent: str
    """What the program called itself."""
    created_at: datetime
    """When it was begun."""
    seen_at: datetime
    """When it was last used, give or take half a minute."""
    current: bool
    """Whether it is the one that asks."""


class SessionsShape(Shape):
    """One's sessions."""

    items: list[SessionShape]
    """One each, newest first."""


class MembershipShape(Shape):
    """What a person is in a tenant."""

    tenant: NamedTenant
    """Which."""
    user: UUID
    """Their id there."""
    role: Role
    """What they are there."""
    locked: bool
    """Whether what is sealed to them there is locked, since their password was reset."""


class NewSessionShape(Shape):
    """Somebody has just signed in."""

    session: UUID
    """Its id."""
    token: str | None
    """The token, shown this once: send it as `Authorization: Bearer TOKEN`. Null: it is in the cookie."""
    tenant: NamedTenant | None
    """The tenant that it is in; null: choose one of `memberships` by `POST /v1/sessions/current:switch`."""
    memberships: list[MembershipShape]
    """Where the person belongs."""
    recovery_code: str | None
    """A new one, shown this once, if the old one was used up; null: it was not."""
    locked_keys: int
    """How many keys are locked since a reset: `POST /v1/me/keys:recover` opens them by an older secret."""
    unlocked: bool
    """Whether it opens content; if not: `POST /v1/sessions/current:unlock`."""


class PersonShape(Shape):
    """Oneself."""

    email: str
    """By which one signs in."""
    second_factor: bool
    """Whether there are one-time codes or passkeys."""
    password: bool
    """Whether there is a password; without one, passkeys are the way in."""
    memberships: list[MembershipShape]
    """Where one belongs: the names of tenants, and nothing of what is in them."""
    locked_keys: int
    """How many keys are locked since a reset."""


class SelfSessionShape(Shape):
    """Who asks."""

    tenant: NamedTenant | None
    """The tenant of everything that is done; null: the session is in none yet."""
    user: User | None
    """Whose key or session it is."""
    api_key: ApiKeyShape | None
    """The key; null: it is a session."""
    session: UUID | None
    """The session; null: it is a key."""


class PasskeyShape(Shape):
    """A passkey."""

    id: UUID
    """Its id."""
    name: str
    """What its owner calls it."""
    unlocks: bool
    """Whether it opens content by itself (PRF extension); if not, its session is locked until it is unlocked."""
    backed_up: bool
    """Whether it may be on several devices, as a provider of passkeys copies it."""
    created_at: datetime
    """When it was registered."""
    used_at: datetime | None
    """When it was last used."""


class PasskeysShape(Shape):
    """One's passkeys."""

    items: list[PasskeyShape]
    """One each, oldest first."""


class PasskeyOptionsShape(Shape):
    """What the browser is to ask the authenticator, good for 5 minutes and one answer."""

    publicKey: dict[str, Any]  # noqa: N815 (as browsers have it)
    """For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`."""


class OidcInvitedShape(Shape):
    """Somebody whose address is verified was invited."""

    email: str
    """The address."""
    set_up_code: str
    """For `POST /v1/people:set-up`, shown this once."""
    expires_at: datetime
    """Until when it is good."""


class RecoveryCodeShape(Shape):
    """A new recovery code."""

    recovery_code: str
    """Shown this once; the one of before is good for nothing any more."""


class TotpShape(Shape):
    """A second factor that is to be confirmed."""

    secret: str
    """For the authenticator, shown this once."""
    uri: str
    """The same as an `otpauth` address, to be shown as a QR code."""


class SetUpShape(Shape):
    """A set-up code was used."""

    tenant: NamedTenant
    """Whose member it is."""
    user: UUID
    """Their id there."""
    recovery_code: str | None
    """Shown this once; null: there was an account already, with a code of its own."""
    locked: bool
    """Whether what was sealed to them before is locked for now."""
    detail: str
    """What that means, in a sentence."""


class UnlockedShape(Shape):
    """What an older secret has opened."""

    keys: int
    """Keys that are open again."""
    objects: int
    """Documents and pages that were sealed to an older key, and are sealed to the present one now."""
    locked_keys: int
    """Keys that are locked still."""


class ColleagueShape(Shape):
    """A member of the tenant, as every other member may know them."""

    id: UUID
    """Their id."""
    email: str
    """Their address."""
    role: Role
    """What they are."""


class MemberShape(Shape):
    """A member of the tenant."""

    id: UUID
    """Their id."""
    email: str
    """Their address."""
    role: Role
    """What they are."""
    state: Literal["invited", "active", "deactivated"]
    """Whether they can sign in."""
    second_factor: bool
    """Whether they have one."""
    locked_until: datetime | None
    """Until when nobody can sign in by this address, since too many tries failed."""
    created_at: datetime
    """When they were invited, or made."""
    deactivated_at: datetime | None
    """Since when they cannot come in."""


class InvitedShape(MemberShape):
    """Somebody was invited."""

    set_up_code: str | None
    """By which they come in, shown this once; null when this answer is given again."""
    expires_at: datetime
    """Until when it is good."""


class ResetShape(Shape):
    """Somebody may set a password anew."""

    set_up_code: str | None
    """By which they do, shown this once; null when this answer is given again."""
    expires_at: datetime
    """Until when it is good."""
    recovery_code: bool
    """Whether there is a recovery code that would open everything."""
    api_keys: int
    """How many of their API keys open content, and go on doing so."""
    passkeys: int
    """How many of their passkeys would open everything; they let nobody in any more."""
    detail: str
    """What they can open then, in a sentence."""
