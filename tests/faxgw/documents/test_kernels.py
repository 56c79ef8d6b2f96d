"""No call waits for anything to be compiled, nor for what was to be loaded: all of it is there before."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
CALLS = '''
import asyncio, sys
from pathlib import Path
import numpy as np
from PIL import Image
from drivers.t38 import pages
from faxgw.documents import kernels
from faxgw.documents.document import open_document
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from t30.capabilities import Station
from t30.pages import Coding, FetchPage, JudgePage, KeepData
from t30.t4 import jit
from tests.drivers.t38.calls import call as network_call
from tests.drivers.t38.test_pages import FILL, MMR, SHEETS, TakesItsTime, plain
from tests.faxgw.documents.making import limits
from tests.simulators.calls import FIVE_WAYS, call

ways = [*FIVE_WAYS, (Coding.T85, True)]

def there():
    """Return which kernels can be called, each with the kinds of what it takes, and the folder they come from."""
    return {(each.__module__, each.__qualname__): sorted(map(str, getattr(made, "signatures", ())))
            for each, made in jit._compiled.items()}

async def documents(folder):
    """Send a photo and a text in every coding, as the gateway does, and receive them."""
    Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (300, 3))).save(folder / "photo.png")
    (folder / "text.txt").write_text("A few words.")
    source, target = PageSource(open_document([folder / "photo.png", folder / "text.txt"])), PageTarget(folder / "out")
    for place, (coding, ecm) in enumerate(ways):
        for index in range(2):
            page = await source.perform(FetchPage(index, limits(coding=coding, ecm=ecm, codings=[coding]), 96))
            assert page.format.coding is coding
            await target.perform(KeepData(2 * place + index, page.format, page.octets))
            assert (await target.perform(JudgePage(2 * place + index))).durable
    await source.close()
    await target.close()

kernels.load(frozenset(Coding))
asyncio.run(pages.prepare(fill=True, mmr=True))
before = there()
assert sum(map(bool, before.values())) > 6, before
asyncio.run(documents(Path(sys.argv[1])))
for coding, ecm in ways:
    one, other = (Station(number, ecm=ecm, codings=frozenset({Coding.MH, Coding.MMR, coding})) for number in "12")
    assert call(SHEETS, sender=one, receiver=other).sent.verdict == "delivered"
for coding in (Coding.MH, Coding.MR):
    for agreed in (FILL, MMR):
        done = network_call(SHEETS, sender=plain(coding), agreed=agreed, habit=TakesItsTime())
        assert done.sent.verdict == "delivered", done.told()
new = {name: kinds for name, kinds in there().items() if kinds != before.get(name)}
assert not new, f"compiled or loaded in a call: {new}"
'''


def test_nothing_is_compiled_in_a_call(tmp_path: Path) -> None:
    """In no coding, T.85 and the two ways of T.38 to send less than a page among them."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{CALLS}", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stderr
