"""A real document through everything: what is received equals what was drawn, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from faxgw.documents.sample import write_sample
from t30.capabilities import Station
from t30.pages import Coding
from tests.faxgw.job import drawn, fax, received
from tests.simulators.calls import FIVE_WAYS

MEGABYTE = 1 << 20
FLAT_WITHIN = 100 * MEGABYTE


@pytest.mark.parametrize(("coding", "ecm"), FIVE_WAYS, ids=str)
def test_a_pdf_arrives_bit_for_bit(coding: Coding, ecm: bool, tmp_path: Path) -> None:
    document = tmp_path / "document.pdf"
    write_sample(document)
    station = Station(ident="+49 30 1234567", ecm=ecm, codings=frozenset({coding}))
    sent, got = fax([document], tmp_path / "in", station)
    assert (sent.verdict, got.verdict, got.remote_id) == ("delivered", "received", "+49 30 1234567")
    assert {page.format.coding for page in got.pages} == {coding}
    assert sent.ecm is got.ecm is ecm
    pages = drawn([document])
    assert len(pages) == 3
    assert received(tmp_path / "in" / "fax.tif") == pages
    assert (tmp_path / "in" / "fax.pdf").stat().st_size > 10_000


@pytest.mark.slow
def test_two_hundred_pages_leave_memory_flat(tmp_path: Path) -> None:
    measured = subprocess.run(
        [sys.executable, "-m", "tests.faxgw.two_hundred_pages", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    result = json.loads(measured.stdout)
    assert (result["sent"], result["received"], result["pages"]) == ("delivered", "received", 200)
    assert result["last"] - result["tenth"] < FLAT_WITHIN, result
