"""Numbers from the processes of a real installation, for whoever may ask."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e import images
from tests.e2e.components import free_port
from tests.e2e.images import digest_of
from tests.e2e.installation import PROJECT, Installation, wait_until
from tests.e2e.wire import Wire

pytestmark = [pytest.mark.system, pytest.mark.xdist_group("metrics")]

MONITORING = PROJECT / "deploy" / "monitoring"
TOKEN = "for-the-tests-prometheus"
MANIFESTS = "v2/<name:name>/manifests/<reference:reference>"
Numbers = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    installation = Installation(
        tmp_path_factory.mktemp("metrics"), BERTH__METRICS_TOKEN=TOKEN, BERTH__UNDO_WINDOW="1s"
    )
    installation.start()
    yield installation
    installation.discard()


def numbers(url: str) -> Numbers:
    answer = httpx.get(f"{url}/-/metrics", timeout=20)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found: Numbers = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def total(found: Numbers, name: str, **labels: str) -> float:
    wanted = labels.items()
    return sum(value for one, value in found.get(name, []) if wanted <= one.items())


def test_requests_of_both_workers_are_added_up(site: Installation) -> None:
    image = images.tiny("counted")
    before = numbers(site.registry_url)
    with Wire(site, "root/app") as wire:
        wire.push(image, "1")
        for _ in range(40):
            wire.get("manifests/1")
        wire.http.get("manifests/unknown")

    def counted() -> bool:
        found = numbers(site.registry_url)
        seen = {
            status: total(
                found, "berth_requests_total", route=MANIFESTS, method="GET", status=status
            )
            for status in ("200", "404")
        }
        return seen == {"200": 40, "404": 1}

    wait_until(counted, timeout=60)
    after = numbers(site.registry_url)
    assert total(after, "berth_request_seconds_count", route=MANIFESTS, method="GET") == 41
    sent = total(after, "berth_sent_bytes_total") - total(before, "berth_sent_bytes_total")
    assert sent > 40 * len(image.manifest)
    received = total(after, "berth_received_bytes_total") - total(
        before, "berth_received_bytes_total"
    )
    assert received >= sum(map(len, (*image.blobs, image.config, image.manifest)))


def test_an_upload_in_flight(site: Installation) -> None:
    """A chunked body, which announces no length: seen while it comes, counted when it has come."""
    scope = "repository:root/app:pull,push"
    before = total(numbers(site.registry_url), "berth_received_bytes_total")
    begun = site.request("POST", "/v2/root/app/blobs/uploads/", scope)
    seen: list[float] = []

    def pieces() -> Iterator[bytes]:
        yield bytes(2**20)
        for _ in range(100):
            seen.append(total(numbers(site.registry_url), "berth_bodies_in_progress"))
            if seen[-1]:
                break
        yield bytes(2**20)

    assert site.request("PATCH", begun.headers["Location"], scope, content=pieces()).is_success
    assert seen[-1] == 1
    after = numbers(site.registry_url)
    assert total(after, "berth_bodies_in_progress") == 0
    assert total(after, "berth_received_bytes_total") - before == 2 * 2**20
    assert total(after, "berth_uploads_open") == 1


def test_tokens_by_outcome(site: Installation) -> None:
    site.token()
    address = f"{site.url}/jwt/auth?service=container_registry"
    httpx.get(address, auth=("root", "wrong"))
    httpx.get(address)
    httpx.get(f"{address}&scope=nonsense", auth=("root", site.root_password))

    def outcomes() -> bool:
        found = {labels["outcome"] for labels, _ in numbers(site.url).get("berth_tokens_total", [])}
        return {"granted", "refused", "denied"} <= found

    wait_until(outcomes, timeout=60)


def test_the_queues(site: Installation) -> None:
    with Wire(site, "root/app") as wire:
        content = b"soon garbage"
        wire.push_blob(content)
        wire.http.delete(f"blobs/{digest_of(content)}")
    wait_until(lambda: total(numbers(site.registry_url), "berth_reviews_waiting") >= 1)
    found = numbers(site.url)
    states = {labels["state"] for labels, _ in found["berth_deletions"]}
    assert states == {"delete_scheduled", "delete_ongoing", "delete_failed"}


def test_what_the_worker_has_done(site: Installation) -> None:
    """Its numbers stand among those of the web process, which has the queue's too."""
    with Wire(site, "root/done") as wire:
        wire.push(images.tiny("done"), "1")
    site.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry import deletion\n"
        "from gitlab.container_registry.models import ContainerRepository\n"
        "image = ContainerRepository.objects.get(path='root/done')\n"
        "deletion.schedule(User.objects.get(username='root'), image)\n"
    )

    task = "delete_container_repository"

    def done_and_swept() -> Numbers | None:
        found = numbers(site.url)
        ended = [
            total(found, "berth_tasks_total", task=name, outcome="succeeded")
            for name in (task, "sweep_deletions")
        ]
        deleted = total(found, "berth_deletions_attempted_total", outcome="done")
        return found if deleted == 1 and all(ended) else None

    found = wait_until(done_and_swept, timeout=90)
    done = total(found, "berth_tasks_total", task=task, outcome="succeeded")
    assert total(found, "berth_tasks_total", outcome="failed") == 0
    assert total(found, "berth_task_seconds_count", task=task) >= done
    # Rung by a command and rung by the clock: both say when.
    assert total(found, "berth_task_wait_seconds_count", task=task) >= done
    assert total(found, "berth_task_wait_seconds_count", task="sweep_deletions") >= 1
    assert 0 < time.time() - total(found, "berth_worker_seen_timestamp_seconds") < 60
    assert "berth_queue_depth" in found
    assert "berth_queue_age_seconds" in found
    assert "berth_path_changes" in found
    assert "berth_tasks_total" not in numbers(site.registry_url)


def test_a_worker_with_an_address_of_its_own(site: Installation) -> None:
    """A second worker, as on a node without a web process. It takes its share of the tasks."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "celery", "--quiet", "-A", "workers", "worker"]
    running = subprocess.Popen(
        [*command, "--pool", "threads", "--concurrency", "1"],
        cwd=PROJECT,
        env={
            **site.environment, "BERTH__ROLES": "web", "BERTH__WORKER_METRICS_ADDR": address,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def own() -> str:
        try:
            return httpx.get(f"http://{address}/metrics", timeout=20).text
        except httpx.TransportError:
            return ""

    try:
        wait_until(lambda: 'berth_tasks_total{outcome="succeeded"' in own(), timeout=120)
        assert "berth_worker_seen_timestamp_seconds" in own()
    finally:
        running.terminate()
        running.wait(60)


def test_strangers_make_no_numbers(site: Installation) -> None:
    """Neither paths nor methods of their own become labels."""
    for number in range(5):
        httpx.request(f"STRANGE{number}", f"{site.registry_url}/v2/")
        httpx.get(f"{site.registry_url}/somewhere/{number}")
        httpx.get(f"{site.registry_url}/v2/root/other-{number}/manifests/1")
    wait_until(lambda: total(numbers(site.registry_url), "berth_requests_total", route="none") >= 5)
    text = httpx.get(f"{site.registry_url}/-/metrics").text
    assert not re.search(r"STRANGE|somewhere|other-|root/app", text)


@pytest.mark.parametrize("role", ["url", "registry_url"])
def test_who_may_ask(site: Installation, role: str) -> None:
    address = f"{getattr(site, role)}/-/metrics"
    forwarded = {"X-Forwarded-For": "127.0.0.1"}
    assert httpx.get(address, headers=forwarded).status_code == 404
    assert httpx.get(address, headers={"Forwarded": "for=127.0.0.1"}).status_code == 404
    for given, status in ((TOKEN, 200), ("another", 404)):
        headers = {**forwarded, "Authorization": f"Bearer {given}"}
        assert httpx.get(address, headers=headers).status_code == status
    assert httpx.post(address).status_code == 404
    assert TOKEN not in site.log()


def _known_after_requests(site: Installation) -> set[str]:
    """The names of all numbers, once those of requests are among them."""
    known = set(numbers(site.url)) | set(numbers(site.registry_url))
    wanted = {"berth_requests_total", "berth_tokens_total", "berth_tasks_total"}
    return known if wanted <= known else set()


def test_dashboard_and_rules_name_numbers_that_exist(site: Installation) -> None:
    """A name in an expression that nobody counts would be an empty panel, or an alert that
    sleeps.
    """
    # A token, then a push: each kind of number is counted once, and written down within a second.
    response = site.request(
        "POST", "/v2/root/numbers/blobs/uploads/", "repository:root/numbers:pull,push"
    )
    assert response.status_code == 202
    known = wait_until(lambda: _known_after_requests(site))
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    rules: Any = _yaml(MONITORING / "alerts.yml")
    expressions += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for expression in expressions:
        names = set(re.findall(r"berth_\w+|\bup\b", expression))
        assert names, expression
        # Prometheus itself says `up` of whatever it asks.
        assert names - {"up"} <= known, expression
    for group in rules["groups"]:
        for rule in group["rules"]:
            assert {"alert", "expr", "for", "labels", "annotations"} <= set(rule)


def _yaml(path: Path) -> Any:
    import yaml

    return yaml.safe_load(path.read_text())
