"""libspandsp 0.0.6 by ctypes: what of it is used, its fax machine, by itself and on a line, and its Class 1 modem.

The numbers and shapes are those of the library's public headers. Use it in a process of its own only: a crash in C
must not end pytest.
"""

import argparse
import ctypes as c
import ctypes.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

RATE = 8000
BLOCK = 160

CODINGS = {"mh": 0x02, "mr": 0x04, "mmr": 0x08}
CODING_NAMES = {1: "MH", 2: "MR", 3: "MMR"}
MODEMS = {"v27ter": 0x01, "v29": 0x02, "v17": 0x04}
EVERY_RESOLUTION = 0x01 | 0x02 | 0x04 | 0x20000 | 0x40000 | 0x100000 | 0x200000
EVERY_SIZE = 0x01 | 0x02 | 0x04 | 0x10000 | 0x20000 | 0x40000 | 0x80000 | 0x100000
STORED_AS_T6 = 3
FLOW_LOG = 5 | 0x0200 | 0x0400 | 0x2000

CALL, ANSWER, HANG_UP, CLEAR_TO_SEND = 0, 1, 2, 7
"""What a modem tells of the telephone (AT_MODEM_CONTROL)."""
ALERTING, CONNECTED, ANSWERED, BUSY, NO_DIALTONE, NO_ANSWER, HUNG_UP = range(1, 8)
"""What it is told of the call (AT_CALL_EVENT)."""

Audio: TypeAlias = "c.Array[c.c_int16]"
Samples = c.c_int16 * BLOCK
AtTransmit = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_uint8), c.c_size_t)
ModemControl = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_void_p)
T38Packet = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.POINTER(c.c_uint8), c.c_int, c.c_int)
T38Indicator = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int)
T38Data = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_int, c.POINTER(c.c_uint8), c.c_int)
T38Missing = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int, c.c_int)
PhaseD = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p, c.c_int)
PhaseE = c.CFUNCTYPE(None, c.c_void_p, c.c_void_p, c.c_int)
SetModem = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_int, c.c_int, c.c_int)
SendHdlc = c.CFUNCTYPE(None, c.c_void_p, c.POINTER(c.c_uint8), c.c_int)


class Statistics(c.Structure):
    """What ``t30_get_transfer_statistics`` fills in."""

    _fields_ = [
        ("bit_rate", c.c_int),
        ("ecm", c.c_int),
        ("pages_sent", c.c_int),
        ("pages_received", c.c_int),
        ("pages_in_file", c.c_int),
        ("x_resolution", c.c_int),
        ("y_resolution", c.c_int),
        ("width", c.c_int),
        ("rows", c.c_int),
        ("octets", c.c_int),
        ("coding", c.c_int),
        ("bad_rows", c.c_int),
        ("longest_bad_run", c.c_int),
        ("ecm_retries", c.c_int),
        ("status", c.c_int),
    ]


PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "at_set_call_info": (None, [c.c_void_p, c.c_char_p, c.c_char_p]),
    "fax_get_t30_state": (c.c_void_p, [c.c_void_p]),
    "fax_init": (c.c_void_p, [c.c_void_p, c.c_int]),
    "fax_rx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "fax_set_transmit_on_idle": (None, [c.c_void_p, c.c_int]),
    "fax_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "span_log_bump_samples": (c.c_int, [c.c_void_p, c.c_int]),
    "span_log_set_level": (c.c_int, [c.c_void_p, c.c_int]),
    "span_log_set_tag": (c.c_int, [c.c_void_p, c.c_char_p]),
    "t30_call_active": (c.c_int, [c.c_void_p]),
    "t30_completion_code_to_str": (c.c_char_p, [c.c_int]),
    "t30_front_end_status": (None, [c.c_void_p, c.c_int]),
    "t30_get_logging_state": (c.c_void_p, [c.c_void_p]),
    "t30_get_rx_ident": (c.c_char_p, [c.c_void_p]),
    "t30_get_transfer_statistics": (None, [c.c_void_p, c.POINTER(Statistics)]),
    "t30_hdlc_accept": (None, [c.c_void_p, c.c_char_p, c.c_int, c.c_int]),
    "t30_init": (c.c_void_p, [c.c_void_p, c.c_int, SetModem, c.c_void_p, SetModem, c.c_void_p, SendHdlc, c.c_void_p]),
    "t30_non_ecm_get_chunk": (c.c_int, [c.c_void_p, c.c_char_p, c.c_int]),
    "t30_non_ecm_put_bit": (None, [c.c_void_p, c.c_int]),
    "t30_non_ecm_put_chunk": (None, [c.c_void_p, c.c_char_p, c.c_int]),
    "t30_restart": (c.c_int, [c.c_void_p]),
    "t30_set_ecm_capability": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_minimum_scan_line_time": (None, [c.c_void_p, c.c_int]),
    "t30_set_phase_d_handler": (None, [c.c_void_p, PhaseD, c.c_void_p]),
    "t30_set_phase_e_handler": (None, [c.c_void_p, PhaseE, c.c_void_p]),
    "t30_set_rx_encoding": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_rx_file": (None, [c.c_void_p, c.c_char_p, c.c_int]),
    "t30_set_supported_compressions": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_image_sizes": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_modems": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_supported_resolutions": (c.c_int, [c.c_void_p, c.c_int]),
    "t30_set_tx_file": (None, [c.c_void_p, c.c_char_p, c.c_int, c.c_int]),
    "t30_set_tx_ident": (c.c_int, [c.c_void_p, c.c_char_p]),
    "t30_terminate": (None, [c.c_void_p]),
    "t30_timer_update": (None, [c.c_void_p, c.c_int]),
    "t38_core_init": (
        c.c_void_p,
        [c.c_void_p, T38Indicator, T38Data, T38Missing, c.c_void_p, T38Packet, c.c_void_p],
    ),
    "t38_core_rx_ifp_packet": (c.c_int, [c.c_void_p, c.c_char_p, c.c_int, c.c_uint16]),
    "t38_core_rx_ifp_stream": (c.c_int, [c.c_void_p, c.c_char_p, c.c_int, c.c_uint16]),
    "t38_core_send_data": (c.c_int, [c.c_void_p, c.c_int, c.c_int, c.c_char_p, c.c_int, c.c_int]),
    "t38_core_send_indicator": (c.c_int, [c.c_void_p, c.c_int]),
    "t38_set_data_rate_management_method": (None, [c.c_void_p, c.c_int]),
    "t38_set_data_transport_protocol": (None, [c.c_void_p, c.c_int]),
    "t38_set_t38_version": (None, [c.c_void_p, c.c_int]),
    "t38_terminal_get_t30_state": (c.c_void_p, [c.c_void_p]),
    "t38_terminal_get_t38_core_state": (c.c_void_p, [c.c_void_p]),
    "t38_terminal_init": (c.c_void_p, [c.c_void_p, c.c_int, T38Packet, c.c_void_p]),
    "t38_terminal_send_timeout": (c.c_int, [c.c_void_p, c.c_int]),
    "t31_at_rx": (c.c_int, [c.c_void_p, c.c_char_p, c.c_int]),
    "t31_call_event": (None, [c.c_void_p, c.c_int]),
    "t31_get_logging_state": (c.c_void_p, [c.c_void_p]),
    "t31_init": (c.c_void_p, [c.c_void_p, AtTransmit, c.c_void_p, ModemControl, c.c_void_p, T38Packet, c.c_void_p]),
    "t31_rx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
    "t31_set_transmit_on_idle": (None, [c.c_void_p, c.c_int]),
    "t31_tx": (c.c_int, [c.c_void_p, c.POINTER(c.c_int16), c.c_int]),
}


def load() -> c.CDLL:
    """Open libspandsp and declare what is used of it."""
    library = c.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    for function, (result, arguments) in PROTOTYPES.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    return library


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Add what a fax machine can be told."""
    parser.add_argument("--ecm", choices=("on", "off"), default="on")
    parser.add_argument("--compression", default="mh,mr,mmr", help="codings of the machine, of mh, mr, mmr")
    parser.add_argument("--modems", default="v27ter,v29,v17", help="modems of the machine, of v27ter, v29, v17")
    parser.add_argument("--scan-time", type=int, default=0, help="ms that the machine needs for a scan line")
    parser.add_argument("--ident", default="+1 555 0100", help="the machine's CSI or TSI")
    parser.add_argument("--verbose", action="store_true", help="let libspandsp tell its story on standard error")


class Machine:
    """The settings of one of libspandsp's T.30 engines, and what it says about the call.

    Args:
        library: as ``load`` gave it.
        t30: the engine's state.
        options: as ``add_machine_options`` declares them.
        sends: TIFF to send.
        stores: TIFF to store what comes in.
    """

    def __init__(
        self, library: c.CDLL, t30: int, options: argparse.Namespace, *, sends: Path | None, stores: Path | None
    ) -> None:
        self.result: int | None = None
        self.t30 = t30
        self.log = library.t30_get_logging_state(t30)
        self._library = library
        self._handlers = PhaseD(self._page_done), PhaseE(self._call_done)
        self._pages: list[dict[str, object]] = []
        library.t30_set_tx_ident(t30, options.ident.encode())
        library.t30_set_ecm_capability(t30, options.ecm == "on")
        library.t30_set_supported_compressions(t30, sum(CODINGS[name] for name in options.compression.split(",")))
        library.t30_set_supported_modems(t30, sum(MODEMS[name] for name in options.modems.split(",")))
        library.t30_set_minimum_scan_line_time(t30, options.scan_time)
        library.t30_set_supported_resolutions(t30, EVERY_RESOLUTION)
        library.t30_set_supported_image_sizes(t30, EVERY_SIZE)
        library.t30_set_phase_d_handler(t30, self._handlers[0], None)
        library.t30_set_phase_e_handler(t30, self._handlers[1], None)
        if sends:
            library.t30_set_tx_file(t30, os.fsencode(sends), -1, -1)
        if stores:
            library.t30_set_rx_file(t30, os.fsencode(stores), -1)
            library.t30_set_rx_encoding(t30, STORED_AS_T6)
        library.span_log_set_level(self.log, FLOW_LOG if options.verbose else 0)
        library.span_log_set_tag(self.log, b"machine")

    def cut_off(self) -> None:
        """Tell the machine that the line is gone; it has no effect once the call is over."""
        if self.result is None:
            self._library.t30_terminate(self.t30)

    def report(self) -> dict[str, object]:
        """Return the outcome as libspandsp sees it."""
        statistics = self._statistics()
        text = self._library.t30_completion_code_to_str(self.result) if self.result is not None else b"still going on"
        return {
            "result": self.result,
            "text": text.decode(),
            "pages": statistics.pages_sent + statistics.pages_received,
            "rate": statistics.bit_rate,
            "ecm": bool(statistics.ecm),
            "coding": CODING_NAMES.get(statistics.coding),
            "ecm_retries": statistics.ecm_retries,
            "remote_id": (self._library.t30_get_rx_ident(self.t30) or b"").decode("latin-1"),
            "each_page": self._pages,
        }

    def _statistics(self) -> Statistics:
        statistics = Statistics()
        self._library.t30_get_transfer_statistics(self.t30, c.byref(statistics))
        return statistics

    def _page_done(self, _t30: int, _data: int, _code: int) -> int:
        page = self._statistics()
        self._pages.append({"width": page.width, "rows": page.rows, "rate": page.bit_rate, "bad_rows": page.bad_rows})
        return 0

    def _call_done(self, _t30: int, _data: int, code: int) -> None:
        self.result = code


class Terminal:
    """libspandsp's fax machine on a line of 8 kHz audio; it calls if it has something to send.

    Args:
        library: as ``load`` gave it.
        options: as ``add_machine_options`` declares them.
        sends: TIFF to send.
        stores: TIFF to store what comes in.
        block: samples that are heard and said at a time.

    Attributes:
        machine: its settings, and its verdict.
    """

    def __init__(
        self,
        library: c.CDLL,
        options: argparse.Namespace,
        *,
        sends: Path | None,
        stores: Path | None,
        block: int = BLOCK,
    ) -> None:
        self._library = library
        self._block = block
        self._fax = library.fax_init(None, 1 if sends else 0)
        library.fax_set_transmit_on_idle(self._fax, 1)
        t30 = library.fax_get_t30_state(self._fax)
        self.machine = Machine(library, t30, options, sends=sends, stores=stores)

    def hear(self, samples: Audio) -> None:
        """Take a block of audio from the line."""
        self._library.fax_rx(self._fax, samples, self._block)

    def speak(self) -> Audio:
        """Return the next block of audio, silence when there is nothing to say."""
        samples = (c.c_int16 * self._block)()
        self._library.fax_tx(self._fax, samples, self._block)
        self._library.span_log_bump_samples(self.machine.log, self._block)
        return samples


class Modem:
    """libspandsp's T.31 modem on such a line.

    Args:
        library: as ``load`` gave it.
        control: told what the modem does with the telephone: ``CALL`` and where its number stands, ``ANSWER``,
            ``HANG_UP``.
        verbose: it tells its story on standard error.
        block: samples that are heard and said at a time.

    Attributes:
        answers: what it wants to write to the DTE.
        clear_to_send: it takes what the DTE writes.
    """

    def __init__(
        self, library: c.CDLL, *, control: Callable[[int, int | None], None], verbose: bool, block: int = BLOCK
    ) -> None:
        self._library = library
        self._block = block
        self._control = control
        self._handlers = AtTransmit(self._answer), ModemControl(self._operate), T38Packet(lambda *_: 0)
        self.answers = bytearray()
        self.clear_to_send = True
        self._t31 = library.t31_init(None, self._handlers[0], None, self._handlers[1], None, self._handlers[2], None)
        library.t31_set_transmit_on_idle(self._t31, 1)
        self._log = library.t31_get_logging_state(self._t31)
        library.span_log_set_level(self._log, FLOW_LOG if verbose else 0)
        library.span_log_set_tag(self._log, b"modem")

    def take(self, octets: bytes) -> None:
        """Take what the DTE wrote."""
        self._library.t31_at_rx(self._t31, octets, len(octets))

    def tell(self, event: int) -> None:
        """Tell the modem what happened to the call."""
        self._library.t31_call_event(self._t31, event)

    def caller_is(self, number: str) -> None:
        """Set the caller id of the next RING. The AT interpreter's state is the first member of the modem's."""
        for name, value in (("DATE", "1231"), ("TIME", "2359"), ("NMBR", number)):
            self._library.at_set_call_info(self._t31, name.encode(), value.encode())

    def hear(self, samples: Audio) -> None:
        """Take a block of audio from the line."""
        self._library.t31_rx(self._t31, samples, self._block)

    def speak(self) -> Audio:
        """Return the next block of audio, silence when there is nothing to say."""
        samples = (c.c_int16 * self._block)()
        self._library.t31_tx(self._t31, samples, self._block)
        self._library.span_log_bump_samples(self._log, self._block)
        return samples

    def _answer(self, _at: int, _data: int, octets: "c._Pointer[c.c_uint8]", length: int) -> int:
        self.answers += bytes(octets[:length])
        return 0

    def _operate(self, _t31: int, _data: int, operation: int, value: int | None) -> int:
        if operation == CLEAR_TO_SEND:
            self.clear_to_send = bool(value)
        else:
            self._control(operation, value)
        return 0
