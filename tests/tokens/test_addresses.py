"""One client, one spelling, one count."""

from __future__ import annotations

import pytest

from tokens import addresses

pytestmark = pytest.mark.engineless


@pytest.mark.parametrize(
    ("text", "canonical", "source"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1", "192.0.2.1"),
        ("::ffff:0:0", "0.0.0.0", "0.0.0.0"),
        ("2001:DB8:0:0:1::1", "2001:db8::1:0:0:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("::1", "::1", "::/64"),
        ("fe80::1%eth0", "fe80::1%eth0", "fe80::/64"),
        ("", "", ""),
        ("unix:", "unix:", "unix:"),
        ("x" * 1000, "x" * 1000, "x" * 64),
        ("192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:80"),
    ],
)
def test_spellings(text: str, canonical: str, source: str) -> None:
    assert addresses.canonical(text) == canonical
    assert addresses.source(text) == source


def test_mapped_addresses_are_not_one_client() -> None:
    found = {addresses.source(f"::ffff:192.0.2.{number}") for number in range(256)}
    assert len(found) == 256


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("127.0.0.1", "::ffff:127.0.0.1", "::1"),
        ("2001:db8::/32", "2001:db8:1::1", "192.0.2.1"),
        ("::/0", "2001:db8::1", "192.0.2.1"),
    ],
)
def test_networks(network: str, inside: str, outside: str) -> None:
    found = (addresses.network(network),)
    assert addresses.is_in(inside, found)
    assert not addresses.is_in(outside, found)
    assert not addresses.is_in("", found)
