"""The audit log: what was done, by whom, in a form in which nothing can be altered or taken out unseen."""

from faxgw.audit.recording import record
from faxgw.audit.subjects import forget, known_as, pseudonym

__all__ = ["forget", "known_as", "pseudonym", "record"]
