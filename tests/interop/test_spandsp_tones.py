"""The tones of both: ours hears what libspandsp makes, and libspandsp hears what ours makes."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.g711 import tones
from drivers.g711.companding import Samples, compress, expand
from drivers.g711.hearing import Heard, Hearing
from drivers.g711.law import Law
from t30.line import Tone
from tests.drivers.g711 import signals

pytestmark = pytest.mark.interop

Ask = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
MADE = {
    "cng": Heard.CNG,
    "ced": Heard.CED,
    "ced with reversals": Heard.CED,
    "ansam": Heard.CED,
    "ansam with reversals": Heard.CED,
    "flags": Heard.V21,
}


@pytest.fixture
def spandsp_tones(peer_library: Callable[[str], str]) -> Ask:
    """Return a function that has ``spandsp_tones.py`` do what it describes."""
    peer_library("spandsp")

    def ask(asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(each) + "\n" for each in asked)
        command = [sys.executable, "-m", "tests.interop.spandsp_tones"]
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=60, check=False)
        print(done.stderr)
        assert done.returncode == 0
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


@pytest.mark.parametrize("name", MADE)
def test_ours_hears_what_libspandsp_makes_at_every_level(spandsp_tones: Ask, name: str) -> None:
    seconds = 1.0 if name == "flags" else 3.3
    [made] = spandsp_tones([{"make": name, "seconds": seconds}])
    samples = np.frombuffer(base64.b64decode(made["samples"]), np.int16).astype(float)
    samples *= 1 / np.abs(samples).max()
    for dbm0 in (-43.0, -30.0, -13.0, -1.5):
        for law in Law:
            over = expand(compress((samples * tones.peak(dbm0)).round().astype(np.int16), law), law)
            hearing = Hearing()
            heard = [signal for at in range(0, len(over), 800) for signal in hearing.take(over[at : at + 800])]
            assert heard == [MADE[name]], (dbm0, law)


@pytest.mark.parametrize("tone", Tone)
@pytest.mark.parametrize("law", Law)
def test_libspandsp_hears_our_tones_and_only_these(spandsp_tones: Ask, tone: Tone, law: Law) -> None:
    ours: Samples = np.concatenate((expand(b"".join(tones.blocks(tone, law)), law), np.zeros(4000, np.int16)))
    coded = base64.b64encode(ours.tobytes()).decode()
    answers = spandsp_tones([{"hear": name, "samples": coded} for name in ("cng", "ced", "flags")])
    heard = {name for each in answers for name in each["heard"]} - {"none"}
    assert heard == {tone.name.lower()}


def test_libspandsp_hears_the_flags_by_which_ours_is_tried(spandsp_tones: Ask) -> None:
    sound = signals.leveled(signals.fsk(signals.FLAG * 37), -13).astype(np.int16)
    coded = base64.b64encode(sound.tobytes()).decode()
    [answer] = spandsp_tones([{"hear": "flags", "samples": coded}])
    assert "flags" in answer["heard"]
