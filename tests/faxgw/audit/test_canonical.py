"""Canonical JSON: equal values are equal octets, and nothing else is read as such."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxgw.audit.canonical import LARGEST, NotCanonical, canonical, read

text = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(value=values)
def test_what_is_written_is_read_again_and_has_one_spelling(value: object) -> None:
    octets = canonical(value)
    assert read(octets) == value
    assert canonical(json.loads(json.dumps(value))) == octets


def test_the_order_and_the_escapes_are_those_of_rfc_8785() -> None:
    # RFC 8785, 3.2.2 (without its numbers) and 3.2.3.
    assert canonical({"string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}) == (
        '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()
    )
    names = ["€", "\r", "\ufb33", "1", "😀", "\u0080", "ö"]
    said = read(canonical(dict.fromkeys(names)))
    assert list(said) == ["\r", "1", "\u0080", "ö", "€", "😀", "\ufb33"]


@pytest.mark.parametrize("value", [1.5, float("nan"), LARGEST + 1, b"x", {1: 2}, {"x": {3}}, "\ud800", {"\ud800": 1}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


@pytest.mark.parametrize(
    "octets",
    [
        *(b'{"a": 1}', b' {"a":1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":1e2}', b'{"a":-0}'),
        *(b'"\\u0041"', b'"\\/"', b"\xff", b"", b"NaN", b"9007199254740992", b"[" * 100_000, b"1\n", b"\xef\xbb\xbf1"),
    ],
    ids=range(16),
)
def test_another_spelling_is_refused(octets: bytes) -> None:
    with pytest.raises(NotCanonical):
        read(octets)
