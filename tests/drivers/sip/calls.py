"""Whole calls between two SIP lines in virtual time: signalling and media over simulated paths."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from drivers.registry import LineUrl
from drivers.sip.guard import Guard
from drivers.sip.line import SipLine
from drivers.sip.options import TrunkOptions
from drivers.sip.place import Place
from drivers.sip.resolving import Resolver
from drivers.sip.trunk import Trunk
from drivers.sip.ways import Address, Flow, Target, Transport
from drivers.t38.media import Media
from drivers.witness import Seen
from simulators.clock import run
from simulators.lan import Lan
from simulators.machine import Machine
from simulators.network import Weather
from simulators.tray import Sheet, Tray
from t30.capabilities import Station
from t30.outcome import Outcome
from t30.t4 import Bitmap

OURS, THEIRS = "10.0.0.1", "10.0.0.2"
LIMIT = 3600.0


class LanSignalling(asyncio.DatagramProtocol):
    """Signalling over UDP on the simulated network: what ``Transports`` is on a real one."""

    def __init__(self) -> None:
        self.receiver: Callable[[bytes, Flow], None] | None = None
        self.local: Address = ("", 0)
        self.reason = ""
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket = transport  # type: ignore[assignment]
        self.local = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if self.receiver is not None:
            self.receiver(data, Flow(Transport.UDP, addr, self.local))

    def send(self, octets: bytes, to: Target | Flow, failed: Callable[[], None]) -> None:  # noqa: ARG002
        assert self._socket is not None
        self._socket.sendto(octets, to.peer if isinstance(to, Flow) else to.address)

    async def close(self) -> None:
        assert self._socket is not None
        self._socket.close()


async def trunk(url: str, *, seed: int = 0) -> Trunk:
    """Return a trunk on the network, with a socket of its own for signalling."""
    options = TrunkOptions.of(LineUrl.parse(url))
    random = Random(f"{seed} {url}")
    loop = asyncio.get_running_loop()
    _, signalling = await loop.create_datagram_endpoint(LanSignalling, local_addr=options.local)
    place = Place(options, signalling, Resolver(random), guard=Guard(), random=random)  # type: ignore[arg-type]
    await place.targets()
    return Trunk(options, place, name=url, random=random)


def line(on: Trunk) -> SipLine:
    """Return another channel of a trunk."""
    on.lines += 1
    return SipLine(on)


@dataclass(slots=True)
class Call:
    """A call that is over."""

    sent: Outcome
    got: Outcome
    sender: Machine
    receiver: Machine
    tray: Tray
    media: tuple[Media | None, Media | None]
    seen: list[Seen]
    lan: Lan
    trunks: tuple[Trunk, Trunk]
    left: list[str] = field(default_factory=list)

    def told(self) -> str:
        """Return both transcripts, and the signalling."""
        signalling = "\n".join(f"{seen.at:9.3f} {'>' if seen.sent else '<'} {first(seen)}" for seen in self.seen)
        return (
            f"--- sender: {self.sent}\n{self.sender.told()}\n--- receiver: {self.got}\n{self.receiver.told()}\n"
            f"--- signalling at the sender\n{signalling}"
        )

    def arrived(self) -> list[Bitmap]:
        """Return the pages as received."""
        return [page.decoded.bitmap for _, page in sorted(self.tray.received.items()) if page.decoded is not None]

    def said(self) -> list[str]:
        """Return the signalling at the sender, copies left out: methods and statuses."""
        return list(dict.fromkeys(f"{'>' if seen.sent else '<'} {first(seen)}" for seen in self.seen))


def first(seen: Seen) -> str:
    """Return what a message is, and its CSeq and stream."""
    head, _, body = seen.octets.decode("utf-8", "replace").partition("\r\n\r\n")
    lines = head.split("\r\n")
    start = lines[0].split()
    what = f"{start[1]}" if start[0].startswith("SIP/") else start[0]
    cseq = next(each.partition(":")[2].strip() for each in lines if each.lower().startswith("cseq"))
    media = [each[2:].split() for each in body.split("\r\n") if each.startswith("m=")]
    return " ".join([what, cseq, *(kind + (" 0" if port == "0" else "") for kind, port, *_ in media)])


class _Line(SipLine):
    """A line that remembers the stream of its last call."""

    last: Media | None = None

    async def perform(self, action):  # type: ignore[no-untyped-def]
        event = await super().perform(action)
        self.last = self.media or self.last
        return event


def call(
    sheets: Sequence[Sheet],
    *,
    ours: str = "",
    theirs: str = "",
    sender: Station = Station("+49 30 1234567"),  # noqa: B008
    receiver: Station = Station("+1 555 0100"),  # noqa: B008
    weather: Weather = Weather(),  # noqa: B008
) -> Call:
    """Send pages from one trunk to the other.

    Args:
        sheets: what is sent.
        ours: more options of the sender's URL.
        theirs: more options of the receiver's.
        sender: what its machine can do.
        receiver: what its machine can do.
        weather: of each path.
    """
    lan = Lan(weather)

    async def fax() -> Call:
        near = await trunk(f"sip:{THEIRS}:5060?local={OURS}:5060&{ours}".rstrip("&"), seed=weather.seed)
        far = await trunk(f"sip:{OURS}:5060?local={THEIRS}:5060&{theirs}".rstrip("&"), seed=weather.seed)
        near.lines = far.lines = 1
        caller, answerer = _Line(near), _Line(far)
        seen: list[Seen] = []
        caller.witness = lambda each: seen.append(each) if each.wire.value == "sip" else None
        tray = Tray()
        sending, receiving = Machine(sender, caller, Tray(list(sheets))), Machine(receiver, answerer, tray)
        async with asyncio.timeout(LIMIT):
            got = asyncio.create_task(receiving.receive())
            sent = await sending.send("15550100")
            await got
        await caller.close()
        await answerer.close()
        made = Call(sent, got.result(), sending, receiving, tray, (caller.last, answerer.last), seen, lan, (near, far))
        made.left = [str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        return made

    return run(fax(), lan=lan)
