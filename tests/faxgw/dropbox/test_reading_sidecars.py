"""Whatever a sidecar or a name is made of, it is taken or refused in words, and nothing else happens."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxgw.dropbox.naming import LONGEST, name_of, split
from faxgw.dropbox.sidecar import FIELDS, read_sidecar, wish_for
from faxgw.errors import RequestError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
SAID = st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON, max_size=5)


@given(octets=st.binary() | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
@example(octets=b"[" * 3000)
@example(octets=b'{"to": 1' + b"0" * 5000 + b"}")
@example(octets=b'{"to": NaN}')
def test_any_octets_are_a_sidecar_or_refused(octets: bytes) -> None:
    refused(octets)


@given(said=SAID)
def test_any_fields_are_taken_or_refused(said: dict[str, object]) -> None:
    refused(json.dumps({"to": "+15550100", **said}).encode())


def refused(octets: bytes) -> None:
    """Read a sidecar, which may be refused in one sentence."""
    try:
        read_sidecar(octets)
    except RequestError as wrong:
        assert wrong.code == "drop.sidecar"
        assert wrong.reason.startswith("The sidecar is not as docs/dropbox.md describes it: ")


@given(path=st.binary(max_size=400) | st.text().map(lambda text: text.encode("utf-8", "ignore")))
def test_any_path_is_below_the_folder_or_refused(path: bytes) -> None:
    try:
        parts = split(path)
        assert not {"", ".", ".."} & set(parts)
        name = name_of(parts[0]) if parts else name_of("x")
    except RequestError as wrong:
        assert wrong.code == "drop.name"
        return
    assert "/" not in name.text
    assert len(name.text) <= LONGEST
    assert name.stem == name_of(name.text).stem
    assert name.error.endswith(".error.txt")


@given(value=st.text(max_size=30))
def test_what_was_written_is_not_repeated_in_what_is_wrong(value: str) -> None:
    secret = f"Kanarienvogel {value}"
    with pytest.raises(RequestError) as wrong:
        read_sidecar(json.dumps({"to": "+15550100", "priority": secret, "cover": {"subject": [secret]}}).encode())
    assert "Kanarienvogel" not in wrong.value.reason


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("+15550100.pdf", "+15550100"),
        ("+15550100_a.b.pdf", "+15550100"),
        ("+15550100 a.pdf", "+15550100"),
        ("+15550100", "+15550100"),
        ("+15550100a.pdf", ""),
        ("15550100.pdf", ""),
        ("+1555.pdf", ""),
        ("+1555010012345678.pdf", ""),
        ("a+15550100.pdf", ""),
    ],
)
def test_a_number_is_read_where_nothing_else_can_be_meant(name: str, number: str) -> None:
    assert name_of(name).number == number
    if number:
        assert wish_for(number).numbers == [number]
