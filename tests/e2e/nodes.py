"""Machines that are network namespaces, each joined to each other by a cable (iproute2, root only).

Each has its own names and its own folder of docker's trust, so that nobody else's ``/etc`` is
changed; ports and addresses are free by nature.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import uuid
from pathlib import Path

from tests.e2e.certificates import Certificates
from tests.e2e.components import find
from tests.e2e.installation import Installation


def _ip(*arguments: str) -> None:
    subprocess.run([str(find("ip") or "ip"), *arguments], check=True, capture_output=True)


class Network:
    """Machines by name. Each pair of them has a cable; names lead through the right one."""

    def __init__(self, folder: Path, *machines: str, names: dict[str, str]) -> None:
        """`names` are host names with the machine that each belongs to."""
        self._folder = folder
        self._machines = machines
        self._names = names
        self._mark = uuid.uuid4().hex[:8]
        self._addresses: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Network:
        for machine in self._machines:
            _ip("netns", "add", self._namespace(machine))
            _ip("-n", self._namespace(machine), "link", "set", "lo", "up")
        try:
            for number, pair in enumerate(itertools.combinations(self._machines, 2)):
                self._join(number, *pair)
            for machine in self._machines:
                self._furnish(machine)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines:
            _ip("netns", "delete", self._namespace(machine))

    def _namespace(self, machine: str) -> str:
        return f"berth-{self._mark}-{machine}"

    def _join(self, number: int, one: str, other: str) -> None:
        ends = [f"b{self._mark[:6]}{number}{side}" for side in "ab"]
        _ip(
            "link", "add", ends[0], "netns", self._namespace(one), "type", "veth",
            "peer", "name", ends[1], "netns", self._namespace(other),
        )  # fmt: skip
        # TEST-NET-1, four addresses for each cable.
        for machine, end, last in ((one, ends[0], 1), (other, ends[1], 2)):
            address = f"192.0.2.{number * 4 + last}"
            _ip("-n", self._namespace(machine), "address", "add", f"{address}/30", "dev", end)
            _ip("-n", self._namespace(machine), "link", "set", end, "up")
            self._addresses[machine, other if machine == one else one] = address

    def _furnish(self, machine: str) -> None:
        folder = self._folder / machine
        (folder / "docker").mkdir(parents=True)
        lines = ["127.0.0.1 localhost"]
        for name, owner in self._names.items():
            address = "127.0.0.1" if owner == machine else self._addresses[owner, machine]
            lines.append(f"{address} {name}")
        (folder / "hosts").write_text("\n".join([*lines, ""]))
        script = folder / "inside"
        script.write_text(
            "#!/bin/sh\nset -e\nmkdir -p /etc/docker\n"
            f"mount --bind '{folder}/hosts' /etc/hosts\n"
            f"mount --bind '{folder}/docker' /etc/docker\n"
            'exec "$@"\n'
        )
        script.chmod(0o700)

    def trust(self, machine: str, authority: Path, registry: str) -> None:
        """Let docker on `machine` trust a registry's authority."""
        folder = self._folder / machine / "docker" / "certs.d" / registry
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.read_bytes())

    def prefix(self, machine: str) -> list[str]:
        """What stands before a command that runs on `machine`."""
        # Not `ip netns exec`, which mounts /sys anew: dockerd would miss the control groups.
        return [
            "nsenter", f"--net=/run/netns/{self._namespace(machine)}", "--",
            "unshare", "--mount", "--propagation", "private",
            str(self._folder / machine / "inside"),
        ]  # fmt: skip


class Node(Installation):
    """One half of an installation, on a machine of its own and with a configuration file."""

    def __init__(
        self,
        folder: Path,
        *,
        prefix: list[str],
        addresses: tuple[str, str],
        certificates: Certificates,
        configuration: dict[str, dict[str, object]],
    ) -> None:
        """`addresses` are GitLab's and the registry's; `configuration` is by table."""
        super().__init__(folder)
        self.prefix = prefix
        self._addresses = addresses
        self._certificates = certificates
        tables: dict[str, dict[str, object]] = {
            "": {
                "external_url": addresses[0],
                "registry_external_url": addresses[1],
                "gitlab_root_password": self.root_password,
            },
            **configuration,
        }
        tables["berth"] = {
            "home": str(self.home),
            "tls_certificate": str(certificates.certificate),
            "tls_key": str(certificates.key),
            **tables.get("berth", {}),
        }
        lines = []
        for table, values in tables.items():
            lines += [f"[{table}]"] if table else []
            # Text, numbers, booleans and lists are spelled alike in JSON and TOML.
            lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        path = folder / "gitlab.toml"
        path.write_text("\n".join([*lines, ""]))
        self.settings = {"GITLAB_CONFIG": str(path)}
        self._roles = ",".join(map(str, tables["berth"].get("roles", ["web", "registry"])))

    def _deciding_settings(self) -> dict[str, str]:
        """What its configuration file says of them."""
        return {
            "GITLAB_ROOT_PASSWORD": self.root_password,
            "BERTH_HOME": str(self.home),
            "BERTH__ROLES": self._roles,
        }

    @property
    def url(self) -> str:
        """GitLab's address."""
        return self._addresses[0]

    @property
    def registry_url(self) -> str:
        """The registry's address."""
        return self._addresses[1]

    @property
    def authority(self) -> Path:
        """Who signed the certificates of both nodes."""
        return self._certificates.authority
