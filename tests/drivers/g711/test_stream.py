"""The sound of a call over a simulated network, in virtual time; the far end is either ours or a bare sender."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from random import Random

import pytest

from drivers.g711 import rtp, tones
from drivers.g711.companding import compress, expand
from drivers.g711.hearing import Heard
from drivers.g711.law import Law
from drivers.g711.stream import Audio
from drivers.witness import Seen, Wire
from simulators.clock import run
from simulators.network import ENDS, Plug, Weather, pair
from t30.line import LineClock, Tone
from tests.drivers.g711 import signals

Body = Callable[[Audio, Plug, LineClock], Awaitable[None]]


def call(body: Body, *, law: Law = Law.PCMA, payload_type: int = 8, weather: Weather = Weather()) -> Audio:  # noqa: B008
    """Run ``body`` with the sound of a call that has begun and the bare far end of its network; return the sound."""

    async def whole() -> Audio:
        clock = LineClock(asyncio.get_running_loop().time)
        ours, theirs = pair(Weather(), weather, clock)
        audio = Audio(ours, law, payload_type, clock, Random(1))
        audio.start()
        await body(audio, theirs, clock)
        audio.close()
        return audio

    return run(whole())


class Far:
    """A bare sender of G.711 with a clock of its own, and the packets that came to it with their times."""

    def __init__(self, plug: Plug, *, payload_type: int = 8, ppm: float = 0.0, seed: int = 2) -> None:
        self.came: list[tuple[float, rtp.Packet]] = []
        self._plug = plug
        self._numbering = rtp.Numbering(payload_type, Random(seed))
        self._seconds = 1 / (1 + ppm * 1e-6)
        self._loop = asyncio.get_running_loop()
        plug.receiver = self._take

    def _take(self, octets: bytes) -> None:
        self.came.append((self._loop.time(), rtp.decode(octets)))

    async def send(self, octets: bytes, *, size: int = 160) -> None:
        """Send octets in packets, each at its time."""
        began = self._loop.time()
        for at in range(0, len(octets), size):
            self._plug.send(self._numbering.packet(octets[at : at + size]))
            await asyncio.sleep(began + (at + size) / 8000 * self._seconds - self._loop.time())

    def sound(self) -> bytes:
        return b"".join(packet.payload for _, packet in self.came)


@pytest.mark.parametrize("law", Law)
@pytest.mark.parametrize(("tone", "signal"), [(Tone.CNG, Heard.CNG), (Tone.CED, Heard.CED)])
def test_two_ends_hear_each_others_tones_once(law: Law, tone: Tone, signal: Heard) -> None:
    heard: list[tuple[float, Heard]] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        other = Audio(plug, law, law.value, clock, Random(5))
        audio.heard = lambda found: heard.append((clock.now(), found))
        other.start()
        other.play(tone)
        await asyncio.sleep(3.4)
        other.close()

    call(body, law=law, payload_type=law.value)
    assert [found for _, found in heard] == [signal]
    assert 0.3 < heard[0][0] < 0.75


def test_a_packet_goes_out_each_20_ms_and_is_silence_unless_a_tone_is_played() -> None:
    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        far = Far(plug)
        await asyncio.sleep(0.99)
        audio.play(Tone.CNG)
        await asyncio.sleep(4.0)
        audio.play(None)
        await asyncio.sleep(1.0)
        packets = [packet for _, packet in far.came]
        assert [round((at - 0.02) / 0.02, 6) for at, _ in far.came] == list(range(len(far.came)))
        assert len(packets) == 299
        assert {len(packet.payload) for packet in packets} == {160}
        assert [packet.marker for packet in packets] == [True] + [False] * 298
        assert {rtp.after(b.timestamp, a.timestamp) for a, b in pairwise(packets)} == {160}
        turn = compress(tones.samples(Tone.CNG), Law.PCMA)
        tone, silence = (turn * 2)[: 4 * 8000], b"\xd5" * 8000
        assert far.sound()[:8000] == silence
        assert far.sound()[8000:40000] == tone
        assert set(far.sound()[40000:]) == {0xD5}

    call(body)


def test_ced_ends_by_itself_and_says_so() -> None:
    played: list[float] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        audio.played = lambda: played.append(clock.now())
        audio.play(Tone.CED)
        await asyncio.sleep(5.0)

    call(body)
    assert played == [pytest.approx(3.2, abs=0.03)]


@pytest.mark.case("R02")
@pytest.mark.parametrize("ppm", [-120.0, 150.0])
def test_we_send_as_many_samples_as_the_far_clock_counts_though_packets_jitter(ppm: float) -> None:
    seconds = 150.0

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        far = Far(plug, ppm=ppm)
        await far.send(b"\xd5" * round(seconds * 8000))
        assert audio.ppm == pytest.approx(ppm, abs=6)
        gaps = {rtp.after(b.timestamp, a.timestamp) for (_, a), (_, b) in pairwise(far.came)}
        assert gaps == {160}
        last = [at for at, _ in far.came if at > seconds - 60]
        pace = (last[-1] - last[0]) / (len(last) - 1)
        assert (0.02 / pace - 1) * 1e6 == pytest.approx(ppm, abs=10)

    call(body, weather=Weather(jitter=0.01, seed=3))


def test_what_is_no_sound_of_the_peer_is_dropped() -> None:
    heard: list[Heard] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        audio.heard = heard.append
        random = Random(7)
        junk = [b"", b"\x00", random.randbytes(40), b"\x80\xc8" + bytes(26), b"\x81\xcb" + bytes(6), b"\xbf" * 13]
        others = [rtp.Packet(kind, 9, 1000, 77, bytes(10)) for kind in (13, 101, 18, 96, 0)]
        for octets in [*junk, *map(rtp.encode, others)]:
            plug.send(octets)
        await asyncio.sleep(0.5)
        await Far(plug).send(compress(tones.samples(Tone.CNG), Law.PCMA))
        await asyncio.sleep(0.5)

    audio = call(body)
    assert heard == [Heard.CNG]
    assert audio.lost == 0


@pytest.mark.parametrize("size", [80, 160, 240, 320, 480])
def test_packets_of_any_time_in_either_law_are_heard(size: int) -> None:
    heard: list[Heard] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        audio.heard = heard.append
        flags = signals.fsk(signals.FLAG * 37) * signals.MILLIWATT * 0.01
        await Far(plug, payload_type=0).send(compress(flags.astype("int16"), Law.PCMU), size=size)
        await Far(plug, payload_type=97, seed=3).send(compress(tones.samples(Tone.CED), Law.PCMA), size=size)

    call(body, payload_type=97)
    assert heard == [Heard.V21, Heard.CED]


def test_comfort_noise_and_silence_that_is_not_sent_do_no_harm() -> None:
    heard: list[Heard] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        audio.heard = heard.append
        numbering = rtp.Numbering(8, Random(1))
        octets = compress(tones.samples(Tone.CNG), Law.PCMA)[:4000]
        for _ in range(3):
            for at in range(0, len(octets), 160):
                plug.send(numbering.packet(octets[at : at + 160]))
                await asyncio.sleep(0.02)
            sent = rtp.decode(numbering.packet(b"\x40"))
            plug.send(rtp.encode(sent._replace(payload_type=13)))
            numbering.skip(3 * 8000 - 1)
            await asyncio.sleep(3.0)

    call(body)
    assert heard == [Heard.CNG] * 3


def test_after_the_process_stood_still_no_burst_is_sent() -> None:
    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        far = Far(plug)
        await asyncio.sleep(1.0)
        asyncio.get_running_loop()._now += 2.0  # type: ignore[attr-defined]
        await asyncio.sleep(1.0)
        assert len(far.came) < 105
        first, last = far.came[0], far.came[-1]
        assert rtp.after(last[1].timestamp, first[1].timestamp) / 8000 == pytest.approx(last[0] - first[0], abs=0.05)
        assert sum(packet.marker for _, packet in far.came) == 2

    call(body)


def test_a_witness_is_shown_packets_both_ways() -> None:
    seen: list[Seen] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        audio.witness = seen.append
        await Far(plug).send(b"\xd5" * 1600)

    call(body)
    assert {(each.wire, each.local, each.peer) for each in seen} == {(Wire.RTP, *ENDS)}
    assert {each.sent for each in seen} == {True, False}
    assert all(rtp.decode(each.octets).payload == b"\xd5" * 160 for each in seen)


def test_nothing_is_sent_or_heard_once_it_is_closed() -> None:
    heard: list[Heard] = []

    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        far = Far(plug)
        audio.heard = heard.append
        await asyncio.sleep(0.1)
        audio.close()
        audio.close()
        await asyncio.sleep(0.1)
        count = len(far.came)
        await far.send(compress(tones.samples(Tone.CNG), Law.PCMA))
        assert len(far.came) == count

    call(body)
    assert heard == []


def test_a_packet_that_goes_out_late_does_not_delay_the_next_ones() -> None:
    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        far = Far(plug)
        for _ in range(20):
            await asyncio.sleep(0.105)
            asyncio.get_running_loop()._now += 0.03  # type: ignore[attr-defined]
        now = clock.now()
        await asyncio.sleep(0.05)
        assert len(far.came) == pytest.approx(now / 0.02, abs=3)

    call(body)


def test_the_other_law_is_turned_into_ours() -> None:
    async def body(audio: Audio, plug: Plug, clock: LineClock) -> None:
        octets = bytes(range(160))
        await Far(plug, payload_type=0).send(octets * 3)
        await asyncio.sleep(0.1)
        assert audio._came == [compress(expand(octets, Law.PCMU), Law.PCMA)] * 3

    call(body)
