"""What a tenant may lay down: safe by default, through JSON unchanged, explained field by field."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from faxgw.learning.verdicts import Verdict
from faxgw.numbers import Numbering
from faxgw.rules.attempt import Adjustments
from faxgw.rules.incoming import Assignment
from faxgw.rules.model import Rules
from faxgw.rules.policy import HeaderPolicy, TenantPolicy
from faxgw.rules.retry import RetryWish
from faxgw.rules.routing import Health, Route

MODELS: list[type[Rules]] = [TenantPolicy, Adjustments, Verdict, Assignment, Route, Health, RetryWish]

FULL = {
    "region": "DE",
    "lists": [{"pattern": "+4930*", "direction": "out", "action": "deny", "note": "why"}],
    "opened": {"premium": True, "short": False},
    "limits": {"pages": 50, "destinations": 100},
    "quotas": {"tenant": {"pages_per_day": 1000}, "key": {"calls_per_hour": 10}},
    "hours": {"zone": "Europe/Berlin", "spans": [{"days": ["fri", "mon"], "opens": "08:00", "closes": "18:00"}]},
    "schedule_days": 7,
    "retry": {"max_tries": 2, "causes": {"call.busy": {"delay": 300}, "fax.training": {"retry": False}}},
    "ladder": {"on": False},
    "learning": {"days": 7},
    "misdirect": "hold",
    "header": {"on": True, "text": "Example Ltd.", "number": "none"},
    "resolution": "standard",
    "mail": {
        "protection": "link-only",
        "domains": [{"domain": "*.example", "protection": "require-verified"}],
        "hipaa": True,
        "baa": {"partner": "Example Hosting Ltd.", "signed_on": "2026-02-01"},
        "clear_credentials": "tell",
    },
    "junk": [{"name": "hidden", "callers": ["withheld"], "action": "reject"}],
}


def test_a_policy_goes_through_json_unchanged() -> None:
    for policy in (TenantPolicy(), TenantPolicy.model_validate(FULL)):
        assert TenantPolicy.model_validate_json(policy.model_dump_json()) == policy
        assert TenantPolicy.model_validate(policy.model_dump(mode="json")).model_dump_json() == policy.model_dump_json()


def test_a_policy_that_says_nothing_is_the_default() -> None:
    assert TenantPolicy.model_validate({}) == TenantPolicy()
    assert TenantPolicy().numbering(frozenset({"+15550100"})) == Numbering(None, frozenset({"+15550100"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1},
        {"retry": {"max_trys": 3}},
        {"quotas": {"user": {}}},
        {"region": "XX"},
        {"region": "de"},
        {"misdirect": "maybe"},
        {"retry": {"max_dials": 0}},
        {"retry": {"causes": {"call.busi": {}}}},
        {"hours": {"spans": [{"opens": "08:00"}]}},
    ],
)
def test_what_a_policy_does_not_know_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TenantPolicy.model_validate(wrong)


def test_a_policy_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(TenantPolicy(), "misdirect", "hold")  # noqa: B010


@pytest.mark.parametrize("model", MODELS)
def test_xm25_every_setting_has_a_help_text_and_refuses_unknown_fields(model: type[Rules]) -> None:
    seen = 0
    for where, schema in objects(model.model_json_schema()):
        assert schema["additionalProperties"] is False, where
        for name, each in schema["properties"].items():
            assert str(each.get("description", "")).endswith("."), f"{where}.{name}"
            seen += 1
    assert seen


def objects(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the models of a JSON schema, by name."""
    for name, each in {"": schema, **schema.get("$defs", {})}.items():
        if "properties" in each:
            yield name, each


def test_the_header_line_names_the_sender_as_the_tenant_wants() -> None:
    assert HeaderPolicy(text="Example Ltd.").sender("+4930123456") == "Example Ltd. +4930123456"
    assert HeaderPolicy(text="Example Ltd.", number="none").sender("+4930123456") == "Example Ltd."
    assert HeaderPolicy().sender("+4930123456") == "+4930123456"
    assert HeaderPolicy().sender("") == ""
