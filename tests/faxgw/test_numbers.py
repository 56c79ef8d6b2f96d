"""Telephone numbers: read, sorted by kind, masked."""

import pytest
from hypothesis import given
from hypothesis.strategies import integers, sampled_from, text
from phonenumbers import PhoneMetadata, country_code_for_region, shortnumberinfo

from faxgw.errors import RequestError
from faxgw.numbers import Kind, Numbering, caller_id, kind, masked, normalised, split_subaddress

GERMAN = Numbering("DE")
SANDBOX = Numbering(extra=frozenset(f"+15550{n}" for n in range(100, 200)))


@pytest.mark.parametrize(
    "typed",
    [
        "+49301234567",
        "+49 30 1234567",
        "+49 (0)30 123-4567",
        "(+49) 30/1234567",
        "030 1234567",
        "0049 30 1234567",
        " 030.123.45.67 ",
        "030\u2013123\u00a04567",
        "\uff0b49 30 1234567",
    ],
)
def test_a_number_is_brought_into_e164_however_it_is_typed(typed: str) -> None:
    assert normalised(typed, GERMAN) == "+49301234567"


@pytest.mark.parametrize(
    "typed",
    ["", " ", "+", "abc", "1-800-FLOWERS", "+49+30", "+49301234567 ext 5", "1", "9" * 79, "0" * 81, "+999123456"],
)
@pytest.mark.parametrize("numbering", [GERMAN, Numbering()])
def test_what_is_no_number_is_refused_with_one_sentence(typed: str, numbering: Numbering) -> None:
    with pytest.raises(RequestError) as refused:
        normalised(typed, numbering)
    assert refused.value.code == "number.invalid"
    assert refused.value.reason
    assert "\n" not in refused.value.reason


def test_a_national_number_needs_a_region() -> None:
    with pytest.raises(RequestError, match="country code"):
        normalised("030 1234567", Numbering())


@given(text(max_size=30))
def test_any_text_is_a_number_or_refused(typed: str) -> None:
    try:
        number = normalised(typed, GERMAN)
    except RequestError as refused:
        assert refused.code == "number.invalid"
    else:
        assert number.removeprefix("+").isdecimal()
        assert normalised(number, GERMAN) == number
        assert isinstance(kind(number, GERMAN), Kind)


def test_the_sandbox_takes_its_numbers_which_no_plan_knows_and_no_others() -> None:
    assert normalised("+1 555 0100", SANDBOX) == "+15550100"
    assert kind("+15550100", SANDBOX) is Kind.ORDINARY
    assert normalised("0015550100", Numbering("DE", SANDBOX.extra)) == "+15550100"
    for number, numbering in (("+15550100", Numbering()), ("+15550099", SANDBOX)):
        with pytest.raises(RequestError):
            normalised(number, numbering)


@pytest.mark.parametrize(
    ("number", "region", "expected"),
    [
        ("112", "DE", Kind.EMERGENCY),
        ("110", "DE", Kind.EMERGENCY),
        ("911", "US", Kind.EMERGENCY),
        ("911", "DE", Kind.EMERGENCY),
        ("999", "GB", Kind.EMERGENCY),
        ("112", None, Kind.EMERGENCY),
        ("+49112", None, Kind.EMERGENCY),
        ("+49112", "US", Kind.EMERGENCY),
        ("0049 110", "DE", Kind.EMERGENCY),
        ("115", "DE", Kind.SHORT),
        ("0900 1 123456", "DE", Kind.PREMIUM),
        ("0137 7 123456", "DE", Kind.PREMIUM),
        ("+1 900 555 1234", None, Kind.PREMIUM),
        ("+979 1 1234 5678", None, Kind.PREMIUM),
        ("0800 1234567", "DE", Kind.TOLL_FREE),
        ("0180 5 123456", "DE", Kind.SHARED_COST),
        ("030 1234567", "DE", Kind.ORDINARY),
        ("0171 1234567", "DE", Kind.ORDINARY),
        ("+1 212 555 1234", None, Kind.ORDINARY),
    ],
)
def test_kinds_of_number_are_told_apart(number: str, region: str | None, expected: Kind) -> None:
    numbering = Numbering(region)
    assert kind(normalised(number, numbering), numbering) is expected


@pytest.mark.parametrize("region", sorted(shortnumberinfo.SUPPORTED_SHORT_REGIONS))
def test_every_emergency_number_that_is_known_is_told(region: str) -> None:
    metadata = PhoneMetadata.short_metadata_for_region(region)
    example = metadata.emergency.example_number if metadata and metadata.emergency else None
    if example is not None:
        assert kind(example, Numbering(region)) is Kind.EMERGENCY
        country = country_code_for_region(region)
        assert kind(f"+{country}{example}", Numbering()) is Kind.EMERGENCY
        assert kind(normalised(example, Numbering(region)), Numbering(region)) is Kind.EMERGENCY


@pytest.mark.parametrize("typed", ["0115", "0049115", "+49115"])
def test_a_short_number_is_one_only_with_nothing_before_it(typed: str) -> None:
    with pytest.raises(RequestError):
        normalised(typed, GERMAN)


def test_an_emergency_number_stays_one_even_where_it_is_entered_as_extra() -> None:
    assert kind("112", Numbering("DE", frozenset({"112"}))) is Kind.EMERGENCY


@pytest.mark.parametrize(
    ("text_given", "expected"),
    [
        ("0301234567", "+49301234567"),
        ("+49 30 1234567", "+49301234567"),
        ("4711", "4711"),
        ("+15550199", "+15550199"),
        ("", ""),
        ("anonymous", ""),
        ("P", ""),
        ("sip:200@pbx", "200"),
    ],
)
def test_a_caller_is_named_as_well_as_the_line_tells(text_given: str, expected: str) -> None:
    assert caller_id(text_given, GERMAN) == expected


@given(text(max_size=100))
def test_no_caller_id_is_too_odd(text_given: str) -> None:
    assert caller_id(text_given, GERMAN).removeprefix("+").isdecimal() or caller_id(text_given, GERMAN) == ""


@given(country=sampled_from(["49", "1", "353"]), rest=integers(10**7, 10**9))
def test_a_mask_shows_the_country_and_two_digits_only(country: str, rest: int) -> None:
    assert masked(f"+{country}{rest}") == f"+{country}…{rest % 100:02}"


@pytest.mark.parametrize(
    ("number", "shown"), [("", ""), ("112", "…"), ("4711", "…"), ("0301234567", "…67"), ("?", "…")]
)
def test_a_mask_of_what_is_no_full_number_shows_less(number: str, shown: str) -> None:
    assert masked(number) == shown


def test_a_subaddress_is_written_behind_the_number() -> None:
    assert split_subaddress(" +49 30 1234567/t33s=12#3 ") == ("+49 30 1234567", "12#3")
    assert split_subaddress("030/1234567") == ("030/1234567", "")
    with pytest.raises(RequestError):
        normalised(split_subaddress("+49 30 1234567/T33S=x")[0], GERMAN)
