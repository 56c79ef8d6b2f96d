"""Transactions: the timers of RFC 3261, and that every one of them ends, whatever the network does to its messages."""

import pytest
from hypothesis import example, given, note
from hypothesis.strategies import booleans, floats, integers, lists, sampled_from, tuples

from drivers.sip.matching import canceled_key, client_key, dialog_key, server_key
from drivers.sip.messages import Request, Response, parse
from drivers.sip.timers import Repeats, timers
from drivers.sip.transactions import (
    Again,
    ClientInvite,
    ClientOther,
    Ended,
    Failed,
    Output,
    Pass,
    Send,
    ServerInvite,
    ServerOther,
    State,
    Why,
    acknowledgement,
    cancellation,
)
from tests.drivers.sip.ends import Network, Seen, pair

AT_A = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
"""When an INVITE is sent to somebody who is silent: T1 doubles."""
AT_E = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
"""When any other request is sent to somebody who is silent: T1 doubles up to T2. Responses to INVITE go by it too."""
AFTER_ONE = [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]
"""The same, where the first copy got a provisional response at 0.2 s."""


def request(method: str = "INVITE", *, to_tag: str = "", branch: str = "z9hG4bKone", cseq: int = 7) -> Request:
    message = parse(
        f"{method} sip:5550100@192.0.2.9 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n"
        "Route: <sip:192.0.2.5;lr>, <sip:192.0.2.6;lr>\r\n"
        "Max-Forwards: 70\r\n"
        "From: Front desk <sip:front@192.0.2.1>;tag=caller\r\n"
        f"To: <sip:5550100@192.0.2.9>{';tag=' + to_tag if to_tag else ''}\r\n"
        "Call-ID: a84b4c76e66710\r\n"
        f"CSeq: {cseq} {method}\r\n"
        "Contact: <sip:front@192.0.2.1>\r\n"
        "Timestamp: 54.1\r\n\r\n".encode()
    )
    assert isinstance(message, Request)
    return message


def tagged(to: Request, status: int, tag: str = "called") -> Response:
    return to.answer(status, tag=tag)


Machine = ClientInvite | ClientOther | ServerInvite | ServerOther


def sends(machine: Machine, outputs: list[Output], *, now: float = 0.0) -> tuple[list[float], list[Output], float]:
    """Follow the timers to the end: when something was sent, what came at the end, when that was."""
    times = [now for output in outputs if isinstance(output, Send)]
    while machine.wakes is not None:
        now = machine.wakes
        assert machine.timer(now - 0.001) == []
        outputs = machine.timer(now)
        times += [now for output in outputs if isinstance(output, Send)]
    return [round(time, 6) for time in times], outputs, now


# What the table says.


def test_the_table_is_that_of_rfc_3261_for_udp() -> None:
    table = timers(reliable=False)
    assert (table.a, table.e, table.g) == (Repeats(0.5, 32.0), Repeats(0.5, 4.0), Repeats(0.5, 4.0))
    assert (table.b, table.f, table.h, table.j, table.l, table.m) == (32.0,) * 6
    assert (table.d, table.i, table.k) == (32.0, 5.0, 5.0)


def test_the_table_is_that_of_rfc_3261_for_tcp_and_tls() -> None:
    table = timers(reliable=True)
    assert (table.a, table.e, table.g) == (None, None, None)
    assert (table.b, table.f, table.h, table.l, table.m) == (32.0,) * 5
    assert (table.d, table.i, table.j, table.k) == (0.0,) * 4
    assert table.accepted == Repeats(0.5, 4.0)


def test_a_shorter_round_trip_never_shortens_the_wait_for_copies_of_a_refusal() -> None:
    assert timers(reliable=False, t1=0.1).d == 32.0
    assert timers(reliable=False, t1=0.1).b == pytest.approx(6.4)
    assert timers(reliable=False, t1=1.0).d == 64.0


# Nobody answers.


@pytest.mark.parametrize(
    ("machine", "reliable", "times"),
    [
        (ClientInvite, False, AT_A),
        (ClientInvite, True, [0]),
        (ClientOther, False, AT_E),
        (ClientOther, True, [0]),
    ],
)
def test_a_request_to_somebody_silent_is_repeated_by_the_table_and_fails_after_32_s(
    machine: type[ClientInvite | ClientOther], reliable: bool, times: list[float]
) -> None:
    client = machine(request("INVITE" if machine is ClientInvite else "BYE"), reliable=reliable)
    assert sends(client, client.start(0.0)) == (times, [Failed(Why.NO_RESPONSE), Ended()], 32.0)
    assert client.state is State.TERMINATED


@pytest.mark.parametrize(("status", "reliable", "times"), [(486, False, AT_E), (486, True, [0]), (200, True, AT_E)])
def test_a_final_response_to_invite_without_ack_is_repeated_and_fails_after_32_s(
    status: int, reliable: bool, times: list[float]
) -> None:
    invite = request()
    server = ServerInvite(invite, reliable=reliable)
    server.start(0.0)
    assert sends(server, server.respond(tagged(invite, status), 0.0)) == (times, [Failed(Why.NO_ACK), Ended()], 32.0)


def test_a_transport_that_cannot_deliver_fails_a_request_at_once_but_not_after_a_final_response() -> None:
    client = ClientInvite(request(), reliable=True)
    client.start(0.0)
    assert client.undeliverable() == [Failed(Why.UNDELIVERABLE), Ended()]
    assert client.wakes is None
    assert client.undeliverable() == []
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    client.received(tagged(client.request, 486), 0.1)
    assert client.undeliverable() == []
    assert client.received(tagged(client.request, 486), 0.2) == [Send(acknowledgement(client.request, ANSWERED))]


ANSWERED = tagged(request(), 486)


def test_a_timer_that_is_called_much_later_sends_one_copy_and_goes_on_from_there() -> None:
    client = ClientOther(request("OPTIONS"), reliable=False)
    client.start(0.0)
    assert client.timer(10.0) == [Send(client.request)]
    assert client.wakes == 11.0
    assert client.timer(50.0) == [Failed(Why.NO_RESPONSE), Ended()]


# INVITE, ours.


def test_a_provisional_response_stops_all_timers_of_an_invite() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    trying, ringing = tagged(client.request, 100), tagged(client.request, 180)
    assert client.received(trying, 0.1) == [Pass(trying)]
    assert client.wakes is None
    assert client.received(ringing, 60.0) == [Pass(ringing)]
    assert client.timer(1000.0) == []
    assert client.state is State.PROCEEDING


def test_an_invite_may_be_cancelled_after_a_provisional_response_and_before_its_end() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    client.canceled(0.0)
    assert (client.cancellable, client.wakes) == (False, 0.5)
    client.received(tagged(client.request, 180), 0.1)
    assert client.cancellable
    client.undeliverable()
    client.canceled(0.2)
    assert (client.cancellable, client.wakes) == (False, None)


def test_a_cancelled_invite_that_gets_no_final_response_is_given_up_32_s_after_the_first_cancel() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    client.received(tagged(client.request, 180), 0.1)
    client.canceled(20.0)
    client.canceled(40.0)
    client.received(tagged(client.request, 180), 45.0)
    assert sends(client, []) == ([], [Failed(Why.NO_RESPONSE), Ended()], 52.0)


def test_a_200_that_crosses_the_cancel_is_passed() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    client.received(tagged(client.request, 180), 0.1)
    client.canceled(20.0)
    accepted = tagged(client.request, 200)
    assert client.received(accepted, 20.1) == [Pass(accepted)]
    assert sends(client, []) == ([], [Ended()], 52.1)


def test_each_fork_that_accepts_is_passed_once_and_its_copies_ask_for_ack_again() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    one, other = tagged(client.request, 200, "one"), tagged(client.request, 200, "other")
    outputs = [client.received(each, 1.0) for each in (one, other, one, other)]
    assert outputs == [[Pass(one)], [Pass(other)], [Again(one)], [Again(other)]]
    assert client.received(tagged(client.request, 180), 1.0) == []
    assert client.received(tagged(client.request, 487), 1.0) == []
    assert sends(client, []) == ([], [Ended()], 33.0)


def test_a_refusal_is_acknowledged_as_often_as_it_comes_and_passed_once() -> None:
    client = ClientInvite(request(), reliable=False)
    client.start(0.0)
    busy = tagged(client.request, 486)
    ack = Send(acknowledgement(client.request, busy))
    assert client.received(busy, 0.1) == [ack, Pass(busy)]
    assert client.received(busy, 0.6) == [ack]
    assert client.received(tagged(client.request, 180), 0.7) == []
    assert sends(client, []) == ([], [Ended()], 32.1)


def test_a_refusal_over_tcp_ends_the_invite_with_its_ack() -> None:
    client = ClientInvite(request(), reliable=True)
    client.start(0.0)
    busy = tagged(client.request, 486)
    assert client.received(busy, 0.1) == [Send(acknowledgement(client.request, busy)), Pass(busy), Ended()]


def test_the_ack_of_a_refusal_is_the_invite_s_companion() -> None:
    ack = acknowledgement(request(), tagged(request(), 486))
    assert ack.octets().decode().split("\r\n") == [
        "ACK sip:5550100@192.0.2.9 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone",
        "Max-Forwards: 70",
        "Route: <sip:192.0.2.5;lr>",
        "Route: <sip:192.0.2.6;lr>",
        "From: Front desk <sip:front@192.0.2.1>;tag=caller",
        "To: <sip:5550100@192.0.2.9>;tag=called",
        "Call-ID: a84b4c76e66710",
        "CSeq: 7 ACK",
        "Content-Length: 0",
        "",
        "",
    ]


def test_a_cancel_repeats_what_the_invite_said_of_itself() -> None:
    cancel, invite = cancellation(request()), request()
    assert (cancel.method, cancel.uri, str(cancel.cseq)) == ("CANCEL", invite.uri, "7 CANCEL")
    for name in ("Via", "Route", "From", "To", "Call-ID"):
        assert cancel.headers.all(name) == invite.headers.all(name)


# Any other request, ours.


def test_a_provisional_response_slows_the_copies_of_any_other_request_down_to_t2() -> None:
    client = ClientOther(request("BYE"), reliable=False)
    outputs = client.start(0.0)
    trying = tagged(client.request, 100)
    assert client.received(trying, 0.2) == [Pass(trying)]
    assert sends(client, outputs) == (AFTER_ONE, [Failed(Why.NO_RESPONSE), Ended()], 32.0)


@pytest.mark.parametrize(("reliable", "more", "ended"), [(False, [], 5.1), (True, [Ended()], None)])
def test_a_final_response_is_passed_once_and_its_copies_are_taken_for_t4(
    reliable: bool, more: list[Output], ended: float | None
) -> None:
    client = ClientOther(request("BYE"), reliable=reliable)
    client.start(0.0)
    done = tagged(client.request, 200)
    assert client.received(done, 0.1) == [Pass(done), *more]
    assert client.wakes == ended
    assert client.received(done, 0.2) == []
    assert client.received(tagged(client.request, 100), 0.2) == []


# INVITE, theirs.


def test_an_invite_whose_user_is_slow_gets_100_after_200_ms_without_a_tag() -> None:
    server = ServerInvite(request(), reliable=True)
    assert server.start(0.0) == [Pass(server.request)]
    assert server.wakes == pytest.approx(0.2)
    [trying] = server.timer(0.2)
    assert isinstance(trying, Send)
    assert isinstance(trying.message, Response)
    assert (trying.message.status, trying.message.to.tag) == (100, None)
    assert trying.message.headers.get("Timestamp") == "54.1"
    assert server.wakes is None


def test_an_invite_whose_user_is_quick_gets_no_100() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    ringing = tagged(server.request, 180)
    assert server.respond(ringing, 0.1) == [Send(ringing)]
    assert server.wakes is None
    assert server.received(server.request, 0.5) == [Send(ringing)]


def test_a_copy_of_an_invite_gets_the_last_response_or_100_at_once() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    [trying] = server.received(server.request, 0.1)
    assert isinstance(trying, Send)
    assert isinstance(trying.message, Response)
    assert trying.message.status == 100
    assert server.timer(0.2) == []
    ringing, busy = tagged(server.request, 180), tagged(server.request, 486)
    server.respond(ringing, 1.0)
    assert server.received(server.request, 1.1) == [Send(ringing)]
    server.respond(busy, 2.0)
    assert server.received(server.request, 2.1) == [Send(busy)]


def test_nothing_follows_a_final_response() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    server.respond(tagged(server.request, 200), 0.1)
    for status in (180, 200, 487):
        assert server.respond(tagged(server.request, status), 0.2) == []


def test_the_ack_of_a_refusal_stops_its_copies_and_is_kept_to_itself() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    busy = tagged(server.request, 486)
    server.respond(busy, 0.1)
    assert server.received(acknowledgement(server.request, busy), 0.2) == []
    assert server.received(server.request, 0.3) == []
    assert server.received(acknowledgement(server.request, busy), 0.4) == []
    assert sends(server, []) == ([], [Ended()], 5.2)


def test_the_ack_of_a_refusal_over_tcp_ends_the_invite() -> None:
    server = ServerInvite(request(), reliable=True)
    server.start(0.0)
    busy = tagged(server.request, 486)
    server.respond(busy, 0.1)
    assert server.received(acknowledgement(server.request, busy), 0.2) == [Ended()]


def test_the_ack_of_a_2xx_stops_its_copies_and_is_passed_once_and_copies_of_the_invite_are_taken_for_32_s() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    server.respond(tagged(server.request, 200), 1.0)
    ack = request("ACK", to_tag="called", branch="z9hG4bKother")
    assert server.acknowledged_by(ack)
    assert server.received(ack, 1.1) == [Pass(ack)]
    assert server.received(ack, 1.2) == []
    assert server.received(server.request, 1.3) == []
    assert sends(server, []) == ([], [Ended()], 33.0)


def test_an_ack_is_for_an_invite_of_its_dialog_and_number_that_was_answered() -> None:
    server = ServerInvite(request(), reliable=False)
    server.start(0.0)
    ack = request("ACK", to_tag="called", branch="z9hG4bKother")
    assert not server.acknowledged_by(ack)
    assert server.received(ack, 0.05) == []
    server.respond(tagged(server.request, 180), 0.1)
    assert not server.acknowledged_by(ack)
    server.respond(tagged(server.request, 200), 0.2)
    assert server.acknowledged_by(ack)
    assert not server.acknowledged_by(request("ACK", to_tag="another"))
    assert not server.acknowledged_by(request("ACK", to_tag="called", cseq=8))
    for name, value in (("Call-ID", "another"), ("From", "<sip:front@192.0.2.1>;tag=another")):
        other = request("ACK", to_tag="called")
        other.headers.set(name, value)
        assert not server.acknowledged_by(other)


# Any other request, theirs.


@pytest.mark.parametrize(("reliable", "more", "ended"), [(False, [], 33.0), (True, [Ended()], None)])
def test_copies_of_any_other_request_get_the_last_response(
    reliable: bool, more: list[Output], ended: float | None
) -> None:
    server = ServerOther(request("BYE"), reliable=reliable)
    assert server.start(0.0) == [Pass(server.request)]
    assert server.received(server.request, 0.5) == []
    trying, done = tagged(server.request, 100), tagged(server.request, 200)
    assert server.respond(trying, 0.6) == [Send(trying)]
    assert server.received(server.request, 0.7) == [Send(trying)]
    assert server.respond(done, 1.0) == [Send(done), *more]
    assert server.wakes == ended
    assert server.received(server.request, 2.0) == ([] if reliable else [Send(done)])
    assert server.respond(tagged(server.request, 500), 3.0) == []


# Which message belongs to which transaction.


def test_a_response_finds_its_request_by_branch_and_method() -> None:
    invite, cancel = request(), cancellation(request())
    assert client_key(invite) == client_key(invite.answer(180))
    assert client_key(cancel) == client_key(cancel.answer(200))
    assert client_key(invite) != client_key(cancel)
    assert client_key(invite) != client_key(request(branch="z9hG4bKtwo"))


@pytest.mark.parametrize("branch", ["z9hG4bKone", "z9hg4bkone", "one", "z9hG4bK"])
def test_copies_acks_and_cancels_find_their_invite_also_by_the_rules_of_rfc_2543(branch: str) -> None:
    invite = request(branch=branch)
    ack, cancel = acknowledgement(invite, tagged(invite, 486)), cancellation(invite)
    assert server_key(invite) == server_key(request(branch=branch)) == server_key(ack) == canceled_key(cancel)
    assert server_key(cancel) not in {server_key(invite), server_key(request("BYE", branch=branch))}


@pytest.mark.parametrize("branch", ["one", "z9hG4bK"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Call-ID", "another"),
        ("CSeq", "8 INVITE"),
        ("From", "<sip:front@192.0.2.1>;tag=another"),
        ("Via", "SIP/2.0/UDP 192.0.2.2"),
    ],
)
def test_without_a_unique_branch_all_that_tells_requests_apart_counts(branch: str, name: str, value: str) -> None:
    other = request(branch=branch)
    other.headers.set(name, value)
    assert server_key(request(branch=branch)) != server_key(other)


def test_a_branch_may_come_back_in_capitals() -> None:
    assert server_key(request(branch="Z9HG4BKONE")) == server_key(request(branch="z9hG4bKone"))
    assert client_key(request(branch="Z9HG4BKONE").answer(200)) == client_key(request(branch="z9hG4bKone"))


def test_two_peers_that_chose_the_same_branch_are_two() -> None:
    other = request()
    other.headers.set("Via", "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKone")
    assert server_key(request()) != server_key(other)
    other.headers.set("Via", "SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKone")
    assert server_key(request()) != server_key(other)


def test_the_ack_of_a_2xx_finds_its_dialog_and_not_the_invite() -> None:
    invite = request()
    ack = request("ACK", to_tag="called", branch="z9hG4bKother")
    assert server_key(ack) != server_key(invite)
    assert dialog_key(ack) == ("a84b4c76e66710", "called", "caller")
    assert dialog_key(tagged(invite, 200)) == ("a84b4c76e66710", "caller", "called")


# Both ends, on a bad network.

seeds = integers(0, 2**32 - 1)
losses = sampled_from([0.0, 0.1, 0.3, 0.6, 0.9])
rings = lists(tuples(floats(0.0, 3.0), sampled_from([180, 183])), max_size=3)
pauses = sampled_from([0.0, 0.1, 0.3, 2.0, 20.0, 50.0])


@given(seed=seeds, loss=losses, ringing=rings, pause=pauses, status=sampled_from([200, 302, 486, 603]))
@example(seed=1, loss=0.9, ringing=[(0.0, 180)], pause=50.0, status=200)
def test_an_invite_over_a_bad_network_ends_at_both_ends_and_its_answer_is_delivered_once(
    seed: int, loss: float, ringing: list[tuple[float, int]], pause: float, status: int
) -> None:
    network = Network(seed, loss=loss, duplicates=0.3, delay=(0.0, 0.49))
    caller, called = pair(network, {"INVITE": [*ringing, (pause, status)]})
    key = caller.call(request())
    network.run(caller, called)
    note(f"seed {seed}: {network.sent}")
    assert not caller.clients
    assert not called.servers
    _judge_client(caller.seen[key][-1])
    assert loss or caller.seen[key][-1].finals == [status]
    for histories in called.seen.values():
        assert len(histories) == 1, "a copy of a request was taken for a new one"
    for seen in called.seen.get(server_key(request()), []):
        _judge_server_invite(seen)


@given(seed=seeds, loss=losses, pause=sampled_from([0.0, 0.3, 2.0, 12.0]), status=sampled_from([200, 481]))
def test_any_other_request_over_a_bad_network_ends_at_both_ends_and_its_answer_is_delivered_once(
    seed: int, loss: float, pause: float, status: int
) -> None:
    network = Network(seed, loss=loss, duplicates=0.3, delay=(0.0, 0.49))
    caller, called = pair(network, {"BYE": [(pause / 2, 100), (pause, status)]})
    key = caller.call(request("BYE"))
    network.run(caller, called)
    note(f"seed {seed}: {network.sent}")
    assert not caller.clients
    assert not called.servers
    _judge_client(caller.seen[key][-1])
    assert loss or caller.seen[key][-1].finals == [status]
    for histories in called.seen.values():
        assert [(seen.count("BYE"), seen.ended) for seen in histories] == [(1, 1)]


@given(seed=seeds, loss=losses, method=sampled_from(["INVITE", "OPTIONS"]), status=sampled_from([200, 404]))
def test_messages_that_stay_in_the_network_for_as_long_as_t4_hurt_nobody(
    seed: int, loss: float, method: str, status: int
) -> None:
    network = Network(seed, loss=loss, duplicates=0.3, delay=(0.0, 5.0))
    caller, called = pair(network, {method: [(0.1, 100), (0.3, status)]})
    key = caller.call(request(method))
    network.run(caller, called)
    note(f"seed {seed}: {network.sent}")
    assert not caller.clients
    assert not called.servers
    _judge_client(caller.seen[key][-1])


@given(seed=seeds, reliable=booleans(), patience=floats(0.9, 1.1), status=sampled_from([200, 486]))
def test_a_cancel_that_crosses_the_final_response_leaves_both_ends_of_one_mind(
    seed: int, reliable: bool, patience: float, status: int
) -> None:
    delay = (0.02, 0.02) if reliable else (0.0, 0.2)
    network = Network(seed, duplicates=0.0 if reliable else 0.3, delay=delay)
    caller, called = pair(network, {"INVITE": [(0.05, 180), (1.0, status)]}, reliable=reliable)
    caller.patience = patience
    key = caller.call(request())
    network.run(caller, called)
    note(f"seed {seed}: {network.sent}")
    assert not caller.clients
    assert not called.servers
    assert caller.seen[key][-1].finals in ([status], [487])
    server = called.seen[server_key(request())][-1]
    assert server.failed == []
    assert server.count("ACK") == (caller.seen[key][-1].finals == [200])


@given(method=sampled_from(["INVITE", "BYE"]), status=sampled_from([200, 486]), pause=sampled_from([0.0, 0.1, 40.0]))
def test_over_tcp_nothing_is_sent_twice(method: str, status: int, pause: float) -> None:
    network = Network(0)
    caller, called = pair(network, {method: [(pause, 180), (pause, status)]}, reliable=True)
    answered = caller.call(request(method))
    network.run(caller, called)
    assert len(network.sent) == len({line for _, line in network.sent})
    assert caller.seen[answered][-1].finals == ([status] if method == "INVITE" or pause < 32 else [])


def _judge_client(seen: Seen) -> None:
    """Any copy came through while somebody waited: delivered, once. None did: failed, once. Ended in any case, once."""
    delivered = bool(seen.came["final"])
    assert len(seen.finals) == delivered
    assert len(seen.failed) == (not delivered)
    assert seen.ended == 1


def _judge_server_invite(seen: Seen) -> None:
    assert seen.count("INVITE") == seen.ended == 1
    assert len(seen.failed) == (not seen.came["ACK"])
    assert seen.count("ACK") <= 1
