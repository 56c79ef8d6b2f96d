"""Any octets at all as pages, by Atheris: interpreted, where it sees what kernels do with them, and then compiled.

What was found to take new branches is where the compiled run begins, which has larger pages, and checks every index.
"""

from pathlib import Path

import pytest

from tests.fuzz import pages
from tests.fuzz.running import CHECKED, INTERPRETED, fuzz


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("name", [each.name for each in pages.TARGETS])
def test_no_octets_do_harm_as_a_page(name: str, tmp_path: Path, soak: bool, soak_seed: int) -> None:
    fuzz(name, soak=soak, seed=soak_seed, floor=20, kept=tmp_path, environment=INTERPRETED)
    fuzz(name, soak=soak, seed=soak_seed, floor=100, kept=tmp_path, environment=CHECKED)
