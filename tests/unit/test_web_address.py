"""One table of URLs for webhooks and init media: sixty that must lead nowhere, and good ones."""

import asyncio
from collections.abc import Sequence

import pytest
from t2v_api.base import ContractError
from t2v_api.web_address import (
    AddressRefused,
    AllowedAddresses,
    check_literal,
    is_public,
    read_web_address,
)
from t2v_operator.delivery.public_http import NotReached, PublicClient
from t2v_runner.errors import InitMediaRefused
from t2v_runner.fetch import fetch
from t2v_runner.order import MediaRules

ADDRESSES = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.0.0.0:80/",
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.0.1/",
    "http://192.168.1.1:8080/hook",
    "http://100.64.0.1/",
    "http://169.254.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://0251.0376.0251.0376/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[2001::1]/",
    "http://[2001:db8::1]/",
    "http://[100::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://api.localhost/",
]
NO_ADDRESSES = [
    "ftp://media.example/",
    "gopher://media.example/",
    "javascript:alert(1)",
    "http:///hook",
    "http://:80/",
    "http://media.example:0/",
    "http://media.example:99999/",
    "http://[::1/",
    "http://user@media.example/",
    "http://user:hunter2@media.example/",
    "http://media.example\\@127.0.0.1/",
    "http://media.example /",
    "http://media\t.example/",
    "http://media.example/\r\nHost: other",
    "http://media..example/",
    "http://" + "a" * 64 + ".example/",
]
GOOD = [
    "http://example.com/",
    "https://example.com/hook",
    "https://example.com:8443/hook?token=a%2Fb",
    "https://EXAMPLE.com",
    "https://example.com./hook",
    "https://münchen.example/",
    "https://例え.example/動画",
    "https://a-b.c-d.example/path/with/parts",
    "http://8.8.8.8/",
    "http://1.1.1.1:8080/",
    "http://[2606:4700:4700::1111]/",
    "http://[64:ff9b::808:808]/",
    "https://localhost.example/",
    "https://127.0.0.1.example/",
    "https://example.com/http://127.0.0.1/",
]
NOWHERE = AllowedAddresses()


def public(_: str, __: int = 0) -> Sequence[str]:
    return ["93.184.215.14"]


@pytest.mark.parametrize("url", ADDRESSES + NO_ADDRESSES)
def test_a_hostile_url_is_refused_before_anything_is_made_or_asked(url: str) -> None:
    with pytest.raises(AddressRefused) as refusal:
        check_literal(url, NOWHERE)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("url", ADDRESSES + NO_ADDRESSES)
def test_neither_a_webhook_nor_init_media_goes_there(url: str) -> None:
    async def post() -> None:
        await PublicClient(NOWHERE).post(url, b"", {}, 5)

    with pytest.raises((AddressRefused, NotReached)):
        asyncio.run(post())
    with pytest.raises(InitMediaRefused):
        fetch(url, MediaRules(folder=None))


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url_is_taken(url: str) -> None:
    address = check_literal(url, NOWHERE)
    assert address.checked(public(address.host), NOWHERE) == public(address.host)
    assert address.host.isascii()


@pytest.mark.parametrize("address", ["10.0.0.7", "169.254.169.254", "::1", "::ffff:10.0.0.7"])
def test_a_name_that_leads_inside_is_refused_whatever_else_it_leads_to(address: str) -> None:
    async def post() -> None:
        client = PublicClient(NOWHERE, lambda *_: ["93.184.215.14", address])
        await client.post("http://rebound.example/", b"", {}, 5)

    with pytest.raises(AddressRefused, match="not an address of the public internet"):
        asyncio.run(post())


def test_names_and_ranges_can_be_allowed() -> None:
    allowed = AllowedAddresses(hosts=("media.internal", "*.corp"), ranges=("10.1.0.0/16",))
    assert check_literal("http://10.1.2.3/", allowed)
    with pytest.raises(AddressRefused):
        check_literal("http://10.2.2.3/", allowed)
    for host in ("media.internal", "MEDIA.internal.", "a.b.corp"):
        assert read_web_address(f"http://{host}/").checked(["192.168.0.1"], allowed)
    for host in ("media.internal.example", "corp", "other.internal", "acorp"):
        with pytest.raises(AddressRefused):
            read_web_address(f"http://{host}/").checked(["192.168.0.1"], allowed)


@pytest.mark.parametrize("wrong", [{"ranges": ["10.0.0.0/33"]}, {"hosts": ["*"]}, {"hosts": [""]}])
def test_what_is_no_name_or_range_is_refused(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(ContractError):
        AllowedAddresses.parse(wrong)


def test_an_address_that_wraps_another_is_that_one() -> None:
    assert is_public("::ffff:8.8.8.8")
    assert not is_public("::ffff:8.8.8.8".replace("8.8.8.8", "10.0.0.1"))
