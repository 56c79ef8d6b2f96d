"""What a log may not hold: telephone numbers are masked, secrets and content taken out, in fields and in any text."""

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import PurePath
from typing import Any
from uuid import UUID

from faxgw.numbers import masked

HIDDEN = "[hidden]"
LONGEST = 2000
"""Characters of one text; longer ones are somebody's content, or useless."""
DEEPEST = 6

SECRETS = {
    *("authorization", "code_verifier", "cookie", "cookies", "credential", "credentials", "key", "keys"),
    *("passphrase", "passwd", "password", "pin", "pwd", "secret", "secrets", "signature", "token", "tokens"),
    *("recovery_code", "subaddress"),
}
"""Last words of field names whose values are never shown (``api_key``, but not ``api_key_id``)."""
CONTENT = {"body", "content", "input", "octets", "parameters", "params", "payload", "pels"}
"""Last words of field names whose values are somebody's document."""
NUMBERS = {
    *("called", "caller", "csid", "destination", "destinations", "dialed", "dialled", "did", "from", "ident"),
    *("number", "numbers", "phone", "recipient", "recipients", "remote_id", "sender", "station", "to", "tsi"),
}
"""Last words of field names whose values are telephone numbers or what machines give for one."""

_PLAIN = (Enum, UUID, PurePath, date, time, timedelta, Decimal, IPv4Address, IPv4Network, IPv6Address, IPv6Network)

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_MOMENT = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?"
_NUMBER = (
    r"(?:(?<![\w.])|(?<=%2B)|(?<=%2b))"
    r"(?:\+(?:[ ()/.-]{0,2}\d){5,17}"  # +49 (30) 1234-567
    r"|[(]?0(?:[ ()/-]{0,2}\d){6,15}"  # (030) 123 45 67
    r"|\d{3}[ .-]\d{3}[ .-]\d{4}"  # 555-010-0123
    r"|\d{7,20})(?!\w)"
)
_NUMBER_OR_NOT = re.compile(f"(?P<kept>\\b{_UUID}\\b|{_MOMENT})|{_NUMBER}")
_SECRETS = re.compile(
    r"(?P<before>://[^\s/:@]*:)[^\s/@]+(?=@)"  # a password in a URL
    r"|(?P<scheme>\b(?:Bearer|Basic) )\S+"
    r"|(?P<assigned>\b(?:password|passwd|pwd|secret|token|api_key)['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;&'\"]+)"
    r"|(?P<prefix>\b(?:whsec|whsk|fgw)_)[\w+/=.-]{8,}",
    re.IGNORECASE,
)
_CONTENT = re.compile(
    r"(?P<bytes>\bb(?:'(?:[^'\\]|\\.){8,}'|\"(?:[^\"\\]|\\.){8,}\"))"
    r"|(?P<sql>\[parameters: ).*?\](?=\n|$)"
    r"|(?P<row>Failing row contains )\(.*?\)\.?(?=\n|$)"
    r"|(?P<input>\binput_value=).*?(?=, input_type=)",
    re.DOTALL,
)


def redacted(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a log entry as they may be shown, made of what JSON knows."""
    return {name: _field(str(name), value, DEEPEST) for name, value in fields.items()}


def scrubbed(text: str, longest: int = LONGEST) -> str:
    """Return a text without telephone numbers, secrets and quoted content, and no longer than it may be.

    >>> scrubbed("01890a5d-ac96-774b-bcce-b302099a8057 by postgresql://faxgw:s3cret@db/faxgw at 2026-11-22T10:00")
    '01890a5d-ac96-774b-bcce-b302099a8057 by postgresql://faxgw:[hidden]@db/faxgw at 2026-11-22T10:00'
    """
    if len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} characters)"
    text = _CONTENT.sub(_without_content, text)
    text = _SECRETS.sub(lambda match: f"{next(filter(None, match.groups()), '')}{HIDDEN}", text)
    return _NUMBER_OR_NOT.sub(lambda match: match["kept"] or masked(match[0]), text)


def _field(name: str, value: Any, deep: int) -> Any:
    words = {name.lower(), re.split(r"[^a-z0-9]+", name.lower())[-1]}
    if value is None or isinstance(value, bool):
        return value
    if words & SECRETS or words & CONTENT:
        return HIDDEN
    if words & NUMBERS:
        return _masked(value, deep)
    return _value(value, deep)


def _masked(value: Any, deep: int) -> Any:
    if isinstance(value, Mapping):
        return _value(value, deep)
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(str(each)) for each in value]
    return masked(str(value))


def _value(value: Any, deep: int) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, Mapping) and deep:
        return {str(name): _field(str(name), each, deep - 1) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and deep:
        return [_value(each, deep - 1) for each in value]
    if isinstance(value, _PLAIN):
        return scrubbed(str(value.value if isinstance(value, Enum) else value))
    if isinstance(value, BaseException):
        return scrubbed(f"{type(value).__name__}: {value}")
    # Anything else may hold a page, and its repr() shows what it holds.
    size = f" of {len(value)} octets" if isinstance(value, bytes | bytearray | memoryview) else ""
    return f"<{type(value).__name__}{size}>"


def _without_content(match: re.Match[str]) -> str:
    if match["bytes"]:
        return f"<bytes, {len(match['bytes'])} characters>"
    return f"{match['sql'] or match['row'] or match['input']}{HIDDEN}{']' if match['sql'] else ''}"
