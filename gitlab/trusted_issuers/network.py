"""Which addresses of the network an issuer may be at.

A maintainer names an issuer, and Berth calls it: so nobody may reach by it what only Berth reaches.
Addresses that are not the public internet's are refused, unless `berth.issuer_networks` has them.
A host is resolved once, all of its addresses are looked at, and those are called: a name that
answers otherwise a moment later (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from django.conf import settings

from tokens import addresses

_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address, which a gateway calls."""


class ForbiddenAddress(Exception):
    """An issuer is where no issuer may be; the message says why."""


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it is an address of the public internet, and no way to another that is not."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None or address.teredo is not None:
        return False
    return address in _GLOBAL_UNICAST and address.is_global


def is_own(text: str) -> bool:
    """Whether an address is in one of the networks that the operator has named."""
    networks = tuple(addresses.network(one) for one in settings.ISSUER_NETWORKS)
    return addresses.is_in(text, networks)


def resolve(host: str, port: int, *, plain: bool) -> list[str]:
    """The addresses that may be called for `host`; `plain` is without TLS, for own networks only.

    Raises `ForbiddenAddress`, where one of them may not be called or there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    texts = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    refused = [
        text
        for text in texts
        if not is_own(text) and (plain or not is_public(addresses.parse(text)))
    ]
    if refused or not texts:
        # The same for both: which names there are inside is nobody's business.
        raise ForbiddenAddress(f"{host} has no address, or one where no issuer may be")
    return texts


def url_fault(url: str) -> str:
    """Why this is no URL of an issuer, or of its keys; "" where it is one."""
    try:
        split = urlsplit(url)
        port, host = split.port, split.hostname or ""
    except ValueError:
        return "is no address"
    if len(url) > 255 or not url.isascii() or not url.isprintable() or " " in url:
        return "is at most 255 letters, digits and signs"
    if split.scheme not in ("https", "http") or not host or port == 0:
        return "has the form https://host"
    if split.query or split.fragment or split.username is not None or "?" in url or "#" in url:
        return "has no name, no ? and no # in it"
    if split.scheme == "http" and not settings.ISSUER_NETWORKS:
        return "begins with https://"
    return _literal_fault(host, plain=split.scheme == "http")


def _literal_fault(host: str, *, plain: bool) -> str:
    """Whether a host that is an address is one where no issuer may be."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return ""
    if is_own(host) or (is_public(address) and not plain):
        return ""
    return "is at an address where no issuer may be"
