"""Telephone numbers: what a person types brought into E.164 form, what kind it is, how little of it a log may show."""

import re
from dataclasses import dataclass
from enum import Enum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberType, shortnumberinfo

from faxgw.errors import RequestError


class Kind(Enum):
    """What calling a number means; the value is the name in the API."""

    ORDINARY = "ordinary"
    EMERGENCY = "emergency"
    PREMIUM = "premium"
    SHORT = "short"
    TOLL_FREE = "toll_free"
    SHARED_COST = "shared_cost"


_KINDS = {
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
}
_EMERGENCY_EVERYWHERE = frozenset({"112", "911"})
"""Mobile networks and many exchanges connect these to the emergency service wherever they stand."""
_LONGEST_EMERGENCY = 6
"""Digits of the longest emergency number of any country; a country code has three at most."""

_TYPED = re.compile(r"[\s(]*[+\uff0b]?[\d\s().\-/\u2010-\u2015]*")
_SUBADDRESS = re.compile(r"(?P<number>[^=;]*)/T33S=(?P<subaddress>[0-9#]{1,20})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbering plan that a tenant dials in.

    Attributes:
        region: country of numbers written without country code, as two letters (``DE``); None: there must be one.
        extra: exact numbers that are taken although no plan knows them: the sandbox's, extensions of a local exchange.
    """

    region: str | None = None
    extra: frozenset[str] = frozenset()


def normalised(text: str, numbering: Numbering) -> str:
    """Return a number in E.164 form; short and emergency numbers, which have none, as their digits.

    Raises:
        RequestError: ``number.invalid``.

    >>> normalised("030 / 123 45 67", Numbering("DE")), normalised("+1 (212) 555-1234", Numbering())
    ('+49301234567', '+12125551234')
    """
    digits = _compact(text)
    if digits in numbering.extra or _is_emergency(digits, numbering.region):
        return digits
    number = _parsed(digits, numbering.region)
    full = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if full in numbering.extra or _is_emergency(full, None) or phonenumbers.is_valid_number(number):
        return full
    if _is_short(number, digits, numbering.region):
        return digits
    raise RequestError("number.invalid", f"{text.strip()!r} is no number that can be called: check its digits")


def kind(number: str, numbering: Numbering) -> Kind:
    """Return what calling a normalised number means.

    Raises:
        RequestError: ``number.invalid`` when it is none.

    >>> kind("112", Numbering("DE")), kind("+499001123456", Numbering())
    (<Kind.EMERGENCY: 'emergency'>, <Kind.PREMIUM: 'premium'>)
    """
    if _is_emergency(number, numbering.region):
        return Kind.EMERGENCY
    if number in numbering.extra:
        return Kind.ORDINARY
    if not number.startswith("+"):
        return Kind.SHORT
    return _KINDS.get(phonenumbers.number_type(_parsed(number, None)), Kind.ORDINARY)


def caller_id(text: str, numbering: Numbering) -> str:
    """Return who calls, as well as can be told: in E.164 form, else its digits as given, empty when withheld.

    >>> [caller_id(each, Numbering("DE")) for each in ("0301234567", "4711", "anonymous")]
    ['+49301234567', '4711', '']
    """
    try:
        return normalised(text, numbering)
    except RequestError:
        plus = "+" if text.strip().startswith("+") else ""
        digits = "".join(each for each in text if each in "0123456789")
        return plus + digits if digits else ""


def split_subaddress(text: str) -> tuple[str, str]:
    """Return the number and the subaddress (T.33) behind it, written as RFC 3192 does; empty when there is none.

    >>> split_subaddress("+49 30 1234567/T33S=12"), split_subaddress("030/1234567")
    (('+49 30 1234567', '12'), ('030/1234567', ''))
    """
    found = _SUBADDRESS.fullmatch(text.strip())
    return (found["number"], found["subaddress"]) if found else (text, "")


def masked(number: str) -> str:
    """Return what a log may show of a number: the country code and the last two digits. Takes anything.

    >>> masked("+49301234567"), masked("4711"), masked("12345"), masked("")
    ('+49…67', '…', '…45', '')
    """
    digits = "".join(each for each in number if each in "0123456789")
    if not number:
        return ""
    end = digits[-2:] if len(digits) > 4 else ""
    try:
        country = f"+{phonenumbers.parse(number, None).country_code}"
    except NumberParseException:
        country = ""
    return f"{country}…{end}"


# ------------------------------------------------------------------------------------------------------------- reading


def _compact(text: str) -> str:
    """Return the digits, and the plus sign before them; separators are left out."""
    if not _TYPED.fullmatch(text) or len(text) > 80:
        raise RequestError("number.invalid", "a telephone number is written with digits, such as +49 30 1234567")
    digits = "".join(str(int(each)) for each in text if each.isdecimal())
    if not digits:
        raise RequestError("number.invalid", "the telephone number is empty")
    return ("+" if text.strip(" \t\r\n(")[0] in "+\uff0b" else "") + digits


def _parsed(digits: str, region: str | None) -> PhoneNumber:
    try:
        return phonenumbers.parse(digits, region)
    except NumberParseException as error:
        if error.error_type == NumberParseException.INVALID_COUNTRY_CODE:
            reason = f"{digits} has no country code: write it as +49 30 1234567"
        else:
            reason = f"{digits} is no telephone number: it has too few digits, or too many"
        raise RequestError("number.invalid", reason) from None


def _is_short(number: PhoneNumber, digits: str, region: str | None) -> bool:
    """Tell whether the digits as they were typed, with nothing before them, are a short number of the region."""
    if region is None or phonenumbers.national_significant_number(number) != digits:
        return False
    return shortnumberinfo.is_valid_short_number_for_region(number, region)


def _is_emergency(number: str, region: str | None) -> bool:
    """Tell whether exactly these digits, dialled here or behind a country code, reach an emergency service."""
    if not number.startswith("+"):
        return number in _EMERGENCY_EVERYWHERE or _emergency_in(number, region)
    if len(number) > len("+123") + _LONGEST_EMERGENCY:
        return False
    try:
        parsed = phonenumbers.parse(number, None)
    except NumberParseException:
        return False
    regions = phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    national = phonenumbers.national_significant_number(parsed)
    return any(_emergency_in(national, each) for each in regions)


def _emergency_in(digits: str, region: str | None) -> bool:
    if region is None or len(digits) > _LONGEST_EMERGENCY:
        return False
    return shortnumberinfo.is_emergency_number(digits, region)
