"""200 pages through source and target: what is in memory does not grow with the pages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faxgw.documents.sample import write_sample

THROUGH = """
import asyncio, json, sys
from pathlib import Path
from faxgw.documents.document import open_document
from faxgw.documents.source import PageSource
from faxgw.documents.target import PageTarget
from t30.pages import FetchPage, JudgePage, KeepData, NoMorePages
from tests.faxgw.documents.making import drawing_process, limits

def megabytes(field, process="self"):
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split(field + ":")[1].split()[0]) / 1024

async def main(folder, copies):
    document = open_document([folder / "sample.pdf"] * copies)
    source, target = PageSource(document), PageTarget(folder / "out")
    await source.prepare()
    await target.prepare()
    pages, early = 0, None
    while not isinstance(page := await source.perform(FetchPage(pages, limits(), 0)), NoMorePages):
        for at in range(0, len(page.octets), 65536):
            await target.perform(KeepData(pages, page.format, page.octets[at : at + 65536]))
        assert (await target.perform(JudgePage(pages))).durable
        pages += 1
        worker = megabytes("VmRSS", drawing_process(document._renderer))
        if pages == 9:
            early = megabytes("VmRSS"), worker
    await target.close()
    await source.close()
    print(json.dumps({"pages": pages, "early": early, "peak": megabytes("VmHWM"), "worker": worker}))

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
@pytest.mark.slow
def test_200_pages_stay_within_100_mb_of_nine(tmp_path: Path) -> None:
    write_sample(tmp_path / "sample.pdf")
    command = [sys.executable, "-c", THROUGH, str(tmp_path), "67"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    print(figures)
    assert figures["pages"] == 201
    assert figures["peak"] - figures["early"][0] < 100
    assert figures["worker"] - figures["early"][1] < 50
