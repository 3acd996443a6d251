"""What a proxy does to a push: an upload is begun at the address that clients use, and cancelled.

Nothing is stored: the session is removed, and with it the repository of a name that nobody has.
"""

from __future__ import annotations

import http.client
import secrets
import time
from collections.abc import Iterator, Sequence
from urllib.parse import urljoin, urlsplit

import httpx

from gitlab.config import Configuration
from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.doctor.findings import Finding, wrong
from gitlab.doctor.line import TIMEOUT, NoAnswer, ask, trust

LARGE = 5 * 1024**3
"""Bytes of the body that is announced. A layer may have as many."""

PATIENCE = 1.0
"""Seconds in which a proxy refuses what it was told of; nothing is sent meanwhile."""

_PIECES, _PIECE = 4, b"\0" * 16384


def examine(config: Configuration) -> list[Finding]:
    """The checks of the way from a client to the registry."""
    name = f"berth-doctor-{secrets.token_hex(8)}/probe"
    token = tokens_for_jobs.for_repository(name, "pull", "push", "delete")
    outside, bundle = config.registry_external_url, config.berth.registry_ca_bundle
    try:
        begun = ask(
            f"{outside}/v2/{name}/blobs/uploads/", method="POST", bundle=bundle, token=token
        )
    except NoAnswer as error:
        return [
            wrong(
                "route",
                "registry_external_url",
                f"The registry can't be reached at {outside}, where clients look for it: {error}.",
                "Correct the address, the proxy, or name the authority of its certificate in"
                " berth.registry_ca_bundle.",
            )
        ]
    if begun.status_code != httpx.codes.ACCEPTED:
        # Refused tokens and full disks are other checks' findings.
        return [Finding("route")]
    location = begun.headers.get("Location", "")
    # Where the answer leads elsewhere, the rest is asked where it should have led.
    path = urlsplit(location)
    address = f"{outside}{path.path}?{path.query}"
    try:
        return [
            Finding("route"),
            location_kept(outside, str(begun.url), location),
            chunked(config, address, token),
            large(config, address, token),
        ]
    finally:
        _remove(config, [address, _repository(config, name)], token)


def location_kept(outside: str, asked: str, location: str) -> Finding:
    """Location leads to the scheme, the host and the port that the client had asked."""
    led, expected = urlsplit(urljoin(asked, location)), urlsplit(outside)
    if (led.scheme, led.netloc) == (expected.scheme, expected.netloc):
        return Finding("location")
    return wrong(
        "location",
        "registry_external_url, the proxy",
        f"An upload at {outside} is sent on to {led.scheme}://{led.netloc}.",
        "Let the proxy leave Location alone (nginx: no proxy_redirect) and pass Host with its port"
        " and X-Forwarded-Proto on, as deploy/nginx.conf does.",
    )


def chunked(config: Configuration, address: str, token: str) -> Finding:
    """A body of unknown length arrives whole, as docker sends it."""

    def pieces() -> Iterator[bytes]:
        for _ in range(_PIECES):
            yield _PIECE

    try:
        answer = ask(
            address,
            method="PATCH",
            bundle=config.berth.registry_ca_bundle,
            token=token,
            content=pieces(),
        )
        status, arrived = str(answer.status_code), answer.headers.get("Range", "")
    except NoAnswer as error:
        status, arrived = str(error), ""
    if arrived == f"0-{_PIECES * len(_PIECE) - 1}":
        return Finding("chunked_bodies")
    return wrong(
        "chunked_bodies",
        "the proxy",
        f"A chunked body does not arrive at {config.registry_external_url} ({status}).",
        "Let the proxy speak HTTP/1.1 to the registry and stream bodies (nginx: proxy_http_version"
        " 1.1, proxy_request_buffering off).",
    )


def large(config: Configuration, address: str, token: str) -> Finding:
    """Nobody refuses a large body at its announcement. It is not sent."""
    size = min(LARGE, config.berth.max_blob_size)
    split = urlsplit(address)
    connection = (
        http.client.HTTPSConnection(
            split.netloc, timeout=TIMEOUT, context=trust(config.berth.registry_ca_bundle)
        )
        if split.scheme == "https"
        else http.client.HTTPConnection(split.netloc, timeout=TIMEOUT)
    )
    status = 0
    try:
        connection.putrequest("PATCH", f"{split.path}?{split.query}")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Type", "application/octet-stream")
        connection.putheader("Content-Length", str(size))
        connection.endheaders(b"\0")
        if connection.sock is not None:
            connection.sock.settimeout(PATIENCE)
        status = connection.getresponse().status
    except TimeoutError:
        # They wait for the rest.
        pass
    except (OSError, http.client.HTTPException):
        # Closed without an answer: a proxy that refuses in its own way.
        status = -1
    finally:
        connection.close()
    if status not in (-1, httpx.codes.REQUEST_ENTITY_TOO_LARGE):
        return Finding("large_bodies")
    return wrong(
        "large_bodies",
        "the proxy, berth.max_blob_size",
        f"A body of {size / 1024**3:.3g} GiB is refused at {config.registry_external_url}"
        f" ({status if status > 0 else 'the connection is closed'}).",
        "Take the proxy's limit away for the registry (nginx: client_max_body_size 0).",
    )


def _repository(config: Configuration, name: str) -> str:
    return f"{config.registry_api_url}/gitlab/v1/repositories/{name}/"


def _remove(config: Configuration, addresses: Sequence[str], token: str) -> None:
    """Remove the session, then the repository. Where that fails, the collector does it in time."""
    bundle = config.berth.registry_ca_bundle
    for address in addresses:
        for _ in range(5):
            try:
                answer = ask(address, method="DELETE", bundle=bundle, token=token)
            except NoAnswer:
                break
            if answer.status_code in (httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND):
                break
            # The registry has not noticed yet that the large body does not come.
            time.sleep(0.2)
