"""Calls that a simulated machine makes into the service, and ``faxgw send`` and ``receive`` on a ``sim:`` line."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from drivers.registry import Line, open_line
from faxgw.documents.coded import CodedPage, bitmap_of, coded_page
from faxgw.documents.tiff import tiff_octets
from faxgw.errors import RequestError
from faxgw.sandbox import call_in, lines, start_call
from simulators.clock import run
from simulators.machine import Machine
from simulators.specimen import specimen
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import AwaitCall, Ringing
from t30.pages import Length

FAXGW = Path(sys.executable).with_name("faxgw")
FAST = {**os.environ, "FAXGW_SANDBOX_SPEED": "500"}
URL = "sim:15550199"


def pages() -> list[CodedPage]:
    return [coded_page(sheet.bitmap, width=sheet.width, resolution=sheet.resolution) for sheet in specimen()]


def on_line(body: Callable[[Line], Coroutine[Any, Any, None]]) -> None:
    async def test() -> None:
        line = await open_line(URL)
        await body(line)
        await line.close()

    run(test())


def test_a_machine_calls_in_with_pages_as_they_are_stored() -> None:
    async def body(line: Line) -> None:
        tray = Tray()
        machine = Machine(Station("+1 555 0199"), line, tray)
        receiving = asyncio.create_task(machine.receive())
        sent = pages()
        outcome = await call_in("+1 (555) 0123", sent, caller="+49 30 1234567")
        assert (outcome.verdict, [page.confirmed for page in outcome.pages]) == ("delivered", [True] * 3)
        assert machine.transcript[0].event == Ringing("+49301234567", "+15550123")
        received = await receiving
        assert (received.remote_id, received.pages[0].format.length) == ("+49301234567", Length.A4)
        for index, page in enumerate(sent):
            decoded = tray.received[index].decoded
            assert decoded is not None
            assert decoded.bitmap == bitmap_of(page)

    on_line(body)


def test_a_call_that_is_started_goes_on_by_itself() -> None:
    async def body(line: Line) -> None:
        receiving = asyncio.create_task(Machine(Station(), line, Tray()).receive())
        await start_call("+15550199", pages())
        assert not receiving.done()
        assert (await receiving).verdict == "received"

    on_line(body)


def test_a_call_without_a_line_is_refused_with_the_reason() -> None:
    async def none() -> None:
        assert lines() == 0
        for call in (call_in, start_call):
            with pytest.raises(RequestError) as error:
                await call("+15550199", pages())
            assert error.value.code == "sandbox.none"

    run(none())


@pytest.mark.parametrize(("to", "caller", "code"), [("", "1", "number"), ("1", "me", "number"), ("1", "2", "sandbox")])
def test_a_call_that_cannot_be_is_refused_with_the_reason(to: str, caller: str, code: str) -> None:
    async def body(line: Line) -> None:  # which awaits no call
        assert lines() == 1
        for call in (call_in, start_call):
            with pytest.raises(RequestError) as error:
                await call(to, pages(), caller=caller, within=1.0)
            assert error.value.code == {"number": "number.invalid", "sandbox": "sandbox.no_line"}[code]

    on_line(body)


def test_two_calls_for_one_line_that_waits_leave_one_without() -> None:
    async def body(line: Line) -> None:
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        calls = [await start_call("+15550199", pages(), within=3.0) for _ in range(2)]
        assert await waiting == Ringing("+15550100", "+15550199")
        assert await calls[1] is None
        calls[0].cancel()

    on_line(body)


def test_a_page_longer_than_a4_is_sent_as_such() -> None:
    async def body(line: Line) -> None:
        receiving = asyncio.create_task(Machine(Station(), line, Tray()).receive())
        sheet = specimen()[0]
        page = CodedPage(sheet.width, sheet.resolution, 4000, pages()[0].coding, pages()[0].octets)
        await call_in("+15550199", [page])
        assert (await receiving).pages[0].format.length is Length.UNLIMITED

    on_line(body)


# ------------------------------------------------------------------------------------------------------------- commands


def faxgw(*words: object, folder: Path) -> tuple[int, dict[str, Any]]:
    command = [str(FAXGW), *map(str, words), "--json"]
    done = subprocess.run(command, cwd=folder, env=FAST, capture_output=True, text=True, timeout=60, check=False)
    print(done.stderr)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document.tif"
    path.write_bytes(tiff_octets(pages()))
    return path


@pytest.mark.slow
def test_a_fax_is_sent_to_a_number_of_the_sandbox_by_the_command_line(document: Path, tmp_path: Path) -> None:
    code, said = faxgw("send", "--line", URL, "--to", "+15550104", document, folder=tmp_path)
    assert (code, said["outcome"], said["remote_id"]) == (1, "partial", "+1 555 0104")
    assert [page["confirmed"] for page in said["pages"]] == [True]


@pytest.mark.slow
def test_a_line_receives_a_fax_by_the_command_line_if_it_is_to_ring(tmp_path: Path) -> None:
    code, said = faxgw("receive", "--line", f"{URL}?ring_after=5", "--out", "in", folder=tmp_path)
    assert (code, said["outcome"], len(said["pages"])) == (0, "received", 3)
    assert (tmp_path / "in" / "fax.pdf").exists()
    code, said = faxgw("receive", "--line", URL, "--out", "in2", "--timeout", 0.2, folder=tmp_path)
    assert (code, said["reason"]["code"]) == (1, "call.none")
