"""Compiled code reads past an array in silence: the tests on damage run once more with every index checked."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from t30.t4.jit import kernel

HERE = Path(__file__).parent
CHECKED = os.environ.get("NUMBA_BOUNDSCHECK") == "1"


@kernel
def reach(array: NDArray[np.int64], index: int) -> int:
    return int(array[index])


@pytest.mark.skipif(CHECKED, reason="this is the run with bounds checked")
@pytest.mark.slow
def test_nothing_is_read_or_written_out_of_bounds() -> None:
    files = [
        HERE / "test_damage.py",
        HERE / "test_codec.py",
        HERE / "test_jbig.py",
        HERE / "test_transcode.py",
        HERE.parents[1] / "faxgw/documents/test_screening.py",
        Path(__file__),
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", *map(str, files)]
    checked = subprocess.run(
        command, env=os.environ | {"NUMBA_BOUNDSCHECK": "1"}, capture_output=True, text=True, timeout=400, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(not CHECKED, reason="only where bounds are checked")
def test_bounds_are_checked_here() -> None:
    with pytest.raises(IndexError):
        reach(np.zeros(4, np.int64), 4)
    assert Path(vars(numba.config)["CACHE_DIR"]).name == "boundscheck"


def test_kernels_compile_where_nothing_can_be_cached() -> None:
    made: dict[str, Callable[[int], int]] = {}
    exec(compile("def twice(x: int) -> int:\n    return 2 * x\n", "/nowhere/kernels.py", "exec"), made)
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.njit(cache=True)(made["twice"])
    assert kernel(made["twice"])(21) == 42


@pytest.mark.slow
def test_a_kernel_is_compiled_anew_when_another_file_changes(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text("from t30.t4.jit import part\n\n@part\ndef twice(x):\n    return 2 * x\n")
    kernel_of_it = "@kernel\ndef f(x):\n    return twice(x)\n\nprint(f(21))\n"
    (tmp_path / "outer.py").write_text("from inner import twice\nfrom t30.t4.jit import kernel\n\n" + kernel_of_it)
    found = []
    for source in ("2 * x", "2 * x", "3 * x + 0"):
        inner = tmp_path / "inner.py"
        text = inner.read_text().replace("2 * x", source)
        if text != inner.read_text():
            inner.write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", "import outer"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        found.append(done.stdout)
    assert found == ["42\n", "42\n", "63\n"]


def test_numba_is_loaded_by_the_first_call_of_a_kernel_and_not_before() -> None:
    code = """
import sys
import numpy as np
from t30.pages import Coding
from t30.t4 import Bitmap, Decoder, encode
assert "numba" not in sys.modules
encode(Bitmap.from_pels(np.eye(2, 8, dtype=np.uint8)), Coding.MMR)
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
