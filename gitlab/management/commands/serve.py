"""``manage.py serve``: prepare, then run what this node serves, until Ctrl-C."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gitlab.config import PROJECT, Configuration
from gitlab.node import preparation
from gitlab.node.supervision import Supervisor, read_procfile

_ROLE_OF = {"web": "web", "registry": "registry", "worker": "web"}
PORT_TIMEOUT = 10.0
"""Seconds in which a port that is in use may become free."""
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "[::]": "::1"}  # noqa: S104


class Command(BaseCommand):
    """Runs the programs of the Procfile that belong to this node's roles."""

    help = "Prepare this node, then run its web, registry and worker processes until Ctrl-C."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        config: Configuration = settings.CONFIG
        self._check_ports(config)
        call_command("prepare", stdout=self.stdout)
        # Only `prepare` has a use for it, and a process's environment can be read by others.
        os.environ.pop("GITLAB_ROOT_PASSWORD", None)
        commands = {
            name: command
            for name, command in read_procfile(PROJECT / "Procfile").items()
            if _ROLE_OF.get(name, "web") in config.roles
        }
        # A line of JSON says itself which process it is from.
        supervisor = Supervisor(
            sys.stdout, folder=PROJECT, names_lines=config.berth.log_format == "text"
        )
        code = supervisor.run(
            commands,
            is_ready=lambda: all(_answers(*listener) for listener in _listeners(config)),
            announce=lambda: supervisor.say(_ready(config)),
        )
        if code:
            sys.exit(code)

    def _check_ports(self, config: Configuration) -> None:
        """Say which setting names a port that somebody else has, before anything is started.

        After a crash that may be a process of our own, which notices within seconds that nobody
        watches over it any more.
        """
        deadline = time.monotonic() + PORT_TIMEOUT
        for role, address, _ in _listeners(config):
            while error := _bind_error(address):
                in_use = error.errno == errno.EADDRINUSE
                if not in_use or time.monotonic() > deadline:
                    raise CommandError(_port_trouble(role, address, error)) from error
                time.sleep(0.1)


def _bind_error(address: str) -> OSError | None:
    """Why nobody can listen on the address, None where one can."""
    host, port = _split(address)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error
    return None


def _listeners(config: Configuration) -> list[tuple[str, str, bool]]:
    """Role, address and whether it speaks TLS, of each of this node's servers."""
    tls = config.berth.tls_certificate is not None
    addresses = {"web": config.web_http_addr, "registry": config.registry_http_addr}
    return [(role, addresses[role], tls) for role in ("web", "registry") if role in config.roles]


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _port_trouble(role: str, address: str, error: OSError) -> str:
    names = {
        "web": "external_url (EXTERNAL_URL) or berth.web_http_addr",
        "registry": "registry_external_url (REGISTRY_EXTERNAL_URL) or registry.registry_http_addr",
    }
    if error.errno == errno.EADDRINUSE:
        reason = "the port is in use by another program"
    elif error.errno in (errno.EACCES, errno.EPERM):
        reason = "this user may not listen there (ports below 1024 need root)"
    else:
        reason = error.strerror or str(error)
    return f"The {role} process can't listen on {address}: {reason}. Its address is set by {names[role]}."


def _answers(role: str, address: str, tls: bool) -> bool:
    """Whether the server of `role` gives an answer of its own: GitLab any, the registry a 401."""
    host, port = _split(address)
    host = _ANY.get(host, host)
    connection = (
        # Our own server on our own machine: its certificate names the address outside.
        http.client.HTTPSConnection(host, port, timeout=5, context=_unverified())
        if tls
        else http.client.HTTPConnection(host, port, timeout=5)
    )
    try:
        connection.request(
            "GET", "/v2/" if role == "registry" else "/-/liveness", headers={"Host": "localhost"}
        )
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    # 429 where a limit is set: it answers.
    return status in (200, 401, 429) if role == "registry" else status < 500


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _ready(config: Configuration) -> str:
    registry = config.registry_host_port
    lines = ["", "Ready."]
    if "web" in config.roles:
        lines.append(f"    GitLab     {config.external_url}")
        kept = preparation.root_password_path(config)
        where = f"is in {kept}" if kept.exists() else "was printed when it was made"
        if config.gitlab_root_password is not None:
            where = "was what the settings said when it was made"
        lines.append(f"               user root; its password {where}, and")
        lines.append("               `manage.py users password root` sets a new one")
    if "registry" in config.roles:
        lines.append(f"    Registry   {config.registry_external_url}")
        lines.append(f"    Try        docker login {registry}")
        if config.plain_http:
            lines.append(
                "    Plain http: podman, skopeo and buildah need --tls-verify=false, as in"
            )
            lines.append(f"               podman login --tls-verify=false {registry}")
    lines.append("    Ctrl-C stops it.")
    return "\n".join([*lines, ""])
