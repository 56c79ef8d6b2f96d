"""How many faxes go in one call, and which may follow which."""

from typing import Any
from uuid import UUID

import pytest

from faxgw.rules.together import ALIKE, TogetherPolicy, goes_with

FAX: dict[str, Any] = {name: f"the same {name}" for name in ALIKE} | {"private_id": None, "plan": {}}


def test_alike_faxes_follow_each_other() -> None:
    assert goes_with(FAX, FAX, line="one")
    assert goes_with({**FAX, "plan": {"avoid": "two"}}, FAX, line="one")


@pytest.mark.parametrize("name", ALIKE)
def test_whatever_is_not_alike_keeps_them_apart(name: str) -> None:
    assert not goes_with({**FAX, name: "another"}, FAX, line="one")


def test_words_in_confidence_and_a_line_to_be_avoided_keep_them_apart() -> None:
    secret = {**FAX, "private_id": UUID(int=1)}
    assert not goes_with(secret, secret, line="one")
    assert not goes_with({**FAX, "plan": {"avoid": "one"}}, FAX, line="one")


def test_both_limits_hold_and_nothing_is_together_unless_wanted() -> None:
    policy = TogetherPolicy(faxes=3, pages=10)
    assert policy.takes(4, faxes_so_far=2, pages_so_far=6)
    assert not policy.takes(5, faxes_so_far=2, pages_so_far=6)
    assert not policy.takes(1, faxes_so_far=3, pages_so_far=6)
    assert not TogetherPolicy().takes(1, faxes_so_far=1, pages_so_far=1)
