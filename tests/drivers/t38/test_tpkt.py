"""T.38 over TCP: framing, and the ``tpkt:`` line over real connections."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.registry import LineUrl, open_line
from drivers.t38.ifp import Indicator, IndicatorPacket, encode
from drivers.t38.media import Agreed
from drivers.t38.options import Options
from drivers.t38.straight import SILENT
from drivers.t38.tpkt import LARGEST, Unframer, framed
from drivers.t38.tpkt_line import TpktLine
from simulators.clock import run
from simulators.machine import Machine
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
    Connected,
    Dial,
    FrameReceived,
    HangUp,
    LineError,
    ListenFrame,
    NotConnected,
    Ringing,
    SendFrames,
)
from t30.rates import Modulation
from tests.simulators.calls import sheet

HERE = "127.0.0.1"
NO_SIGNAL = framed(encode(IndicatorPacket(Indicator.NO_SIGNAL)))
DCN = bytes.fromhex("FF 13 FA")
PACKETS = st.lists(st.binary(max_size=300), max_size=8)


# -------------------------------------------------------------------------------------------------------------- framing


@given(PACKETS, st.integers(1, 50))
def test_packets_are_found_however_the_stream_is_cut(packets: list[bytes], step: int) -> None:
    stream = b"".join(map(framed, packets))
    unframer = Unframer()
    found = [each for at in range(0, len(stream), step) for each in unframer.feed(stream[at : at + step])]
    assert (found, unframer.lost) == (packets, "")
    assert Unframer().feed(stream) == packets


@given(st.binary(max_size=200))
def test_no_octets_do_harm(octets: bytes) -> None:
    unframer = Unframer()
    unframer.feed(octets)
    assert unframer.lost or len(unframer._held) <= LARGEST
    if unframer.lost:
        assert unframer.feed(framed(b"x")) == []


def test_the_head_is_as_rfc_1006_has_it() -> None:
    assert framed(b"\x1e").hex() == "030000051e"
    assert Unframer().feed(bytes.fromhex("03aa00051e")) == [b"\x1e"]
    for head in ("02000005", "03000003"):
        unframer = Unframer()
        assert unframer.feed(bytes.fromhex(head)) == [] and "no head of TPKT" in unframer.lost
    with pytest.raises(ValueError, match="65532"):
        framed(bytes(65532))


# ------------------------------------------------------------------------------------------------------------- the line


def in_real_time(test: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(limited())


async def answerer(**options: object) -> TpktLine:
    line = await open_line(f"tpkt:{HERE}:0@{HERE}:9?role=answerer{_said(options)}")
    assert isinstance(line, TpktLine)
    return line


async def caller_of(line: TpktLine, **options: object) -> TpktLine:
    assert line.local is not None
    caller = await open_line(f"tpkt:{HERE}:0@{HERE}:{line.local[1]}?role=caller{_said(options)}")
    assert isinstance(caller, TpktLine)
    return caller


def _said(options: dict[str, object]) -> str:
    return "".join(f"&{name}={value}" for name, value in options.items())


async def called(line: TpktLine, caller: TpktLine) -> None:
    """Bring a call about."""
    dialling = asyncio.create_task(caller.perform(Dial("1")))
    assert await line.perform(AwaitCall()) == Ringing("", "")
    assert await line.perform(Answer()) == Connected()
    assert await dialling == Connected()


def test_a_url_says_all_there_is_to_say() -> None:
    said = Options.of(
        LineUrl.parse("tpkt:10.0.0.1:4000@[::1]:4002?role=caller&version=3&tcf=local&fill=on&mmr=on&speed=8")
    )
    agreed = Agreed(3, local_tcf=True, fill_bit_removal=True, transcoding_mmr=True)
    assert said == Options(("10.0.0.1", 4000), ("::1", 4002), True, agreed, 8.0)
    for name in ("redundancy", "fec", "max_datagram"):
        with pytest.raises(LineError, match=f"no option {name}; there are role, version, tcf, fill, mmr and speed"):
            Options.of(LineUrl.parse(f"tpkt:a:1@b:2?{name}=1"))


@pytest.mark.parametrize(("version", "ecm", "calls"), [(0, False, 1), (3, True, 2)])
def test_pages_arrive_pel_for_pel_and_the_line_takes_another_call(version: int, ecm: bool, calls: int) -> None:
    sheets = [sheet(1, rows=20), sheet(2, rows=20)]

    async def test() -> None:
        line = await answerer(version=version)
        caller = await caller_of(line, version=version, fill="on")
        for _ in range(calls):
            tray = Tray()
            receiving = asyncio.create_task(Machine(Station(), line, tray).receive())
            sent = await Machine(Station(ecm=ecm), caller, Tray(sheets)).send("1")
            assert (sent.verdict, (await receiving).verdict) == ("delivered", "received")
            pages = [each.decoded.bitmap for each in tray.received.values() if each.decoded]
            assert pages == [each.bitmap for each in sheets]
        await caller.close()
        await line.close()

    run(test())  # what is sent to oneself is there at once, in virtual time, too


def test_a_lost_connection_ends_the_call_once_what_came_before_is_read() -> None:
    async def test() -> None:
        line = await answerer()
        caller = await caller_of(line)
        await called(line, caller)
        await caller.perform(SendFrames(Modulation.V21, (DCN,), 0.0))
        await caller.perform(HangUp())
        await asyncio.sleep(0.3)
        heard = await line.perform(ListenFrame(Modulation.V21, 3.0))
        assert isinstance(heard, FrameReceived) and heard.octets == DCN
        began = line.clock.now()
        with pytest.raises(LineError, match="closed the connection") as dropped:
            while line.clock.now() - began < SILENT:
                await line.perform(ListenFrame(Modulation.V21, 100.0))
        assert dropped.value.code == "line.dropped" and line.clock.now() - began < SILENT
        await line.perform(HangUp())
        await caller.close()
        await line.close()

    run(test())  # what is sent to oneself is there at once, in virtual time, too


def test_nobody_there_is_told_at_once() -> None:
    async def test() -> None:
        line = await answerer()
        caller = await caller_of(line)
        await line.close()
        answer = await caller.perform(Dial("1"))
        assert isinstance(answer, NotConnected) and answer.cause is Cause.NETWORK and "refused" in answer.detail.lower()
        await caller.close()

    in_real_time(test())


def test_who_closes_before_the_call_is_answered_has_rejected_it() -> None:
    async def test() -> None:
        line = await answerer()
        caller = await caller_of(line)
        dialling = asyncio.create_task(caller.perform(Dial("1")))
        await line.perform(AwaitCall())
        await line.perform(HangUp())
        answer = await dialling
        assert isinstance(answer, NotConnected) and answer.cause is Cause.REJECTED
        # A ring that nobody waits for is not lost.
        dialling = asyncio.create_task(caller.perform(Dial("1")))
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await line.perform(AwaitCall()) == Ringing("", "")
        dialling.cancel()
        await asyncio.wait([dialling])
        await caller.close()
        await line.close()

    run(test())


def test_strangers_and_second_connections_are_closed_and_what_is_no_tpkt_ends_the_call() -> None:
    async def test() -> None:
        line = await answerer()
        assert line.local is not None
        stranger, first = await asyncio.open_connection(*line.local, local_addr=("127.0.0.2", 0))
        assert await stranger.read() == b""
        reader, writer = await asyncio.open_connection(*line.local, local_addr=(HERE, 0))
        await line.perform(AwaitCall())
        second, last = await asyncio.open_connection(*line.local, local_addr=(HERE, 0))
        assert await second.read() == b""
        assert line.strangers == 2
        await line.perform(Answer())
        assert await reader.readexactly(len(NO_SIGNAL)) == NO_SIGNAL
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(LineError, match=r"no T\.38") as dropped:
            await line.perform(ListenFrame(Modulation.V21, 100.0))
        assert dropped.value.code == "line.dropped"
        await line.close()
        for each in (first, writer, last):
            each.close()
            await each.wait_closed()

    in_real_time(test())


def test_a_peer_that_does_not_read_ends_the_call() -> None:
    async def test() -> None:
        line = await answerer()
        assert line.local is not None
        _, writer = await asyncio.open_connection(*line.local, local_addr=(HERE, 0), limit=1)
        await line.perform(AwaitCall())
        await line.perform(Answer())
        connection = line._connection
        assert connection is not None
        while line._connection is connection and line._endpoint is not None and line._endpoint._fault is None:
            connection.send(framed(bytes(60000)))
        with pytest.raises(LineError, match="does not take"):
            await line.perform(SendFrames(Modulation.V21, (DCN,), 0.0))
        await line.close()
        writer.close()

    in_real_time(test())


def test_a_port_that_is_taken_is_told() -> None:
    async def test() -> None:
        first = await answerer()
        assert first.local is not None
        with pytest.raises(LineError, match="in use") as refused:
            await open_line(f"tpkt:{HERE}:{first.local[1]}@{HERE}:9")
        assert refused.value.code == "line.unavailable"
        await first.close()

    in_real_time(test())
