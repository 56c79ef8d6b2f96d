"""Fifty faxes during which the service is killed again and again; the far ends are another process.

Printed: the seed, how often it was killed, how long the run took, and how many pages came more than once.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from faxgw.store.server import urls_for_another_node
from tests.faxgw.far_ends import Exchange
from tests.faxgw.run import PAGES, Run, accepted
from tests.faxgw.serving import Service, reachable_folder

FAXES = 50
KILLS, SHORT = 100, 10
LINES = tuple(f"line-{digit}" for digit in range(8))
NUMBERS = tuple(f"1555012{digit}" for digit in range(10))
LONGEST_LIFE = 2.5
"""Seconds between being ready and being killed, at most."""


@pytest.mark.interop
@pytest.mark.soak
def test_no_fax_is_lost_however_often_the_service_is_killed(soak: bool, soak_seed: int) -> None:
    # With few lines there is still something to be sent when it is killed for the last time.
    kills, lines = (KILLS, LINES[:4]) if soak else (SHORT, LINES)
    _kill_often(FAXES, kills, random.Random(soak_seed), lines=lines, numbers=NUMBERS)


@pytest.mark.slow
@pytest.mark.soak
def test_no_fax_is_lost_where_several_go_in_one_call(soak: bool, soak_seed: int) -> None:
    faxes, kills = (FAXES, KILLS // 2) if soak else (12, 3)
    wanted = {"together": {"faxes": 5}}
    calls = _kill_often(faxes, kills, random.Random(soak_seed), lines=LINES[:2], numbers=NUMBERS[:3], policy=wanted)
    assert any(len(call["pages"]) > PAGES for call in calls), "no two faxes went in one call"


def _kill_often(
    faxes: int,
    kills: int,
    chance: random.Random,
    *,
    lines: Sequence[str],
    numbers: Sequence[str],
    policy: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Have faxes sent by a service that is killed again and again; return the calls as the machines heard them."""
    began = time.monotonic()
    with (
        reachable_folder() as folder,
        Exchange(folder, lines=lines, numbers=numbers) as exchange,
        Service(folder, config=exchange.config()) as service,
    ):
        service.start()
        service.set_up()
        if policy:
            _lay_down(service, policy)
        run = Run(service, exchange, accepted(service, exchange, faxes))
        for _ in range(kills):
            time.sleep(chance.uniform(0, LONGEST_LIFE))
            service.kill()
            service.start()
            run.now()
        busy = run.states()
        run.until_delivered()
        repeats = run.check(interruptions=kills)
        run.check_order()
        calls = exchange.told("call")
    seconds = time.monotonic() - began
    print(
        f"\n{faxes} faxes of 2 pages, {kills} kills in {seconds:.0f} s, {busy['delivered']} delivered by the last "
        f"one; none lost, {repeats} pages came twice, none after its confirmation was recorded"
    )
    assert busy["delivered"] < faxes, "nothing was going on when it was killed"
    return calls


@pytest.mark.interop
@pytest.mark.soak
def test_two_services_share_the_work_and_killing_either_loses_nothing(soak: bool, soak_seed: int) -> None:
    faxes = FAXES if soak else 12
    chance = random.Random(soak_seed)
    half = len(LINES) // 2
    with (
        reachable_folder() as folder,
        Exchange(folder, lines=LINES, numbers=NUMBERS) as exchange,
        Service(folder, config=exchange.config(LINES[:half])) as first,
        reachable_folder() as other,
    ):
        first.start()
        first.set_up()
        with Service(other, config=_shared(first) + exchange.config(LINES[half:])) as second:
            second.start()
            second.account = first.account
            run = Run(first, exchange, accepted(first, exchange, faxes))
            victims = [first, second] * (5 if soak else 1)
            for victim in victims:
                time.sleep(chance.uniform(1, 2 * LONGEST_LIFE))
                victim.kill()
                time.sleep(chance.uniform(0, 2))
                victim.start()
            run.until_delivered()
            repeats = run.check(interruptions=len(victims))
            # Not their order: the first service's database restarts with it, and a confirmation that cannot be written
            # down in time ends the call with a goodbye, and is written down when the database is back.
            nodes = Counter(run.nodes())
    print(f"\n{faxes} faxes, calls by node: {sorted(nodes.values())}; {len(victims)} kills, {repeats} pages twice")
    assert len(nodes) == 2, "one node made every call"


def _lay_down(service: Service, policy: Mapping[str, Any]) -> None:
    """Change the policy of the tenant."""
    with service.api() as api:
        answer = api.put("/v1/policy", json=dict(policy), headers={"if-match": "*"})
    assert answer.status_code == 200, answer.text


def _shared(first: Service) -> str:
    """Return what the configuration of another node has beside ``first``: the same database, objects and keys."""
    urls = urls_for_another_node(first.data / "postgres")
    return (
        f'spool_keys = "{first.data}.spool_keys"\nserver_keys = "{first.data}/server_keys"\n'
        f'[database]\nurl = "{urls.app}"\nowner_url = "{urls.owner}"\ndispatcher_url = "{urls.dispatcher}"\n'
        f'[objects]\nurl = "file://{first.data}/objects"\n'
    )
