"""Any code words and damaged pages, drawn by Hypothesis: every decoder for twenty seconds, or ten minutes."""

import re

import pytest

from tests.fuzz.drawn import CODINGS
from tests.fuzz.running import CHECKED, LONG, SHORT, run


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("name", CODINGS)
def test_no_code_words_do_harm(name: str, soak: bool, soak_seed: int) -> None:
    seconds = LONG if soak else SHORT
    options = f"--seconds={seconds}", f"--seed={soak_seed}"
    said = run("tests.fuzz.drawn", name, *options, seconds=seconds, environment=CHECKED)
    drawn = re.search(r"drawn: (\d+)", said)
    assert drawn and int(drawn[1]) > 20 * seconds
    print(f"{name}: {int(drawn[1]):,} pages in {seconds} s, seed {soak_seed}")
