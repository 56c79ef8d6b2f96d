"""Which targets may have what lies in a box of a data class (personal data only where it is encrypted)."""

from faxgw.delivery.protection import is_protected
from faxgw.delivery.targets import MailTarget, Settings
from faxgw.rules.retention import Kind, RetentionPolicy


def kind_of_copy(settings: Settings) -> Kind:
    """Return as what a copy in such a target stands in the ledger."""
    return "mail" if isinstance(settings, MailTarget) else "folder"


def is_personal(data_class: str, policy: RetentionPolicy) -> bool:
    """Tell whether the policy calls a data class personal."""
    rule = policy.classes.get(data_class)
    return rule is not None and rule.personal


def protects(settings: Settings, data_class: str, policy: RetentionPolicy) -> bool:
    """Tell whether a target may have what lies in a box of a data class.

    Personal data leave encrypted, or to where somebody has attested that they are kept encrypted, or not at all: by
    a link, which opens them here.
    """
    if not is_personal(data_class, policy) or is_protected(settings):
        return True
    return isinstance(settings, MailTarget) and settings.protection == "link-only"
