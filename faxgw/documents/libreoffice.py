"""Office files made PDFs by LibreOffice: each by a process of its own in a sandbox that has nothing and reaches nobody.

The file goes in through a memfd and the PDF comes out through a pipe, so that both are in memory only: the sandbox's
folders are in memory too. It sees programs and fonts, read-only, no home, no other file, no network, and its macros
and links are switched off besides.
"""

import os
import shutil
import signal
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO

from faxgw.documents.office import Kind
from faxgw.documents.parts import LARGEST
from faxgw.errors import RequestError

MEMORY = 2 << 30
"""Octets of address space; 1 GB is enough for a letter."""

ROOM = 256 << 20
"""Octets of all that is written in the sandbox: profile, work, and the PDF."""

PACKAGES = {"soffice": "libreoffice-writer-nogui", "bwrap": "bubblewrap"}
"""Program -> the Debian package that has it."""

SETTINGS = b"""<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Common/Security/Scripting">
<prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop>
<prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop>
<prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop>
</item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update">
<prop oor:name="Link" oor:op="fuse"><value>0</value></prop>
</item>
<item oor:path="/org.openoffice.Setup/L10N">
<prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>en-GB</value></prop>
</item>
</oor:items>
"""
"""What LibreOffice's profile says: no macros, no links, and A4 for what has no size of its own."""

READABLE = ("/etc/libreoffice", "/etc/fonts", "/var/cache/fontconfig", "/etc/ld.so.cache")
"""What the sandbox sees beside /usr, each where the system has it."""

SANDBOX = (
    *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"),
    *("--setenv", "PATH", "/usr/bin", "--setenv", "HOME", "/tmp", "--setenv", "LANG", "C.UTF-8"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
    *(word for path in READABLE for word in ("--ro-bind-try", path, path)),
    *("--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--chdir", "/tmp"),
)

CONVERT = (
    "ulimit -c 0 -v {memory}; "
    "soffice -env:UserInstallation=file:///tmp/profile --headless --norestore --nologo --nolockcheck "
    "--infilter='{filter}' --convert-to pdf:writer_pdf_Export --outdir /tmp/pdf '/tmp/in.{ending}' "
    "</dev/null >/dev/null 2>&1 && exec cat /tmp/pdf/in.pdf"
)


class Conversion:
    """One office file on its way to a PDF; ``end`` may be called from another thread."""

    def __init__(self, octets: bytes, kind: Kind, name: str) -> None:
        self._octets = octets
        self._kind = kind
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._overdue = threading.Event()

    def pdf(self, *, seconds: float) -> bytes:
        """Convert; blocks for a second or more.

        Raises:
            RequestError: ``document.unsupported``, if this machine cannot; ``.damaged``, ``.too_large``, ``.timeout``,
                ``.closed`` after ``end``.
        """
        command = self._command()
        with ExitStack() as undo:
            given = [undo.enter_context(_in_memory(octets)) for octets in (SETTINGS, self._octets)]
            settings, document = (file.fileno() for file in given)
            self._process = process = undo.enter_context(
                subprocess.Popen(
                    [
                        *command,
                        *("--size", str(ROOM), "--tmpfs", "/tmp"),
                        *("--file", str(settings), "/tmp/profile/user/registrymodifications.xcu"),
                        *("--ro-bind-data", str(document), f"/tmp/in.{self._kind.ending}"),
                        *("--remount-ro", "/", "/bin/sh", "-c", self._script()),
                    ],
                    pass_fds=(settings, document),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            )
            watch = threading.Timer(seconds, self._give_up)
            undo.callback(watch.cancel)
            watch.start()
            if self._ended.is_set():
                _kill(process)
            assert process.stdout is not None
            pdf = process.stdout.read(LARGEST + 1)
            if len(pdf) > LARGEST:
                _kill(process)
            _, said = process.communicate()
        return self._checked(pdf, said, process.returncode, seconds=seconds)

    def end(self) -> None:
        """End the conversion, which then raises."""
        self._ended.set()
        if self._process is not None:
            _kill(self._process)

    def _give_up(self) -> None:
        self._overdue.set()
        self.end()

    def _command(self) -> list[str]:
        found = {program: shutil.which(program) for program in PACKAGES}
        for program, path in found.items():
            if path is None or (program == "soffice" and not Path(path).resolve().is_relative_to("/usr")):
                raise RequestError(
                    "document.unsupported",
                    f"{self._name} is {self._kind.label}, which needs the program {program} (Debian package "
                    f"{PACKAGES[program]}) on the gateway's machine; install it, or send the document as a PDF.",
                )
        return [str(found["bwrap"]), *SANDBOX]

    def _script(self) -> str:
        return CONVERT.format(memory=MEMORY >> 10, filter=self._kind.filter, ending=self._kind.ending)

    def _checked(self, pdf: bytes, said: bytes, status: int, *, seconds: float) -> bytes:
        if self._overdue.is_set():
            reason = f"{self._name} takes longer than {seconds:g} s to be made a PDF; it was given up."
            raise RequestError("document.timeout", reason)
        if self._ended.is_set():
            raise RequestError("document.closed", f"{self._name} was closed before it was read.")
        if len(pdf) > LARGEST:
            raise RequestError("document.too_large", f"{self._name} makes a PDF of more than {LARGEST >> 20} MB.")
        if said.startswith(b"bwrap:"):
            told = said.decode(errors="replace").splitlines()[0]
            raise RequestError(
                "document.unsupported",
                f"{self._name} is {self._kind.label}, and this machine does not allow the sandbox in which such files "
                f"are read ({told}); allow user namespaces on it, or send the document as a PDF.",
            )
        if status != 0 or not pdf.startswith(b"%PDF-"):
            reason = f"{self._name} begins like {self._kind.label}, but LibreOffice cannot read it."
            raise RequestError("document.damaged", reason)
        return pdf


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the sandbox and all in it; its group too, for the moment before its first child is bound to die with it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _in_memory(octets: bytes) -> BinaryIO:
    """Return a file that is nowhere but in memory."""
    file = os.fdopen(os.memfd_create("document"), "w+b")
    file.write(octets)
    file.seek(0)
    return file
