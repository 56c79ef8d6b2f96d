"""Which URLs and addresses a webhook may lead to."""

from ipaddress import ip_address, ip_network

import pytest

from faxgw.errors import RequestError
from faxgw.webhooks.egress import Forbidden, admit, checked_url

INSIDE = """
    0.0.0.0 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192
    192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255
    168.63.129.16 :: ::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1
    64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1:: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1
    3fff::1
"""
OUTSIDE = """
    1.1.1.1 9.9.9.9 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450:4001::1 ::ffff:9.9.9.9 64:ff9b::909:909
"""


@pytest.mark.parametrize("text", INSIDE.split())
def test_an_address_that_is_not_of_the_public_internet_is_refused(text: str) -> None:
    with pytest.raises(Forbidden):
        admit(ip_address(text), [])


@pytest.mark.parametrize("text", OUTSIDE.split())
def test_an_address_of_the_public_internet_is_admitted(text: str) -> None:
    admit(ip_address(text), [])


def test_an_allowed_network_is_admitted_in_every_disguise_and_its_neighbour_is_not() -> None:
    allowed = [ip_network("10.1.2.0/24"), ip_network("fd12::/64")]
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::7"):
        admit(ip_address(text), allowed)
    for text in ("10.1.3.3", "::ffff:10.1.3.3", "fd13::7"):
        with pytest.raises(Forbidden):
            admit(ip_address(text), allowed)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com/", "webhook.url"),
        ("http://example.com/", "webhook.url"),
        ("https://", "webhook.url"),
        ("https://user:secret@example.com/", "webhook.url"),
        ("https://example.com/#here", "webhook.url"),
        ("https://example.com:99999/", "webhook.url"),
        ("https://example.com/" + "x" * 2000, "webhook.url"),
        ("no url at all", "webhook.url"),
        ("https://x..example.com/", "webhook.url"),
        (f"https://{'x' * 64}.example.com/", "webhook.url"),
        ("https://127.0.0.1/", "webhook.address"),
        ("https://[::1]/", "webhook.address"),
        ("https://localhost/", "webhook.address"),
        ("https://LOCALHOST/", "webhook.address"),
        ("https://localhost./", "webhook.address"),
        ("https://169.254.169.254/latest/", "webhook.address"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_at_once(url: str, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        checked_url(url, [])
    assert refused.value.code == code


def test_plain_http_is_for_allowed_networks_only() -> None:
    assert checked_url("http://10.1.2.3/in", [ip_network("10.1.2.0/24")])
    assert checked_url("https://hooks.example/in?x=1", [])
