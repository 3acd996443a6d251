"""Client addresses in the one form in which they are compared and counted.

A dual-stack socket writes an IPv4 client as an IPv6 address (``::ffff:192.0.2.1``, RFC 4291,
section 2.5.5.2): the same client, so the same address here.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

CUSTOMER_PREFIX = 64
"""The bits of an IPv6 address that tell customers apart: each has 2**64 addresses behind them."""

_MAPPED_BITS = 96
_LONGEST = 64


def parse(text: str) -> IPv4Address | IPv6Address:
    """The address that `text` is, a mapped one as IPv4. Raises `ValueError`."""
    found = ipaddress.ip_address(text)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def canonical(text: str) -> str:
    """`text` in its one spelling; what is no address (a Unix socket's "") stays as it is."""
    try:
        return str(parse(text))
    except ValueError:
        return text


def network(text: str) -> IPv4Network | IPv6Network:
    """The network that `text` names, a mapped one as IPv4. Raises `ValueError`."""
    found = ipaddress.ip_network(text, strict=False)
    if isinstance(found, IPv6Network) and found.prefixlen >= _MAPPED_BITS:
        mapped = found.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def is_in(text: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether `text` is an address in one of `networks`."""
    try:
        found = parse(text)
    except ValueError:
        return False
    return any(found in each for each in networks)


def source(text: str) -> str:
    """Who is counted for a client at `text`: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        found = parse(text)
    except ValueError:
        return text[:_LONGEST]
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), CUSTOMER_PREFIX), strict=False))
    return str(found)
