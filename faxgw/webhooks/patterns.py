"""Which events a webhook asks for: ``*``, a family such as ``fax.*``, or the name of one."""

from sqlalchemy import ColumnElement, any_, literal, or_

from faxgw.errors import RequestError
from faxgw.model import EventType
from faxgw.store.tables import webhooks

EVERYTHING = "*"

TYPES = tuple(event.value for event in EventType if event is not EventType.TEST)
"""What can be asked for; a test is sent whatever was asked for."""

FAMILIES = tuple(sorted({f"{name.split('.')[0]}.*" for name in TYPES}))


def known(pattern: str) -> str:
    """Return the pattern.

    Raises:
        RequestError: ``webhook.events`` when no event could ever match it.

    >>> known("fax.*")
    'fax.*'
    """
    if pattern not in (EVERYTHING, *FAMILIES, *TYPES):
        raise RequestError("webhook.events", f"No event is called {pattern!r}: ask for *, fax.* or one of the types.")
    return pattern


def asked_for(event_type: str) -> ColumnElement[bool]:
    """Return the SQL condition that a webhook asks for events of a type."""
    patterns = (EVERYTHING, f"{event_type.split('.', 1)[0]}.*", event_type)
    return or_(*(literal(pattern) == any_(webhooks.c.events) for pattern in patterns))
