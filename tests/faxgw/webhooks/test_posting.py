"""One message to one receiver, a real TLS server: where it goes, whom it trusts, what it bears."""

import asyncio
import time
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from faxgw.webhooks.egress import Address
from faxgw.webhooks.posting import NotAnswered, Poster
from tests.faxgw.webhooks import receiver
from tests.faxgw.webhooks.receiver import NAME, Authority, Receiver, receiving, status

LOOPBACK = (ip_network("127.0.0.0/8"),)


class Names:
    """A resolver that gives its answers in turn, and the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    async def __call__(self, host: str, _: int) -> Sequence[Address]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [ip_address(each) for each in answer.split()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("authority"))


async def post(
    to: Receiver | str, names: Names, trust: Path | None, *, allowed: bool = True, seconds: float = 5.0
) -> int:
    poster = Poster(allowed=LOOPBACK if allowed else (), trust=trust, seconds=seconds, resolve=names)
    try:
        url = to if isinstance(to, str) else to.url()
        return await poster.post(url, headers={"webhook-id": "1"}, body=b"{}")
    finally:
        await poster.close()


async def test_it_connects_to_the_address_that_was_checked_and_speaks_to_the_name(authority: Authority) -> None:
    names = Names("127.0.0.1", "127.0.0.2")  # a name that leads elsewhere as soon as it was looked at
    async with receiving(authority.context(NAME)) as taken:
        assert await post(taken, names, authority.certificate) == 200
        (message,) = taken.messages
    assert names.asked == [NAME]
    assert (message.server_name, message.address, message.path) == (NAME, "127.0.0.1", "/in")
    assert message.headers["host"] == f"{NAME}:{taken.port}"
    assert message.headers["content-type"] == "application/json"
    assert "accept-encoding" not in message.headers


async def test_a_certificate_counts_only_for_its_name_its_time_and_by_an_authority_we_trust(
    authority: Authority, tmp_path: Path
) -> None:
    for context, trust in (
        (authority.context("other.example"), authority.certificate),
        (authority.context(NAME, expired=True), authority.certificate),
        (authority.context(NAME), None),
        (authority.context(NAME), Authority.make(tmp_path).certificate),
    ):
        async with receiving(context) as taken:
            with pytest.raises(NotAnswered, match="certificate is not valid"):
                await post(taken, Names("127.0.0.1"), trust)
            assert not taken.messages


async def test_two_names_at_one_address_share_no_connection(authority: Authority) -> None:
    async with receiving(authority.context(NAME)) as taken:
        poster = Poster(allowed=LOOPBACK, trust=authority.certificate, resolve=Names("127.0.0.1"))
        assert await poster.post(taken.url(), headers={}, body=b"{}") == 200
        with pytest.raises(NotAnswered, match="certificate is not valid"):
            await poster.post(taken.url("other.example"), headers={}, body=b"{}")
        await poster.close()


@pytest.mark.parametrize("addresses", ["127.0.0.1", "::ffff:127.0.0.1", "9.9.9.9 127.0.0.1"])
async def test_a_name_that_leads_inside_is_not_connected_to(authority: Authority, addresses: str) -> None:
    async with receiving(authority.context(NAME)) as taken:
        with pytest.raises(NotAnswered, match="private or reserved"):
            await post(taken, Names(addresses), authority.certificate, allowed=False)
        assert taken.connections == 0


async def test_plain_http_goes_to_allowed_addresses_only() -> None:
    async with receiving(None) as taken:
        url = f"http://{NAME}:{taken.port}/"
        assert await post(url, Names("127.0.0.1"), None) == 200
        with pytest.raises(NotAnswered, match="private or reserved"):
            await post(url, Names("9.9.9.9"), None)


async def test_a_redirect_is_an_answer_and_is_not_followed(authority: Authority) -> None:
    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [status(307, f"Location: {taken.url(path='/there')}", "Set-Cookie: a=b")]
        assert await post(taken, Names("127.0.0.1"), authority.certificate) == 307
        assert await post(taken, Names("127.0.0.1"), authority.certificate) == 200
        assert [(message.path, message.headers.get("cookie")) for message in taken.messages] == [("/in", None)] * 2


async def test_a_receiver_that_is_silent_costs_no_more_than_the_time_allowed(authority: Authority) -> None:
    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [receiver.silence]
        began = time.monotonic()
        with pytest.raises(NotAnswered, match=r"within 0\.2 s"):
            await post(taken, Names("127.0.0.1"), authority.certificate, seconds=0.2)
        assert time.monotonic() - began < 2.0


async def test_an_endless_answer_is_cut_off_and_its_status_counts(authority: Authority) -> None:
    gone, written = asyncio.Event(), 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b"8000\r\n" + bytes(0x8000) + b"\r\n")
                written += 0x8000
                await writer.drain()
        finally:
            gone.set()

    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [endless]
        assert await post(taken, Names("127.0.0.1"), authority.certificate) == 200
        async with asyncio.timeout(2):
            await gone.wait()
        assert written < 16 << 20  # what the buffers on the way took, not what a second has time for


async def test_endless_headers_are_no_answer(authority: Authority) -> None:
    async with receiving(authority.context(NAME)) as taken:
        taken.answers = [receiver.endless_headers]
        with pytest.raises(NotAnswered, match="RemoteProtocolError"):
            await post(taken, Names("127.0.0.1"), authority.certificate)


async def test_the_next_address_of_a_name_is_tried_when_the_first_takes_no_connection(authority: Authority) -> None:
    async with receiving(authority.context(NAME)) as taken:
        assert await post(taken, Names("127.0.0.9 127.0.0.1"), authority.certificate) == 200


async def test_an_address_may_stand_in_the_url(authority: Authority) -> None:
    async with receiving(authority.context("127.0.0.1")) as taken:
        poster = Poster(allowed=LOOPBACK, trust=authority.certificate)
        assert await poster.post(taken.url("127.0.0.1"), headers={}, body=b"{}") == 200
        await poster.close()


async def test_a_proxy_in_the_environment_changes_nothing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with receiving(authority.context(NAME)) as taken:
        assert await post(taken, Names("127.0.0.1"), authority.certificate) == 200


async def test_a_name_that_does_not_exist_is_told() -> None:
    poster = Poster()
    with pytest.raises(NotAnswered, match=r"gaierror|ConnectError"):
        await poster.post("https://nobody.invalid/", headers={}, body=b"{}")
    await poster.close()


@pytest.mark.parametrize("host", ["nobody..invalid", f"{'x' * 64}.invalid"])
async def test_a_name_that_cannot_be_is_told(host: str) -> None:
    poster = Poster()
    with pytest.raises(NotAnswered, match="no name of a host"):
        await poster.post(f"https://{host}/", headers={}, body=b"{}")
    await poster.close()
