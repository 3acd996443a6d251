"""Faults of processes, databases and clients, on a running node under a mixed load.

``SEED``, ``SECONDS`` and ``KILLS`` in the environment make the long form of it; see ``make
faults``.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
import pytest

from tests.e2e.installation import Installation, wait_until
from tests.faults import nodes
from tests.faults.load import (
    NAMES,
    Journal,
    Load,
    Registry,
    digest_of,
    manifest,
    timed,
    verify,
    violations,
)

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.engineless]

SEED = int(os.environ.get("SEED", "20261124"))
SECONDS = float(os.environ.get("SECONDS", "3"))
KILLS = float(os.environ.get("KILLS", "5"))
"""Seconds in which any process of the node is killed at any time."""
WRITES = 5
"""Fewer under a load show nothing."""
PATIENCE = 60.0
"""Seconds in which a busy machine comes to these."""


def under_load(
    node: Installation, journal: Journal, inject: Callable[[random.Random], None], pause: float
) -> Load:
    """Inject again and again while clients work; then heal, and check what must hold."""
    chance = random.Random(SEED)
    until = time.monotonic() + SECONDS
    with Load(node, journal, seed=SEED, clients=4) as load:
        time.sleep(1)
        while time.monotonic() < until:
            inject(chance)
            journal.injections += 1
            time.sleep(chance.uniform(0.2, pause))
        until_worked(load)
    assert_whole(node, journal, load)
    return load


def until_worked(load: Load) -> None:
    """Let clients go on until they have worked at all, which on a busy machine takes longer."""
    wait_until(lambda: load.counts["writes"] > WRITES and load.counts["mounts"], timeout=PATIENCE)


def assert_whole(node: Installation, journal: Journal, load: Load | None = None) -> None:
    nodes.until_ready(node)  # I9
    kept = f"seed {SEED}, journal {journal.path}"
    assert violations(node, journal) == [], kept  # I1, I3, I7
    assert verify(node) == [], kept  # I2, I13
    if load is not None:
        assert load.faults == [], kept  # I3, I10
        assert load.counts["writes"] > WRITES, load.counts
    status, _ = Registry(node).push_image(NAMES[0], "afterwards", [b"a layer"])
    assert status == 201
    assert Registry(node).pull(NAMES[0], "afterwards")


def test_f01_kill_a_worker_of_the_registry(node: Installation, journal: Journal) -> None:
    def inject(chance: random.Random) -> None:
        nodes.kill_one(nodes.registry_processes(node)[1], chance)

    under_load(node, journal, inject, 1.5)


def test_f08_kill_celery(node: Installation, journal: Journal) -> None:
    """The node stops and is started again. I5: garbage goes all the same."""
    with Load(node, journal, seed=SEED, clients=4) as load:
        for _ in range(max(1, round(SECONDS / 15))):
            time.sleep(2)
            nodes.kill_one(nodes.celery_processes(node), random.Random(SEED))
            node.wait(90)
            node.start()
            journal.injections += 1
        time.sleep(2)
        until_worked(load)
    assert_whole(node, journal, load)
    gone = "from registry.models import Receipt\nanswer = Receipt.objects.count()"
    wait_until(lambda: node.run_python(gone), timeout=120, interval=2)


def test_f05_kill_everything(node: Installation, journal: Journal) -> None:
    with Load(node, journal, seed=SEED, clients=4) as load:
        for _ in range(max(1, round(SECONDS / 15))):
            time.sleep(2)
            nodes.kill_all(node)
            journal.injections += 1
        time.sleep(2)
        until_worked(load)
    assert_whole(node, journal, load)


def test_f06_stop_in_the_middle_of_pushes(node: Installation, journal: Journal) -> None:
    """What is under way is finished: a push that has begun is answered."""
    registry = Registry(node)
    registry.push_image(NAMES[0], "before", [b"x"])
    body = random.Random(SEED).randbytes(3_000_000)
    answers: list[int] = []

    def slowly() -> None:
        started = registry.request("POST", f"/v2/{NAMES[0]}/blobs/uploads/")
        address = httpx.URL(started.headers["Location"]).copy_merge_params(
            {"digest": digest_of(body)}
        )

        def pieces() -> object:
            for start in range(0, len(body), 100_000):
                yield body[start : start + 100_000]
                time.sleep(0.1)

        answer = registry.request("PUT", str(address), content=pieces())
        answers.append(answer.status_code)

    thread = threading.Thread(target=slowly)
    thread.start()
    time.sleep(1)
    assert node.stop() == 0
    thread.join(30)
    node.start()
    assert answers == [201]
    assert_whole(node, journal)


def test_f65_a_worker_that_is_stopped_and_goes_on(node: Installation, journal: Journal) -> None:
    def inject(chance: random.Random) -> None:
        pids = nodes.registry_processes(node)[1]
        with suppress(ProcessLookupError):
            pid = chance.choice(pids) if pids else 0
            if not pid:
                return
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.5, 2))
            os.kill(pid, signal.SIGCONT)

    under_load(node, journal, inject, 1)


def test_f16_the_broker_loses_its_queue(node: Installation, journal: Journal) -> None:
    """Rows are the queue: what was to be deleted is deleted all the same."""
    registry = Registry(node, ("root/lost",))
    assert registry.push_image("root/lost", "latest", [b"to be deleted"])[0] == 201
    node.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry.models import ContainerRepository\n"
        "from gitlab.container_registry import deletion\n"
        "row = ContainerRepository.objects.get(path='root/lost')\n"
        "deletion.schedule(User.objects.get(username='root'), row)"
    )
    for folder in (node.home / "broker").rglob("*"):
        if folder.is_file():
            with suppress(FileNotFoundError):
                folder.unlink()
    left = (
        "from gitlab.container_registry.models import ContainerRepository\n"
        "answer = ContainerRepository.objects.filter(path='root/lost').count()"
    )
    wait_until(lambda: node.run_python(left) == 0, timeout=60, interval=1)
    assert registry.pull("root/lost", "latest") is None


def test_f18_postgresql_crashes(
    node: Installation, journal: Journal, stack: dict[str, str]
) -> None:
    """A backend that dies makes the server drop every connection and recover, as after a crash."""
    if not stack:
        pytest.skip("F18 is about PostgreSQL")
    folder = parse_qs(urlsplit(stack["BERTH__DATABASE_URL"]).query)["host"][0]

    def inject(chance: random.Random) -> None:
        with (
            suppress(psycopg.Error),
            psycopg.connect(
                host=folder, user="postgres", dbname="postgres", connect_timeout=3
            ) as connection,
        ):
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname LIKE 'faults_%'"
            ).fetchall()
            nodes.kill_one([row[0] for row in rows], chance)

    load = under_load(node, journal, inject, 5)
    assert load.counts["answered 503"] + load.counts["no answer"] > 0, load.counts


def test_f42_the_same_blob_at_once(node: Installation, journal: Journal) -> None:
    Registry(node).push_image(NAMES[0], "first", [b"x"])
    for number in range(6):
        body = random.Random(SEED + number).randbytes(20_000)
        statuses: list[int] = []
        at_once(
            8, lambda n, b=body, s=statuses: s.append(
                Registry(node).push_blob(NAMES[n % 2], b, asks=False)
            )
        )  # fmt: skip
        assert statuses == [201] * 8
        journal.injections += 1
        if not nodes.is_on_s3(node):
            assert nodes.path_of(node, digest_of(body)).read_bytes() == body
    assert_whole(node, journal)


def test_f44_two_manifests_for_one_tag(node: Installation, journal: Journal) -> None:
    """A tag ends with one of what was written, and a read after a 201 sees it or a later one."""
    registry = Registry(node)
    configs = [b'{"n": %d}' % number for number in range(6)]
    written = [digest_of(manifest(config, [])) for config in configs]

    def put(by: Registry, number: int) -> int:
        # On a slow machine a config that only an older manifest names may be past its grace: 400.
        while True:
            assert by.push_blob(NAMES[1], configs[number]) in (200, 201)
            status = by.put(NAMES[1], "one", manifest(configs[number], []))
            if status != 400:
                return status

    for _ in range(5):
        statuses: list[int] = []
        at_once(6, lambda n, s=statuses: s.append(put(Registry(node), n)))
        assert statuses == [201] * 6
        assert registry.pull(NAMES[1], "one") in written
        for number, digest in enumerate(written):
            assert put(registry, number) == 201
            assert registry.pull(NAMES[1], "one") == digest
    assert_whole(node, journal)


def test_f60_clients_that_go_away(node: Installation, journal: Journal) -> None:
    """The offset is what is durable, however a request broke off."""
    registry = Registry(node)
    registry.push_image(NAMES[2], "first", [b"x"])
    chance = random.Random(SEED)
    body = chance.randbytes(300_000)
    host, port = node.registry.split(":")
    for _ in range(20):
        started = registry.request("POST", f"/v2/{NAMES[2]}/blobs/uploads/")
        address = httpx.URL(started.headers["Location"])
        token = registry._token
        sent = chance.randrange(len(body))
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(
                f"PATCH {address.raw_path.decode()} HTTP/1.1\r\nHost: {node.registry}\r\n"
                f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
                "Content-Type: application/octet-stream\r\n\r\n".encode()
            )
            raw.sendall(body[:sent])
        time.sleep(0.05)
        where = registry.request("GET", str(address))
        assert where.status_code == 204
        end = int(where.headers["Range"].partition("-")[2])
        offset = end + 1 if end else 0
        assert offset in (0, sent)
        rest = registry.request(
            "PATCH",
            where.headers["Location"],
            content=body[offset:],
            headers={"Content-Range": f"{offset}-{len(body) - 1}"},
        )
        assert rest.status_code in (202, 416)  # 416: what broke off was counted a moment later.
        if rest.status_code == 202:
            done = registry.request(
                "PUT",
                str(
                    httpx.URL(rest.headers["Location"]).copy_merge_params(
                        {"digest": digest_of(body)}
                    )
                ),
            )
            assert done.status_code == 201
    assert_whole(node, journal)


@pytest.mark.parametrize("damage", ["F34 truncated", "F34 emptied", "F36 missing"])
def test_damaged_files(node: Installation, journal: Journal, damage: str) -> None:
    """No pull ends well with wrong bytes, verify names it, and a push heals it."""
    registry = Registry(node)
    body = random.Random(damage).randbytes(50_000)
    status, _ = registry.push_image(NAMES[3], "damaged", [body])
    assert status == 201
    digest = digest_of(body)
    nodes.damage(
        node,
        digest,
        None if "missing" in damage else body[:-1] if "truncated" in damage else b"",
    )
    with suppress(httpx.HTTPError):
        answer = registry.request("GET", f"/v2/{NAMES[3]}/blobs/{digest}")
        assert answer.status_code != 200, "I3"
    assert any(digest in text and f"{NAMES[3]}:damaged" in text for text in verify(node))
    asked = registry.request("HEAD", f"/v2/{NAMES[3]}/blobs/{digest}")
    assert asked.status_code == 404
    assert registry.push_image(NAMES[3], "damaged", [body])[0] == 201
    assert_whole(node, journal)


def test_any_process_at_any_time(node: Installation, journal: Journal) -> None:
    """kill -9 of any process of the node; what supervises it outside starts it again."""
    chance = random.Random(SEED)
    until = time.monotonic() + KILLS
    with Load(node, journal, seed=SEED + 1, clients=4) as load:
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.5, 3))
            victim = chance.choice(sorted(nodes.below(node.pid)))
            journal.injections += 1
            ends_all = victim == node.pid or nodes.parent(victim) == node.pid
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            if ends_all:
                node.wait(90)
                node.start()
        until_worked(load)
    assert_whole(node, journal, load)


def at_once(count: int, act: Callable[[int], object]) -> None:
    """`act` in so many threads, begun together."""
    barrier = threading.Barrier(count)
    failures: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            act(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    with timed(30):
        for thread in threads:
            thread.join()
    assert not failures
