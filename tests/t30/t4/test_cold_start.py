"""How long it takes until the codec can be used: imported, used for the first time ever, installed where nothing is."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
IMPORT = """
import time
began = time.perf_counter()
import t30.t4
print(time.perf_counter() - began)
"""
FIRST_USE = """
import time
import numpy as np
from t30.pages import USUAL_CODINGS
from t30.t4 import Bitmap, Decoder, encode
page = Bitmap.from_pels(np.eye(20, 64, dtype=np.uint8))
for coding in USUAL_CODINGS:
    reader = Decoder(coding, page.width)
    reader.feed(encode(page, coding))
    assert reader.finish().bitmap == page
print(time.process_time())
"""
"""Says how much of a processor it took: so long it takes where one is free."""
KEEPS = """
import sys
from pathlib import Path
from faxgw.documents import kernels
from t30.pages import Coding
kernels.keep_in(Path(sys.argv[1]))
from t30.t4 import load_kernels
load_kernels([Coding.MH])
"""


def seconds(code: str, **environment: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.alone
def test_the_codec_is_imported_within_half_a_second() -> None:
    assert min(seconds(IMPORT) for _ in range(5)) < 0.5


@pytest.mark.slow
@pytest.mark.alone
def test_the_first_use_after_installation_takes_less_than_ten_seconds(tmp_path: Path) -> None:
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_BOUNDSCHECK": "0"}
    first = seconds(FIRST_USE, **environment)
    second = min(seconds(FIRST_USE, **environment) for _ in range(3))
    print(f"first use {first:.1f} s, then {second:.1f} s")
    assert second < 2 < first < 10


@pytest.mark.interop
@pytest.mark.parametrize("home", [True, False], ids=["of a user", "of a service that has no home"])
def test_compiled_code_is_kept_though_the_installation_cannot_be_written(
    peer: Callable[[str], Path], tmp_path: Path, *, home: bool
) -> None:
    """All files but those of one folder are read-only."""
    data = tmp_path / "data"
    user = tmp_path / "home" if home else Path("/nowhere")
    for folder in (data, tmp_path / "home"):
        folder.mkdir()
    writable = str(user if home else data)
    read_only = "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"
    sandbox = [str(peer("bwrap")), *read_only, "--bind", writable, writable]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    command = [*sandbox, "--chdir", str(ROOT), sys.executable, "-c", KEEPS, str(data)]
    done = subprocess.run(
        command, env=environment | {"HOME": str(user)}, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    kept = list(tmp_path.rglob("*.nbc"))
    assert kept and all(each.is_relative_to(user if home else data / "kernels") for each in kept)
