"""libspandsp's tones of modems: what it makes, and what it hears in samples. A JSON object a line in, and one out.

``{"make": "ced", "seconds": 4}``, or ``"flags"`` for its V.21 modem's preamble -> ``{"samples": base64}``;
``{"hear": "ced", "samples": base64}`` -> ``{"heard": [names in order]}``. Samples are of 16 bits, at 8 kHz.
"""

import base64
import ctypes as c
import json
import sys
from typing import Any

from faxgw.bench.libspandsp import BLOCK, Samples, load

TONES = {"none": 0, "cng": 1, "ced": 2, "ced with reversals": 3, "ansam": 4, "ansam with reversals": 5, "flags": 6}
"""What its header calls them (MODEM_CONNECT_TONES)."""
NAMES = {number: name for name, number in TONES.items()}
V21_CHANNEL_2 = 1
"""Place in its table of FSK modems."""
FLAG = (0, 1, 1, 1, 1, 1, 1, 0)

GetBit = c.CFUNCTYPE(c.c_int, c.c_void_p)
Report = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_int, c.c_int)


class Modem(c.Structure):
    """One row of its table of FSK modems."""

    _fields_ = [
        ("name", c.c_char_p),
        ("zero", c.c_int),
        ("one", c.c_int),
        ("level", c.c_int),
        ("least", c.c_int),
        ("rate", c.c_int),
    ]


PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "fsk_tx_init": (c.c_void_p, [c.c_void_p, c.POINTER(Modem), GetBit, c.c_void_p]),
    "fsk_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "modem_connect_tones_tx_init": (c.c_void_p, [c.c_void_p, c.c_int]),
    "modem_connect_tones_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "modem_connect_tones_rx_init": (c.c_void_p, [c.c_void_p, c.c_int, Report, c.c_void_p]),
    "modem_connect_tones_rx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
}


def make(library: c.CDLL, name: str, seconds: float) -> bytes:
    """Return what its generator makes."""
    left = iter(FLAG * round(seconds * 300 / len(FLAG)))
    get_bit = GetBit(lambda _data: next(left, 0))
    if name == "flags":
        table = (Modem * (V21_CHANNEL_2 + 1)).in_dll(library, "preset_fsk_specs")
        state = library.fsk_tx_init(None, c.byref(table[V21_CHANNEL_2]), get_bit, None)
        transmit = library.fsk_tx
    else:
        state = library.modem_connect_tones_tx_init(None, TONES[name])
        transmit = library.modem_connect_tones_tx
    made = bytearray()
    for _ in range(round(seconds * 8000 / BLOCK)):
        block = Samples()
        transmit(state, block, BLOCK)
        made += bytes(block)
    return bytes(made)


def hear(library: c.CDLL, name: str, samples: bytes) -> list[str]:
    """Return what its detector of one kind reports."""
    heard: list[str] = []
    report = Report(lambda _data, tone, _level, _delay: heard.append(NAMES.get(tone, str(tone))))
    state = library.modem_connect_tones_rx_init(None, TONES[name], report, None)
    for at in range(0, len(samples) - 2 * BLOCK + 1, 2 * BLOCK):
        library.modem_connect_tones_rx(state, Samples.from_buffer_copy(samples[at : at + 2 * BLOCK]), BLOCK)
    return heard


def done(library: c.CDLL, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what comes of one line."""
    if "make" in asked:
        made = make(library, asked["make"], asked["seconds"])
        return {"samples": base64.b64encode(made).decode()}
    return {"heard": hear(library, asked["hear"], base64.b64decode(asked["samples"]))}


def main() -> None:
    """Do what standard input asks for, line by line."""
    library = load()
    for function, (result, arguments) in PROTOTYPES.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    for line in sys.stdin:
        print(json.dumps(done(library, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
