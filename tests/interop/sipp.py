"""SIPp at the far end of a trunk: one scenario of ``scenarios/`` in a process of its own, and what it saw.

A scenario is a call as XML: what SIPp sends, what it waits for, and what must be in that. Anything else that comes ends
it, so most of what a test asks for stands there. What a scenario leaves open, such as the session descriptions, is put
into it by name (``[sound]``, ``[answer]``); ``BODIES`` has them. The headers that are the same in all requests are
``[headers]``, ``[from]`` and ``[to]``; ``[us]`` is the URI at which we are called.
"""

import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

SCENARIOS = Path(__file__).parent / "scenarios"
HOST = "127.0.0.1"
LONGEST = 150.0
PATIENCE_MS = 60_000
LINE_UP = 10.0


# -------------------------------------------------------------------------------------------- session descriptions

SOUND = """\
m=audio {sound} RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20
"""

IMAGE = """\
m=image {image} udptl t38
a=T38FaxVersion:0
a=T38MaxBitRate:14400
a=T38FaxRateManagement:transferredTCF
a=T38FaxMaxBuffer:2000
a=T38FaxMaxDatagram:400
a=T38FaxUdpEC:t38UDPRedundancy
"""

JUNK = """\
m=image {image} UDPTL T38
a=ptime:20
a=rtpmap:0 PCMU/8000
a=t38faxversion:0
a=T38FaxMaxBitRate:14400
a=T38FaxFillBitRemoval:0
a=T38FaxTranscodingMMR:0
a=T38FaxTranscodingJBIG:0
a=T38FaxRateManagement:transferredTFC
a=T38FaxMaxBuffer:72
a=T38MaxDatagram:72
a=T38FaxUdpEC:t38UDPnothing
a=T38FaxUdpEC:t38UDPRedundancy
a=T38FaxUdpEC:t38UDPFEC
a=sqn:0
a=cdsc:1 image udptl t38
a=X-nobody-knows
"""

MORE = f"""{IMAGE}a=T38FaxMaxIFP:40
a=T38FaxUdpECDepth:1 3
a=T38VendorInfo:0 0 37
a=sendrecv
"""

NO_IMAGE = """\
m=image 0 udptl t38
"""

NO_SOUND = """\
m=audio 0 RTP/AVP 0
"""

BODIES: Mapping[str, tuple[int, str]] = {
    "sound": (1, SOUND),
    "image": (2, IMAGE),
    "junk": (2, JUNK),
    "no image": (2, NO_IMAGE),
    "sound and image": (2, SOUND + IMAGE),
    "no sound, but image": (2, NO_SOUND + IMAGE),
    "more image": (3, MORE),
    "sound again": (3, SOUND),
}
"""Name -> version of the session, and its streams."""


def body(name: str, *, sound: int, image: int) -> str:
    """Return a session description with SIPp's ports in it."""
    version, streams = BODIES[name]
    head = f"v=0\no=far 1 {version} IN IP4 {HOST}\ns=-\nc=IN IP4 {HOST}\nt=0 0\n"
    return head + streams.format(sound=sound, image=image)


# ------------------------------------------------------------------------------------------------------------ ports


class _Ports:
    """Hands out ports, none twice: below those that the system gives out by itself."""

    def __init__(self) -> None:
        self._next = 20000
        self._lock = threading.Lock()

    def take(self, count: int = 1) -> int:
        """Return the first, an even one, of so many ports in a row that are free for UDP and TCP."""
        with self._lock:
            while True:
                first = self._next
                self._next += count + count % 2
                assert self._next < 32000, "no ports are left"
                if all(map(free, range(first, first + count))):
                    return first


PORTS = _Ports()


def listening(port: int) -> bool:
    """Return whether somebody has this port, without touching it."""
    tables = [Path("/proc/net", name).read_text().splitlines()[1:] for name in ("udp", "tcp")]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for table in tables for line in table)


def free(port: int) -> bool:
    """Return whether this port can be had, for UDP and TCP."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as tried:
            try:
                tried.bind((HOST, port))
            except OSError:
                return False
    return True


# ------------------------------------------------------------------------------------------------------------- SIPp


@dataclass(frozen=True, slots=True)
class Message:
    """A SIP message that SIPp sent or received, as text; ``at`` counts seconds."""

    sent: bool
    at: float
    text: str

    @property
    def start(self) -> str:
        """Its first line."""
        return self.text.partition("\n")[0]

    @property
    def body(self) -> str:
        """What comes after its header."""
        return self.text.partition("\n\n")[2]

    def header(self, name: str) -> str:
        """Return the first value of a header field, "" if it is not there."""
        for line in self.text.partition("\n\n")[0].splitlines()[1:]:
            key, _, value = line.partition(":")
            if key.strip().lower() == name.lower():
                return value.strip()
        return ""


@dataclass(slots=True)
class Sipp:
    """A running scenario.

    Attributes:
        program: SIPp.
        scenario: its name in ``scenarios``.
        host, port: where SIPp is.
        us: the port where it calls us, and where its requests go.
        keys: what is put into the scenario by name; ``answer`` and ``offer`` name one of ``BODIES``.
        options: more of SIPp's command line.
    """

    program: Path
    scenario: str
    folder: Path
    port: int
    us: int
    sound: int
    image: int
    keys: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    host: str = HOST
    _process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> Self:
        """Start it and wait until it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file("xml").write_text(self._filled())
        with self._file("screen").open("wb") as screen:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=screen, stderr=screen)
        gives_up = time.monotonic() + LINE_UP
        while not listening(self.port) and self._process.poll() is None:
            assert time.monotonic() < gives_up, "SIPp does not listen"
            time.sleep(0.01)
        return self

    def finish(self) -> int:
        """Wait until its call is over and return the exit code: 0 if all went as the scenario says."""
        assert self._process
        return self._process.wait(LONGEST + 10)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    @property
    def messages(self) -> list[Message]:
        """What it sent and received, in order."""
        return _messages(self._read("messages"))

    @property
    def errors(self) -> str:
        """What was not as the scenario says."""
        return self._read("errors")

    @property
    def story(self) -> str:
        """All that it wrote, for whoever looks for a fault."""
        told = "\n".join(f"{'>>>' if each.sent else '<<<'} {each.text}" for each in self.messages)
        return f"=== {self.scenario}: SIPp's errors\n{self.errors}\n=== {self.scenario}: messages (>>> by SIPp)\n{told}"

    def _command(self) -> list[str]:
        control = PORTS.take(6)
        words: list[object] = [self.program, f"{HOST}:{self.us}", "-sf", self._file("xml")]
        words += [
            "-i",
            self.host,
            "-p",
            self.port,
            "-bind_local",
            "-cp",
            control,
            "-mp",
            control + 2,
            "-m",
            1,
            "-nostdin",
        ]
        words += ["-timeout", f"{LONGEST:g}s", "-timeout_error", "-recv_timeout", PATIENCE_MS]
        words += ["-trace_msg", "-message_file", self._file("messages")]
        words += ["-trace_err", "-error_file", self._file("errors")]
        return [str(word) for word in [*words, *self.options]]

    def _filled(self) -> str:
        """Return the scenario with everything put in that it leaves open."""
        text = (SCENARIOS / f"{self.scenario}.xml").read_text()
        for name, value in self._texts().items():
            text = text.replace(f"[{name}]", value)
        return text

    def _texts(self) -> dict[str, str]:
        texts = {
            "us": f"sip:100@{HOST}:{self.us}",
            "from": f"<sip:5550100@{self.host}:{self.port}>;tag=far",
            "to": f"<sip:100@{HOST}:{self.us}>",
            "headers": f"Contact: <sip:far@{self.host}:{self.port}>\nUser-Agent: SIPp",
            "sound": self._body("sound"),
        } | dict(self.keys)
        return texts | {name: self._body(texts[name]) for name in ("offer", "answer") if name in texts}

    def _body(self, name: str) -> str:
        return body(name, sound=self.sound, image=self.image)

    def _file(self, name: str) -> Path:
        return self.folder / f"{self.scenario}.{name}"

    def _read(self, name: str) -> str:
        path = self._file(name)
        return path.read_text(errors="replace") if path.exists() else ""


def _messages(log: str) -> list[Message]:
    found = []
    for part in log.split("----------------------------------------------- ")[1:]:
        head, _, text = part.partition(":\n\n")
        if " message " in head:
            at = datetime.fromisoformat(head.partition("\n")[0].replace("\t", " ")).timestamp()
            found.append(Message(" sent " in head, at, text.strip("\n").replace("\r", "")))
    return found
