"""Every kind of target has a carrier, or is said to have none."""

from typing import get_args

import pytest

from faxgw.delivery import carriers
from faxgw.delivery.carrier import Refused
from faxgw.delivery.targets import LocalTarget, Settings, Target
from faxgw.gateway import Gateway
from faxgw.ids import new_id


class Made:
    """Remembers what it is made of."""

    def __init__(self, target: Target, gateway: Gateway) -> None:
        self.target, self.gateway = target, gateway


def test_every_kind_of_target_is_in_the_table() -> None:
    kinds = {get_args(each.model_fields["kind"].annotation)[0] for each in get_args(Settings)}
    assert set(carriers.CARRIERS) == kinds


def test_a_carrier_is_made_for_its_target(monkeypatch: pytest.MonkeyPatch, gateway: Gateway) -> None:
    monkeypatch.setattr(carriers, "CARRIERS", {"local": f"{__name__}:Made"})
    target = Target(new_id(), new_id(), "files", LocalTarget(kind="local"))
    made = carriers.carrier_for(target, gateway)
    assert isinstance(made, Made) and (made.target, made.gateway) == (target, gateway)


@pytest.mark.parametrize("table", [{}, {"local": "faxgw.delivery.nowhere:Nothing"}])
def test_a_kind_without_a_carrier_is_refused(
    table: dict[str, str], monkeypatch: pytest.MonkeyPatch, gateway: Gateway
) -> None:
    monkeypatch.setattr(carriers, "CARRIERS", table)
    with pytest.raises(Refused, match="local") as refused:
        carriers.carrier_for(Target(new_id(), new_id(), "files", LocalTarget(kind="local")), gateway)
    assert refused.value.code == "delivery.kind"
