"""Makes the recordings that are kept of this engine, one of each kind of call: ``python -m tests.faxgw.trace.keeping``.

They are made anew as long as the engine was not released. Once it was, they stay as they are for ever: an engine that
does something else has another number (``t30.ENGINE``), and recordings of its own. The demo's is the README's picture.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from rich.console import Console

from drivers.t38.media import Agreed
from drivers.t38.udptl import Protection
from faxgw.demo import demo
from faxgw.trace.ladder import ladder
from faxgw.trace.reading import read
from simulators.faults import Faults
from simulators.network import Weather
from simulators.tray import Sheet
from t30 import ENGINE
from t30.capabilities import Offer
from t30.policy import Correction, Policy
from t30.rates import Family, Modulation
from tests.faxgw.trace.calls import ANSWERER, CALLER, sip_calls, t38_calls
from tests.faxgw.trace.modem_calls import modem_calls
from tests.simulators.calls import sheet

KEPT = Path(__file__).parent / "kept"
OF_TODAY = KEPT / f"engine-{ENGINE}"
PLAIN = replace(ANSWERER, ecm=False)
GIVES_UP = Policy(correction=Correction(4, persist=False))
SLOW = replace(CALLER, max_bps=2400, families=frozenset({Family.V27TER}), policy=GIVES_UP)
Calls = tuple[Path, Path]


def pages(count: int, rows: int = 60) -> list[Sheet]:
    """Return small pages."""
    return [sheet(number + 1, rows=rows) for number in range(count)]


def calls(folder: Path) -> Iterator[tuple[str, Calls]]:
    """Make a call of each kind, one after the other; yield its name and both ends' recordings."""
    bad = Faults(seed=1, corrupt=frozenset({4, 7, 10, 13}), error_density=0.02)
    noisy = Faults(seed=5, corrupted=0.6, error_density=0.0015, untrainable=frozenset({Modulation.V17_14400}))
    octets = [bytes(Random(5).randrange(1, 256) for _ in range(2500))]
    yield "class1", modem_calls(folder, pages(2), scheme="class1")
    yield "class1-plain", modem_calls(folder, pages(2), scheme="class1", answerer=PLAIN)
    secretive = replace(CALLER, subaddress="4711", password="xyz")
    yield "damaged", modem_calls(folder, pages(2, 120), caller=secretive, answerer=PLAIN, faults=noisy)
    yield "corrected", modem_calls(folder, pages(2), faults=bad)
    yield "given-up", modem_calls(folder, pages(1), caller=SLOW, faults=bad)
    refused = Faults(seed=4, corrupt=frozenset({4}), error_density=0.01)
    yield "refused", modem_calls(folder, pages(2), answerer=PLAIN, faults=refused)
    yield "not-ready", modem_calls(folder, pages(1), slow=2)
    yield "cancelled", modem_calls(folder, pages(1), cancel_at=13.0)
    yield "dropped", modem_calls(folder, pages(1), faults=Faults(drop_at=15.0))
    yield "unreachable", modem_calls(folder, pages(1), number="19995550100")
    yield "polled", modem_calls(folder, pages(1), answerer=replace(ANSWERER, offer=Offer()), polls=True)
    yield "sip", sip_calls(folder, octets)
    yield "sip-loss", sip_calls(folder, octets, options="&version=3", weather=Weather(loss=0.03, seed=1))
    agreed = Agreed(3, Protection(0, 3))
    yield "udptl", t38_calls(folder, octets, answerer=PLAIN, agreed=agreed, there=Weather(loss=0.02, seed=2))


def keep(folder: Path, into: Path) -> None:
    """Make all of them, one that is cut off, and the demo's."""
    into.mkdir(exist_ok=True)
    for name, (out, in_) in calls(folder):
        for end, path in (("out", out), ("in", in_)):
            if name != "unreachable" or end == "out":
                shutil.copy(path, into / f"{name}-{end}.jsonl")
    octets = (into / "class1-out.jsonl").read_bytes()
    (into / "cut-off-out.jsonl").write_bytes(octets[: len(octets) * 7 // 10])
    demo(folder / "demo", Console(quiet=True), speed=10.0)
    shutil.copy(folder / "demo" / "call.jsonl", into / "demo-out.jsonl")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        keep(Path(scratch), OF_TODAY)
    drawn = ladder(read(OF_TODAY / "demo-out.jsonl"))
    (Path(__file__).parents[3] / "docs" / "ladder.svg").write_text(drawn, encoding="utf-8")
