"""A call over a trunk as a user makes it: ``faxgw send`` or ``receive`` here, SIPp and libspandsp at the far end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.pages import STANDARD, differences, read_pages, text_page, write_pages
from tests.interop.sipp import HOST, PORTS, Message, Sipp

FAXGW = Path(sys.executable).with_name("faxgw")
LONGEST = 180.0
ACCOUNT = ("gateway", "open sesame")
PASSWORD_ENV = "SIPP_PASSWORD"

Words = tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call that is to be made.

    Attributes:
        scenarios: of SIPp, one after the other, with a space between, each with its host after an @ if that is not
            the trunk's.
        sends: whether we call, to send.
        line: more options of the ``sip:`` URL.
        user: who we are to the trunk; with a user, there is an account as well.
        keys: what is put into the scenarios.
        sipp: more of SIPp's command line.
        rows: of the page: 100 are sent in a moment, 1100 take ten seconds.
        pages: how many there are.
        options: more of the command line of ``faxgw``.
        silent: whether their fax machine is not to be heard in the sound.
        wait: seconds to wait for their call.
    """

    scenarios: str
    sends: bool = True
    line: str = ""
    user: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    sipp: tuple[str, ...] = ()
    rows: int = 100
    pages: int = 1
    options: tuple[str, ...] = ()
    silent: bool = False
    wait: int = 60


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a call.

    Attributes:
        code: exit code of ``faxgw``.
        ours: the result that it printed.
        log: what it said besides.
        codes: exit codes of the scenarios: 0 where all went as they say.
        sipp: the last scenarios that ran, in order.
        media: what ``spandsp_media.py`` printed.
        wrong: where the pages that came are not those that were sent.
    """

    case: Case
    code: int
    ours: dict[str, Any]
    log: str
    codes: list[int]
    sipp: list[Sipp]
    media: dict[str, Any]
    wrong: list[str]

    @property
    def reason(self) -> str:
        """Why the fax did not go through whole, "" if it did."""
        return str(self.ours["reason"]["code"])

    @property
    def story(self) -> str:
        """All that is known, for whoever looks for a fault."""
        parts = [each.story for each in self.sipp]
        parts += [f"=== {self.case}", f"codes {self.codes}, faxgw {self.code}", json.dumps(self.ours), self.log]
        return "\n".join([*parts, json.dumps(self.media), *self.wrong])

    @property
    def messages(self) -> list[Message]:
        """What SIPp sent and received in all scenarios."""
        return [message for each in self.sipp for message in each.messages]

    def received(self, start: str) -> list[Message]:
        """Return our messages whose first line begins like that."""
        return [each for each in self.messages if not each.sent and each.start.startswith(start)]

    def sent(self, start: str) -> list[Message]:
        """Return SIPp's messages whose first line begins like that."""
        return [each for each in self.messages if each.sent and each.start.startswith(start)]

    def descriptions(self) -> list[str]:
        """Return our session descriptions, in order."""
        return [each.body for each in self.messages if not each.sent and "m=" in each.body]


def make(case: Case, program: Path, folder: Path) -> Told:
    """Make a call, and wait until all who took part in it have ended."""
    folder.mkdir(parents=True)
    far, us, media, ours = PORTS.take(), PORTS.take(), PORTS.take(4), PORTS.take(4)
    pages = [text_page(case.rows, title=f"Page {number}") for number in range(1, case.pages + 1)]
    document = write_pages(folder / "document.tif", pages, resolution=STANDARD)
    stored = folder / ("stored.tif" if case.sends else "in/fax.tif")
    tcp = ("-t", "t1") if "transport=tcp" in case.line else ()
    sipps = [
        Sipp(program, name, folder, far, us, media, media + 2, case.keys, (*tcp, *case.sipp), host or HOST)
        for name, _, host in (each.partition("@") for each in case.scenarios.split())
    ]
    file = ("--store", stored) if case.sends else ("--send", document)
    end = _Media(folder, media, [*file, *(["--silent"] if case.silent else [])])
    url = f"sip:{case.user and case.user + '@'}{HOST}:{far}?local={HOST}:{us}&ports={ours}-{ours + 3}{case.line}"
    sending: Words = ("send", "--to", "100", "--resolution", "standard", document)
    receiving: Words = ("receive", "--out", stored.parent, "--timeout", case.wait)
    command = sending if case.sends else receiving
    gateway = _Gateway(folder, [*command, "--line", url, "--json", *case.options])
    try:
        codes = _converse(case, gateway, sipps)
        code, ours_told = gateway.result()
    finally:
        gateway.stop()
        for each in sipps:
            each.stop()
        heard = end.report()
    got = read_pages(stored) if stored.exists() else []
    return Told(case, code, ours_told, gateway.log, codes, sipps, heard, differences(pages, got))


def _converse(case: Case, gateway: "_Gateway", sipps: list[Sipp]) -> list[int]:
    """Run the scenarios; who is called must be there before who calls."""
    if case.sends or case.user:
        sipps[0].start()
        gateway.start()
    else:
        gateway.start()
        gateway.await_listening()
        sipps[0].start()
    codes = [sipps[0].finish()]
    if case.user and not case.sends:
        gateway.await_listening()
    for each in sipps[1:]:
        codes.append(each.start().finish())
    return codes


class _Gateway:
    """``faxgw`` as a process."""

    def __init__(self, folder: Path, words: list[object]) -> None:
        self._words = [str(word) for word in (FAXGW, *words)]
        self._said = folder / "faxgw.txt"
        self._process: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        return self._said.read_text() if self._said.exists() else ""

    def start(self) -> None:
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=os.environ | {PASSWORD_ENV: ACCOUNT[1]},
            )

    def await_listening(self) -> None:
        _until(lambda: "listening" in self.log, lambda: f"faxgw does not listen: {self.log}")

    def result(self) -> tuple[int, dict[str, Any]]:
        assert self._process
        printed, _ = self._process.communicate(timeout=LONGEST)
        assert printed, self.log
        return self._process.returncode, json.loads(printed)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


class _Media:
    """``spandsp_media.py`` as a process."""

    def __init__(self, folder: Path, port: int, options: list[object]) -> None:
        self._log = folder / "media.txt"
        words = [sys.executable, "-m", "tests.interop.spandsp_media", "--verbose", "--sound", port, "--image", port + 2]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [str(word) for word in (*words, *options)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout
        assert self._process.stdout.readline() == "ready\n", self._log.read_text()

    def report(self) -> dict[str, Any]:
        printed, _ = self._process.communicate(timeout=20)
        assert printed, self._log.read_text()
        told: dict[str, Any] = json.loads(printed)
        return told


def _until(true: Callable[[], bool], what: Callable[[], str]) -> None:
    gives_up = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < gives_up, what()
        time.sleep(0.02)
