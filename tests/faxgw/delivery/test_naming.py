"""Names of files: safe, bounded, one for each fax, whatever the template and the numbers are."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from faxgw.delivery.naming import FIELDS, LONGEST, Named, check_template, stem
from faxgw.delivery.targets import SETTINGS, TEMPLATE

FAX = UUID("0198f2b5-0000-7000-8000-000000000001")
TARGET = UUID("0198f2b5-0000-7000-8000-0123456789ab")
NAMED = Named(FAX, datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC), "+49301234567", "+15550199", 3, "received", TARGET)
SAFE = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+-]*")


def test_a_name_says_what_its_template_asks_for() -> None:
    template = "in-{received:%Y%m%d-%H%M%S}_{from}_{to}_{pages}_{state}_{fax}"
    assert stem(template, NAMED) == f"in-20260504-030201_+49301234567_+15550199_3_received_{FAX}"
    assert stem(template, NAMED.told()) == f"in-20260504-030201_+49x67_+1x99_3_received_{FAX}"


def test_the_usual_name_says_no_number() -> None:
    assert stem(TEMPLATE, NAMED) == f"20260504-030201_{FAX}"


def test_a_name_is_of_one_target_where_that_is_asked_for() -> None:
    assert stem("", NAMED, by_target=True) == f"{FAX}_0123456789ab"
    assert stem("{from}", NAMED, by_target=True) == f"+49301234567_{FAX}_0123456789ab"
    assert stem("{target}-{fax}", NAMED, by_target=True) == stem("{target}-{fax}", NAMED) == f"0123456789ab-{FAX}"


@pytest.mark.parametrize("template", ["", "fax", "{from}", "{received}"])
def test_a_name_is_of_one_fax_though_the_template_does_not_say_so(template: str) -> None:
    assert stem(check_template(template), NAMED).endswith(str(FAX))


@pytest.mark.parametrize(
    "template",
    [
        "../{fax}", "a/b", "a\\b", ".{fax}", "{fax}.exe", "a b", "-rf", "a\0", "a\n", "ä", "{fax", "fax}", "{}", "{0}",
        "{box}", "{fax.int}", "{fax[0]}", "{fax!r}", "{fax:>9999}", "{from:x}", "{pages:9999d}", "{received:%c}",
        "{received:%Y/%m}", "{received:%Y%}", "{received:{fax}}", "{received:%f}", "{{fax}}", "{from}{to}{from}{to}",
        "x" * 150,
    ],
)  # fmt: skip
def test_what_could_lead_elsewhere_or_grow_is_no_template(template: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_template(template)
    with pytest.raises(ValidationError):
        SETTINGS.validate_python({"kind": "local", "template": template})


def test_what_calls_itself_a_number_and_is_none_is_cut() -> None:
    named = Named(FAX, NAMED.received, "4" * 400, "/" * 400, 1, "received", TARGET)
    assert stem("{from}_{to}", named) == f"{'4' * 32}_x_{FAX}"


@given(
    template=st.lists(st.sampled_from([*(f"{{{each}}}" for each in FIELDS), "{received:%y%j}", "a", "-", "_"])),
    sender=st.text(),
    recipient=st.text(),
)
def test_no_number_makes_a_name_unsafe_or_too_long(template: list[str], sender: str, recipient: str) -> None:
    try:
        asked = check_template("".join(template))
    except ValueError:
        return
    named = Named(FAX, NAMED.received, sender, recipient, 9999, "partially_received", TARGET)
    for each in (named, named.told()):
        for by_target in (False, True):
            name = stem(asked, each, by_target=by_target)
            assert SAFE.fullmatch(name)
            assert len(name) <= LONGEST
            assert str(FAX) in name
            assert not by_target or TARGET.hex[-12:] in name
