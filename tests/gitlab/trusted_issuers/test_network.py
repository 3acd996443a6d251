"""Which addresses an issuer may be at."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from gitlab.trusted_issuers import network
from gitlab.trusted_issuers.network import ForbiddenAddress, is_public, resolve, url_fault

pytestmark = pytest.mark.engineless

PUBLIC = ["8.8.8.8", "140.82.112.3", "2606:50c0:8000::153", "64:ff9b::808:808"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What each host's addresses are."""
    known: dict[str, list[str]] = {}

    def found(host: str, port: int, **options: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror("no such name")
        return [(0, 0, 0, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(network.socket, "getaddrinfo", found)
    return known


def test_all_of_a_hosts_addresses_are_looked_at(names: dict[str, list[str]]) -> None:
    names["good.test"] = ["8.8.8.8", "2606:50c0:8000::153", "8.8.8.8"]
    names["both.test"] = ["8.8.8.8", "127.0.0.1"]
    names["mapped.test"] = ["::ffff:10.0.0.1"]

    assert resolve("good.test", 443, plain=False) == ["8.8.8.8", "2606:50c0:8000::153"]
    for host in ("both.test", "mapped.test", "nowhere.test"):
        with pytest.raises(ForbiddenAddress):
            resolve(host, 443, plain=False)


def test_without_tls_only_in_own_networks(names: dict[str, list[str]], settings: Any) -> None:
    settings.ISSUER_NETWORKS = ["10.1.0.0/16"]
    names.update({"in.test": ["10.1.2.3"], "out.test": ["8.8.8.8"], "beside.test": ["10.2.0.1"]})

    assert resolve("in.test", 80, plain=True) == ["10.1.2.3"]
    assert resolve("in.test", 443, plain=False) == ["10.1.2.3"]
    for host, plain in (("out.test", True), ("beside.test", False), ("beside.test", True)):
        with pytest.raises(ForbiddenAddress):
            resolve(host, 80, plain=plain)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ci.example.com",
        "http://ci.example.com",
        "ftp://ci.example.com",
        "file:///etc/passwd",
        "https://",
        "https://user@ci.example.com",
        "https://@ci.example.com",
        "https://ci.example.com?x=1",
        "https://ci.example.com?",
        "https://ci.example.com#",
        "https://ci.example.com:0",
        "https://ci.example.com:99999",
        "https://ci.example.com/a b",
        "https://ci.example.com/\n",
        "https://ci.exämple.com",
        f"https://ci.example.com/{'x' * 255}",
        "https://127.0.0.1",
        "https://[::1]",
        "https://169.254.169.254",
        "https://[fe80::1%25eth0]",
    ],
)
def test_no_issuer(url: str) -> None:
    assert url_fault(url)


@pytest.mark.parametrize(
    "url", ["https://ci.example.com", "https://ci.example.com:8443/a/b/", "https://8.8.8.8"]
)
def test_an_issuer(url: str) -> None:
    assert url_fault(url) == ""


def test_an_issuer_in_an_own_network(settings: Any) -> None:
    settings.ISSUER_NETWORKS = ["10.1.2.3"]
    assert url_fault("http://10.1.2.3") == url_fault("http://ci.internal") == ""
    assert url_fault("http://10.1.2.4")
    assert url_fault("http://8.8.8.8")


def test_what_is_not_there_and_what_is_inside_read_alike(names: dict[str, list[str]]) -> None:
    names["inside.test"] = ["10.0.0.1"]
    said = []
    for host in ("inside.test", "nowhere.test"):
        with pytest.raises(ForbiddenAddress) as refused:
            resolve(host, 443, plain=False)
        said.append(str(refused.value).replace(host, ""))
    assert said[0] == said[1]
