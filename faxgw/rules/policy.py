"""Everything that a tenant may lay down about its faxes, as one value that goes through JSON unchanged."""

from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, Field

from faxgw.learning.policy import LearningPolicy
from faxgw.numbers import Numbering
from faxgw.rules.admission import Limits, ListEntry, Opened
from faxgw.rules.incoming import JunkRule
from faxgw.rules.ladder import LadderPolicy
from faxgw.rules.mail import MailPolicy
from faxgw.rules.model import Rules
from faxgw.rules.quotas import Quotas
from faxgw.rules.retention import RetentionPolicy
from faxgw.rules.retry import RetryPolicy
from faxgw.rules.together import TogetherPolicy
from faxgw.rules.windows import Hours


def _known_region(region: str | None) -> str | None:
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{region!r} is no country: write it as two capital letters, such as DE")
    return region


class HeaderPolicy(Rules):
    """The line above every page that is sent, with date, sender and page number. Some countries require it."""

    on: bool = Field(
        default=False, description="Print the line above every page; where it is off, a fax may ask for it."
    )
    text: str = Field(default="", max_length=60, description="Who sends, as printed there.", examples=["Example Ltd."])
    number: Literal["sender", "none"] = Field(
        default="sender",
        description="Print the number that the fax is sent from as well (`sender`), or the text only (`none`).",
    )

    def sender(self, number: str) -> str:
        """Return what the line says of the sender; ``number`` is the one that the fax is sent from."""
        parts = (self.text, number if self.number == "sender" else "")
        return " ".join(part for part in parts if part)


class TenantPolicy(Rules):
    """What a tenant lays down about its faxes; every field has a default that is safe."""

    region: Annotated[str | None, AfterValidator(_known_region)] = Field(
        default=None,
        min_length=2,
        max_length=2,
        description="Country of numbers that are written without country code; null: all must have one.",
        examples=["DE"],
    )
    lists: tuple[ListEntry, ...] = Field(
        default=(),
        max_length=1000,
        description="Numbers that are allowed or denied; without an entry, a number is allowed.",
    )
    opened: Opened = Field(default=Opened(), description="Kinds of number that are closed unless they are opened here.")
    limits: Limits = Field(default=Limits(), description="Largest fax and largest batch that are taken.")
    quotas: Quotas = Field(default=Quotas(), description="How much may be sent in an hour and in a day.")
    hours: Hours = Field(default=Hours(), description="Calls begin within these hours only.")
    schedule_days: int = Field(default=90, ge=0, le=3650, description="How many days ahead a fax may be scheduled.")
    retry: RetryPolicy = Field(
        default=RetryPolicy(), description="Limits and delays of the calls after one that failed."
    )
    ladder: LadderPolicy = Field(
        default=LadderPolicy(), description="The last resort after calls in which the modems did not get along."
    )
    learning: LearningPolicy = Field(
        default=LearningPolicy(), description="What calls with a machine teach the next ones, and for how long."
    )
    together: TogetherPolicy = Field(
        default=TogetherPolicy(),
        description="How many faxes to one number go in one call. Not every machine takes more.",
    )
    misdirect: Literal["off", "hold", "report"] = Field(
        default="off",
        description="When another machine than before answers: send all the same (`off`), stop before page 1 and wait "
        "for approval (`hold`), or send and report it (`report`).",
    )
    header: HeaderPolicy = Field(default=HeaderPolicy(), description="The line above every page that is sent.")
    resolution: Literal["standard", "fine", "superfine", "300", "400"] = Field(
        default="fine", description="Resolution of faxes that do not ask for another."
    )
    junk: tuple[JunkRule, ...] = Field(
        default=(), max_length=200, description="Calls that nobody wants; the first rule that fits is taken."
    )
    retention: RetentionPolicy = Field(
        default=RetentionPolicy(), description="How long faxes are kept. Without a rule, nothing is ever deleted."
    )
    storage: Literal["archive", "none"] = Field(
        default="archive",
        description="Keep faxes sealed to their owner (`archive`), or nothing once they have ended (`none`).",
    )
    collect_hours: int = Field(
        default=24,
        ge=0,
        le=168,
        description="Where nothing is stored, an incoming fax waits so long to be collected; 0: no call is answered.",
    )
    require_second_factor: bool = Field(
        default=False,
        description="Who signs in without a second factor can set one up, and nothing else; API keys have none.",
    )
    passkey_alone: bool = Field(
        default=True,
        description="Let a passkey, which asks for a PIN or a finger, be enough to sign in. Off: whoever signs in by "
        "one gives the password as well.",
    )
    session_idle_minutes: int = Field(
        default=15, ge=1, le=1440, description="Who does nothing for so many minutes is signed off."
    )
    session_hours: int = Field(default=12, ge=1, le=720, description="Whoever signed in must do so again after that.")
    mail: MailPolicy = Field(
        default=MailPolicy(), description="How faxes must be protected on their way by mail, and agreements about it."
    )

    allow_delegation: bool = Field(
        default=True,
        description="Let people give others rights to their boxes. Off: nobody can, and rights that were given are "
        "suspended at once, whoever gave them; they hold again when it is on.",
    )
    allow_forwarding: bool = Field(
        default=True,
        description="Let faxes be forwarded to other boxes and numbers, by hand and by rule. Off: nobody can, rules "
        "are suspended at once, and pages that came in are not sent on.",
    )

    def numbering(self, extra: frozenset[str] = frozenset()) -> Numbering:
        """Return the numbering plan that the tenant dials in, with ``extra`` numbers that no plan knows."""
        return Numbering(self.region, extra)
