"""HylaFAX, all of it in a temporary folder: its programs, its spool, what it is told, and what it came to.

Its programs insist on starting as root and go on as the user uucp, who may not enter the folders of pytest or, it may
be, this repository: so everything that they need is in a folder of its own. ``faxq`` takes the job that lies in the
spool when it starts, has the document prepared and starts ``faxsend``; ``faxgetty`` answers calls. What would send mail
is put in its place by two lines that take a note.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, AppendingTiffWriter

from tests.interop.pages import FINE, Pels

ROOM = ("archive", "client", "config", "dev", "docq", "doneq", "etc", "info", "log", "pollq", "recvq", "sendq", "tmp")
"""Folders of a spool that its programs take for granted; ``status`` and ``bin`` come with what is in them."""
MIN_IS_WHITE = 0
DONE = 7
"""``state`` of a job that was delivered."""

CONFIG = """\
UUCPLockDir: {spool}/tmp
SendFaxCmd: {spool}/bin/faxsend
NotifyCmd: {spool}/bin/noted
FaxRcvdCmd: {spool}/bin/noted
CountryCode: 1
AreaCode: 555
LongDistancePrefix: 1
InternationalPrefix: 011
DialStringRules: etc/dialrules
ServerTracing: 0
SessionTracing: 0xFFF
FAXNumber: {number}
LocalIdentifier: "{number}"
TagLineFormat: ""
RingsBeforeAnswer: 1
Class1JBIGSupport: {jbig}
"""
"""For ``etc/config`` and the modem's own file both: a lock folder that only one of them has is not kept to."""

JOB = """\
tts:{now}
killtime:{kill}
state:6
maxdials:1
maxtries:1
pagewidth:209
resolution:196
pagelength:297
priority:127
desiredbr:5
desiredec:2
desireddf:4
external:{number}
number:{number}
mailaddr:nobody@localhost
sender:nobody
owner:nobody
client:localhost
jobid:1
groupid:1
modem:any
jobtype:facsimile
notify:when done
doneop:default
pagechop:none
tiff:0::docq/fax.tif
"""
"""What ``hfaxd`` would write for ``sendfax``: the best that the other side takes, each page whole."""


@dataclass
class HylaFax:
    """A spool for one modem.

    Attributes:
        unpacked: where the package's files are.
        spool: where everything else is.
        terminal: the modem's.
        number: what it says that its number is.
        jbig: it sends and takes pages in JBIG (T.85).
    """

    unpacked: Path
    spool: Path
    terminal: str
    number: str
    jbig: bool = False
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the spool."""
        for name in (*ROOM, "status", "bin"):
            (self.spool / name).mkdir()
        (self.spool / "status" / "any.info").touch()
        self._bring_programs()
        config = CONFIG.format(spool=self.spool, number=self.number, jbig="true" if self.jbig else "false")
        class1 = (self.unpacked / "var/spool/hylafax/config/class1").read_text()
        (self.spool / "etc" / "config").write_text(config)
        (self.spool / "etc" / f"config.{self.device}").write_text(config + class1)
        shutil.copy(self.unpacked / "etc/hylafax/dialrules", self.spool / "etc")
        for path in (self.spool, *self.spool.rglob("*")):
            shutil.chown(path, "uucp", "uucp")

    @property
    def device(self) -> str:
        """The terminal as HylaFAX's files call it."""
        return self.terminal.removeprefix("/dev/").replace("/", "_")

    def answer(self) -> None:
        """Have ``faxgetty`` set the modem up, and answer."""
        self._start("faxgetty", self.terminal.removeprefix("/dev/"))

    def send(self, pages: Sequence[Pels], number: str) -> None:
        """Have ``faxq`` send the pages, as soon as ``faxgetty`` says that the modem is ready."""
        now = int(time.time())
        document, job = self.spool / "docq" / "fax.tif", self.spool / "sendq" / "q1"
        write_pages_of_class_f(document, pages)
        job.write_text(JOB.format(now=now, kill=now + 600, number=number))
        for path in (document, job):
            shutil.chown(path, "uucp", "uucp")
        self.answer()
        self._start("faxq", "-D")

    def sent(self, within: float) -> dict[str, str]:
        """Wait until the job is over; return what has become of it, by the names in its file."""
        self._await(lambda: bool(self._noted()) or self._job("doneq") is not None, within)
        return self._job("doneq") or {}

    def received(self, within: float) -> Path:
        """Wait until a fax has come; return its file."""
        self._await(lambda: bool(self._noted()), within)
        return self.spool / self._noted()[0]

    def end(self) -> None:
        """End its programs, and theirs."""
        for process in self._running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def told(self) -> str:
        """Return its own account: of the job, of the session, and what went wrong."""
        paths = [path for name in ("doneq", "sendq", "log") for path in sorted((self.spool / name).iterdir())]
        texts = ((path.relative_to(self.spool), path.read_text(errors="replace")) for path in paths)
        return "\n".join(f"--- HylaFAX: {name}\n{text}" for name, text in texts)

    def _bring_programs(self) -> None:
        bin_, lib = self.spool / "bin", self.unpacked / "usr/lib/hylafax"
        for program in (self.unpacked / "usr/sbin/faxq", self.unpacked / "usr/sbin/faxgetty"):
            shutil.copy(program, bin_)
        for program in (lib / "bin/faxsend", lib / "bin/tiffcheck"):
            shutil.copy(program, bin_ / f"{program.name}.bin")
        for library in lib.glob("libhylafax*"):
            shutil.copy(library, bin_)
        shutil.copy(self.unpacked / "var/spool/hylafax/bin/tiff2fax", bin_)
        # The loader forgets the search path when faxq, root going on as uucp, starts a program: it is told again.
        path = f"LD_LIBRARY_PATH={bin_}; export LD_LIBRARY_PATH\n"
        for name in ("faxsend", "tiffcheck"):
            script(bin_ / name, f'{path}exec {bin_}/{name}.bin "$@" 2>>{self.spool}/log/{name}\n')
        script(bin_ / "noted", f'echo "$@" >>{self.spool}/log/noted\n')
        (self.spool / "etc" / "setup.cache").write_text(f"SBIN={bin_}\nSED=sed\nCP=cp\nCAT=cat\n")

    def _start(self, program: str, *options: str) -> None:
        command = [self.spool / "bin" / program, "-q", self.spool, *options]
        with self._story(program) as story:
            process = subprocess.Popen(
                [str(word) for word in command],
                env={**os.environ, "LD_LIBRARY_PATH": str(self.spool / "bin")},
                stdin=subprocess.DEVNULL,
                stdout=story,
                stderr=story,
                start_new_session=True,
            )
        self._running.append(process)

    def _story(self, program: str) -> IO[bytes]:
        return (self.spool / "log" / f"{program}.says").open("wb")

    def _job(self, queue: str) -> dict[str, str] | None:
        with suppress(FileNotFoundError):
            lines = (self.spool / queue / "q1").read_text().splitlines()
            return {name: value for name, _, value in (line.partition(":") for line in lines)}
        return None

    def _noted(self) -> list[str]:
        """Return the words that ``noted`` was started with."""
        with suppress(FileNotFoundError):
            return (self.spool / "log" / "noted").read_text().split()
        return []

    def _await(self, happened: Callable[[], bool], within: float) -> None:
        gives_up = time.monotonic() + within
        while not happened():
            assert time.monotonic() < gives_up, f"HylaFAX did not come to an end within {within:.0f} s"
            time.sleep(0.05)


@contextmanager
def private_hylafax(unpacked: Path, terminal: str, *, number: str, jbig: bool = False) -> Iterator[HylaFax]:
    """Give a HylaFAX for the modem at this terminal; in the end nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="faxgw-hylafax-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        spool = Path(folder, "spool")
        spool.mkdir()
        peer = HylaFax(unpacked, spool, terminal, number, jbig)
        peer.prepare()
        try:
            yield peer
        finally:
            peer.end()


def write_pages_of_class_f(path: Path, pages: Sequence[Pels]) -> None:
    """Write pages so that HylaFAX takes them as they are: T.6, one strip, white is zero."""
    with AppendingTiffWriter(str(path), new=True) as file:
        for page in pages:
            image = Image.fromarray(np.where(page, 0, 255).astype(np.uint8)).convert("1")
            image.save(
                file,
                format="TIFF",
                compression="group4",
                dpi=FINE,
                strip_size=page.size,
                tiffinfo={PHOTOMETRIC_INTERPRETATION: MIN_IS_WHITE},
            )
            file.newFrame()


def script(path: Path, text: str) -> None:
    """Write a program of the shell."""
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
