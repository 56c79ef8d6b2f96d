"""The ``udptl:`` line: its URL, its sockets, and how a call begins and ends with nothing but packets."""

import asyncio

import pytest

from drivers.registry import LineUrl, open_line
from drivers.t38.endpoint import Endpoint
from drivers.t38.ifp import DataPacket, DataType, Field, FieldType, Form, Indicator, IndicatorPacket, decode, encode
from drivers.t38.line import UdptlLine
from drivers.t38.media import Agreed, Media
from drivers.t38.options import Options
from drivers.t38.straight import SILENT
from drivers.t38.udptl import Datagram, Protection
from drivers.t38.udptl import decode as udptl
from drivers.t38.udptl import encode as datagram_of
from drivers.witness import Seen, Wire
from simulators.clock import run
from simulators.machine import Machine
from simulators.network import ENDS, Plug, Relay, Weather, pair
from simulators.tray import Tray
from t30.capabilities import Station
from t30.line import (
    Answer,
    AwaitCall,
    Cause,
    Connected,
    Content,
    Dial,
    HangUp,
    LineClock,
    LineError,
    ListenFrame,
    NotConnected,
    Quiet,
    Ringing,
    SendData,
    SendFrames,
    Sent,
)
from t30.rates import Modulation
from tests.drivers.t38.calls import NOWHERE, call
from tests.simulators.calls import sheet

CFR = bytes.fromhex("FF 13 84")
URL = "udptl:127.0.0.1:0@127.0.0.1:9"


def options(url: str) -> Options:
    return Options.of(LineUrl.parse(url))


def test_a_url_says_all_there_is_to_say() -> None:
    said = options(
        "udptl:10.0.0.1:4000@[::1]:4002?role=answerer&version=3&redundancy=0&max_datagram=176&tcf=local&speed=8&fill=on&mmr=on"
    )
    agreed = Agreed(3, Protection(0), 176, local_tcf=True, fill_bit_removal=True, transcoding_mmr=True)
    assert said == Options(("10.0.0.1", 4000), ("::1", 4002), False, agreed, 8.0)
    assert options("udptl:a:1@b:2?fec=4").agreed.protection == Protection(0, 4)
    assert options("udptl:a:1@b:2").calls is None


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("udptl:a:1", "LOCALHOST:PORT@PEERHOST:PORT"),
        ("udptl:a@b:2", "'a'"),
        ("udptl:a:1@b:65536", "'b:65536'"),
        ("udptl:a:1@b:2?role=both", "role=both"),
        ("udptl:a:1@b:2?version=4", "version=4"),
        ("udptl:a:1@b:2?redundancy=8", "redundancy=8"),
        ("udptl:a:1@b:2?fec=-1", "fec=-1"),
        ("udptl:a:1@b:2?tcf=none", "tcf=none"),
        ("udptl:a:1@b:2?mmr=1", "mmr=1"),
        ("udptl:a:1@b:2?fill=", "fill="),
        ("udptl:a:1@b:2?colour=red", "no option colour"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_in_a_sentence(url: str, word: str) -> None:
    with pytest.raises(LineError, match=word) as refused:
        asyncio.run(open_line(url))
    assert refused.value.code == "usage"


def test_a_port_that_is_taken_is_told() -> None:
    async def test() -> None:
        first = await open_line(URL)
        port = first._route._transport.get_extra_info("sockname")[1]  # type: ignore[attr-defined]
        with pytest.raises(LineError, match="in use") as refused:
            await open_line(f"udptl:127.0.0.1:{port}@127.0.0.1:9")
        assert refused.value.code == "line.unavailable"
        await first.close()

    asyncio.run(test())


def on_a_line(body, *, calls: bool | None = None, weather: Weather = Weather()) -> None:  # type: ignore[no-untyped-def] # noqa: B008
    async def test() -> None:
        clock = LineClock(asyncio.get_running_loop().time)
        ours, theirs = pair(weather, weather, clock)
        line = UdptlLine(ours, Options(NOWHERE, NOWHERE, calls))
        await body(line, theirs)
        await line.close()

    run(test())


def test_nobody_there_is_no_answer_after_a_minute() -> None:
    async def body(line: UdptlLine, _: Plug) -> None:
        began = line.clock.now()
        assert await line.perform(Dial("1")) == NotConnected(Cause.NO_ANSWER)
        assert line.clock.now() - began == 60.0

    on_a_line(body)


def test_a_role_is_kept_to() -> None:
    async def answers(line: UdptlLine, _: Plug) -> None:
        with pytest.raises(LineError, match="answers only"):
            await line.perform(Dial("1"))

    async def calls(line: UdptlLine, _: Plug) -> None:
        with pytest.raises(LineError, match="calls only"):
            await line.perform(AwaitCall())

    on_a_line(answers, calls=False)
    on_a_line(calls, calls=True)


@pytest.mark.case("R14")
def test_the_other_side_hears_of_us_at_once_and_every_two_seconds_after() -> None:
    async def body(line: UdptlLine, far: Plug) -> None:
        heard: list[float] = []
        far.receiver = lambda _: heard.append(round(line.clock.now(), 1))
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(7)
        assert heard == [0.0] * 3 + [2.0] * 3 + [4.0] * 3 + [6.0] * 3
        far.send(datagram_of(Datagram(40000, encode(IndicatorPacket(Indicator.NO_SIGNAL)))))
        assert isinstance(await waiting, Ringing)
        assert await line.perform(Answer()) == Connected()

    on_a_line(body)


@pytest.mark.case("R15")
def test_a_peer_that_falls_silent_ends_every_action_by_the_clock() -> None:
    async def body(line: UdptlLine, far: Plug) -> None:
        far.send(datagram_of(Datagram(0, encode(IndicatorPacket(Indicator.NO_SIGNAL)))))
        await line.perform(AwaitCall())
        await line.perform(Answer())
        far.send(datagram_of(Datagram(1, encode(IndicatorPacket(Indicator.V21_PREAMBLE)))))
        began = line.clock.now()
        assert type(await line.perform(ListenFrame(Modulation.V21, 3.0))).__name__ == "CarrierLost"
        assert line.clock.now() - began < 6.0
        assert await line.perform(ListenFrame(Modulation.V21, 3.0)) == Quiet()
        assert await line.perform(SendFrames(Modulation.V21, (CFR,), 0.075)) == Sent()
        began = line.clock.now()
        with pytest.raises(LineError, match="60 s") as dropped:
            await line.perform(ListenFrame(Modulation.V21, 200.0))
        assert dropped.value.code == "line.dropped"
        assert line.clock.now() - began == pytest.approx(SILENT, abs=0.1)
        assert await line.perform(HangUp()) == Sent()

    on_a_line(body)


def test_a_peer_may_say_nothing_while_a_long_page_goes_to_it() -> None:
    async def body(line: UdptlLine, far: Plug) -> None:
        far.send(datagram_of(Datagram(0, encode(IndicatorPacket(Indicator.NO_SIGNAL)))))
        await line.perform(AwaitCall())
        await line.perform(Answer())
        page = bytes(Modulation.V27TER_2400.octets(3 * SILENT))
        assert await line.perform(SendData(Modulation.V27TER_2400, page, Content.PAGE, 0.075)) == Sent()
        assert await line.perform(ListenFrame(Modulation.V21, 3.0)) == Quiet()

    on_a_line(body)


@pytest.mark.case("R08")
@pytest.mark.parametrize("versions", [(0, 3), (3, 0)])
def test_a_peer_that_lies_about_its_version_is_found_out_and_said_so(versions: tuple[int, int]) -> None:
    done = call([sheet(1)], agreed=(Agreed(versions[0]), Agreed(versions[1])))
    assert done.sent.verdict == "delivered", done.told()
    assert done.arrived() == [sheet(1).bitmap]
    remarks = [remark for media in done.media for remark in media.forms.remarks]
    assert remarks and all("writes T.38 as version" in each for each in remarks)


def test_a_stranger_is_not_heard() -> None:
    async def test() -> None:
        line = await open_line(URL)
        loop = asyncio.get_running_loop()
        route = line._route  # type: ignore[attr-defined]
        to = route._transport.get_extra_info("sockname")
        stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.2", 0))
        ringing = asyncio.create_task(line.perform(AwaitCall()))
        for _ in range(50):
            stranger.sendto(datagram_of(Datagram(0, encode(IndicatorPacket(Indicator.CNG)))), to)
        async with asyncio.timeout(10):
            while route.strangers < 50:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not ringing.done()
        ringing.cancel()
        stranger.close()
        await line.close()

    asyncio.run(test())


def test_what_a_line_says_first_is_no_signal_in_the_form_of_its_version() -> None:
    async def body(line: UdptlLine, far: Plug) -> None:
        came: list[bytes] = []
        far.receiver = came.append
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(1)
        waiting.cancel()
        assert {udptl(each).number for each in came} == {0}
        assert decode(udptl(came[0]).primary, Form.OF_1998) == IndicatorPacket(Indicator.NO_SIGNAL)

    on_a_line(body)


@pytest.mark.case("R14")
def test_a_fax_survives_a_translation_of_addresses_that_forgets_its_way() -> None:
    async def test() -> None:
        caller = await open_line("udptl:127.0.0.1:0@127.0.0.1:9?role=caller")
        answerer = await open_line("udptl:127.0.0.1:0@127.0.0.1:9?role=answerer")
        ports = [line._route._transport.get_extra_info("sockname") for line in (caller, answerer)]  # type: ignore[attr-defined]
        weather = Weather(delay=0.001)
        relay = await Relay.open(("127.0.0.1", 0), ("127.0.0.1", 0), ports[1], there=weather, back=weather)
        caller._route.peer = relay.addresses[0]  # type: ignore[attr-defined]
        tray = Tray()
        sending = asyncio.create_task(Machine(Station(), caller, Tray([sheet(1)])).send("1"))
        receiving = asyncio.create_task(Machine(Station(), answerer, tray).receive())
        for _ in range(3):
            await asyncio.sleep(6.0)
            await relay.rebind()
        async with asyncio.timeout(600):
            assert (await sending).verdict == "delivered"
            assert (await receiving).verdict == "received"
        for each in (caller, answerer, relay):
            if (closing := each.close()) is not None:
                await closing

    run(test())


def test_a_witness_is_shown_every_datagram_of_both_sides() -> None:
    async def body(line: UdptlLine, theirs: Plug) -> None:
        seen: list[Seen] = []
        line.witness = seen.append
        theirs.send(b"early")
        await asyncio.sleep(2.0)
        waiting = asyncio.create_task(line.perform(AwaitCall()))
        await asyncio.sleep(0.0)
        packet = datagram_of(Datagram(0, b"\x00"))
        theirs.send(packet)
        assert isinstance(await waiting, Ringing)
        await asyncio.sleep(0.1)
        assert [(each.sent, each.octets) for each in seen[:1]] == [(False, b"early")]
        assert [each.octets for each in seen if not each.sent] == [b"early", packet]
        assert [each.octets for each in seen if each.sent] == [packet] * 3  # it, too, says that there is no signal
        assert {each.wire for each in seen} == {Wire.UDPTL}
        assert {(each.local, each.peer) for each in seen} == {ENDS}
        assert seen[-1].at > seen[0].at
        line.witness = None
        theirs.send(packet)
        await asyncio.sleep(3.0)
        assert len(seen) == 5

    on_a_line(body)


def test_each_missing_packet_is_waited_for_by_itself() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        theirs = Media(Agreed(protection=Protection(0)))
        packets = [
            theirs.outgoing(DataPacket(DataType.V21, (Field(FieldType.HDLC_DATA, bytes((n,))),)))[0] for n in range(5)
        ]
        ours = Media(Agreed())
        endpoint = Endpoint(ours, lambda _: None, LineClock(loop.time))
        for number, at in ((0, 0.0), (2, 0.0), (1, 0.28), (4, 0.29), (3, 0.35)):
            loop.call_at(at, endpoint.take, packets[number])
        await asyncio.sleep(1.0)
        assert ours.ordering.counts.lost == 0, "the wait for the first one ended that for the second"
        endpoint.close()

    run(test())
