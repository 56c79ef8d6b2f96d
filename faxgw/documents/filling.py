"""Templates filled in; runs inside the rendering worker only, since three lines of Jinja can ask for a terabyte."""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from faxgw.errors import RequestError

LONGEST = 4 << 20
"""Characters of what comes out."""


def filled(source: str, values: Mapping[str, Any], *, html: bool) -> str:
    """Fill a template in; in HTML, what the values say is text and never markup.

    Raises:
        RequestError: ``document.cover``, with what is wrong with the template or what is not given.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=html, keep_trailing_newline=True)
    try:
        text = environment.from_string(source).render(values)
    except TemplateSyntaxError as error:
        raise _wrong(f"line {error.lineno}: {error.message}") from error
    except UndefinedError as error:
        raise _wrong(f"{error.message}; the fields are {', '.join(sorted(values))}") from error
    except MemoryError:
        raise
    except Exception as error:
        raise _wrong(str(error) or type(error).__name__) from error
    if len(text) > LONGEST:
        raise _wrong(f"it makes more than {LONGEST >> 20} million characters")
    return text


def _wrong(what: str) -> RequestError:
    return RequestError("document.cover", f"The cover template cannot be filled in: {' '.join(what.split())[:300]}.")
