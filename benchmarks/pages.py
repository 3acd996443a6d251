"""The pages' times: ``python -m benchmarks.pages [--database postgresql://…/{}] [--write]``.

Seeds 300 people in a group, 1,000 projects with an image each, one image of 5,000 tags and 100,000
tags in all; prints the median time of each page over HTTP and how large it is as it comes,
compressed. Asked by an administrator, who sees all of it. ``{}`` in the database's URL stands for
``gitlab``, ``registry``: two empty databases. ``--write`` puts the figures into
``docs/performance.md``, beside those of the other engine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks import pages_content
from benchmarks.servers import PROJECT, Bench, Server, running

_ROUNDS = 15
_WARM = 3
"""Requests before those that count."""

_LIMIT = 100.0
"""Milliseconds that each may take at the median."""

_OF_TAGS = (80.0, 40 * 1024)
"""And a page of tags, with the bytes that may travel."""

_RESULTS = PROJECT / "benchmarks" / "results-pages.json"
_PAGE = PROJECT / "docs" / "performance.md"
_BEGIN, _END = "<!-- pages -->\n", "<!-- end of pages -->\n"
_ENGINES = ("SQLite", "PostgreSQL")

Figures = dict[str, tuple[float, float]]
"""By page milliseconds, and KB."""


def main() -> None:
    """Seed, measure, print; fails where something takes longer, or is larger, than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages")
    parser.add_argument("--database", help="postgresql://…/{}, for gitlab and registry")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    options = parser.parse_args()
    engine = _ENGINES[bool(options.database)]
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        bench = Bench(Path(folder))
        if options.database:
            for side, key in (("gitlab", ""), ("registry", "REGISTRY_")):
                bench.environment[f"BERTH__{key}DATABASE_URL"] = options.database.format(side)
        figures, tags = _measure(bench, options.only)
    print(f"{engine}, load {' '.join(f'{each:.1f}' for each in os.getloadavg())}")
    slow = []
    for name, (milliseconds, size) in figures.items():
        most, largest = _OF_TAGS if name in tags else (_LIMIT, 1e9)
        is_over = milliseconds > most or size * 1024 > largest
        print(f"{'MISS' if is_over else 'ok  '} {name:<56} {milliseconds:7.1f} ms {size:7.1f} KB")
        slow += [name] if is_over else []
    if options.write:
        _write(engine, figures)
    if slow:
        raise SystemExit(f"too slow or too large: {', '.join(slow)}")


def _measure(bench: Bench, only: str) -> tuple[Figures, set[str]]:
    """The figures of the pages whose name contains `only`; which of them are pages of tags."""
    image, digest, cookie = seeded(bench)
    tags, others = _pages_of_tags(image), _pages(image, digest)
    asked = {name: path for name, path in {**others, **tags}.items() if only in name}
    with running(bench.berth("registry")) as registry:
        bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
        with running(bench.berth("web")) as web:
            return {name: _measured(web, cookie, path) for name, path in asked.items()}, set(tags)


def seeded(bench: Bench) -> tuple[str, str, str]:
    """Prepare and seed an installation: the large image by its id, a digest of it, and a cookie."""
    bench.manage("prepare")
    bench.manage(*pages_content.SEEDED)
    digest = bench.python(pages_content.REGISTRY)
    image, cookie = bench.python(pages_content.GITLAB).split()
    return image, digest, cookie


def _measured(web: Server, cookie: str, path: str) -> tuple[float, float]:
    """The median in milliseconds, and the KB of the body as they travel."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
    times, size = [], 0
    for _ in range(_ROUNDS + _WARM):
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        size = len(response.read())
        times.append(time.perf_counter() - began)
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
    return statistics.median(times[_WARM:]) * 1000, size / 1024


def _pages_of_tags(image: str) -> dict[str, str]:
    """By what they show the addresses of lists of tags, of 5,000."""
    tags = f"/seed/large/container_registry/{image}"
    middle = f"v{pages_content.TAGS // 2:06}"
    orders = ("version", "-created_at", "-size_bytes", "last_pulled_at")
    return {
        "tags, the latest": tags,
        **{f"tags by {sort}, the middle": f"{tags}?sort={sort}&last={middle}" for sort in orders},
        "tags with a part in their name": f"{tags}?q=123",
        "tags by a pattern that matches many": f"{tags}?q=v.*&match=pattern",
        "tags by a pattern that matches 51": f"{tags}?q=v.*77&match=pattern&sort=version",
        "tags by a pattern that matches none": f"{tags}?q=x.*&match=pattern&sort=version",
        "tags for a platform that none is for": f"{tags}?platform=linux/arm64",
        "tags that are signed, a tenth": f"{tags}?signed=yes",
        "tags that are not signed": f"{tags}?signed=no",
        "tags that are signed, by a pattern": f"{tags}?signed=yes&q=v.*77&match=pattern",
    }


def _pages(image: str, digest: str) -> dict[str, str]:
    """By what they show the addresses of the other pages."""
    large, middle = "/seed/large/container_registry", f"v{pages_content.TAGS // 2:06}"
    of_image, group, project = f"{large}/{image}", "/groups/g000/-", "/g000/p0000/-"
    settings = f"{project}/settings"
    return {
        "home": "/",
        "projects": "/dashboard/projects",
        "projects by change": "/dashboard/projects?sort=-updated_at",
        "projects by a part of their name": "/dashboard/projects?q=p0001",
        "projects to explore": "/explore/projects",
        "groups": "/dashboard/groups",
        "groups by change": "/dashboard/groups?sort=-updated_at",
        "search: projects": "/search?q=p00",
        "search: people": "/search?q=person29",
        "search: tags": "/search?q=v0025",
        "search: a digest": f"/search?q={digest[:19]}",
        "search: nothing": "/search?q=qqqqqq",
        "a group": "/g000",
        "a group: members": f"{group}/group_members",
        "a group: members by level": f"{group}/group_members?sort=-level",
        "a group: members by name": f"{group}/group_members?q=person29",
        "a group: invitations": f"{group}/group_members/invitations",
        "a group: activity": f"{group}/activity",
        "a group: audit log": f"{group}/audit_events",
        "a group: storage": f"{group}/storage",
        "a group: storage of a large image": "/groups/seed/-/storage",
        "a group: settings": f"{group}/edit",
        "a group: access tokens": f"{group}/settings/access_tokens",
        "a group: protection": f"{group}/settings/protection",
        "a group: denials": f"{group}/denials",
        "a project": "/g000/p0000",
        "a project: members": f"{project}/project_members",
        "a project: activity": f"{project}/activity",
        "a project: pushes": f"{project}/pushes",
        "a project: audit log": f"{project}/audit_events",
        "a project: pulls": f"{project}/audit_events/pulls",
        "a project: storage": f"{project}/storage",
        "a project: storage of a large image": "/seed/large/-/storage",
        "an image: storage": f"/seed/large/-/storage/{image}",
        "a project: settings": "/g000/p0000/edit",
        "a project: access tokens": f"{settings}/access_tokens",
        "a project: deploy tokens": f"{settings}/deploy_tokens",
        "a project: protection": f"{settings}/protection",
        "a project: keys": f"{settings}/public_keys",
        "a project: trusted issuers": f"{settings}/trusted_issuers",
        "a project: runners": f"{settings}/runners",
        "a project: cleanups": f"{project}/cleanup",
        "a project: cleanup policy": f"{project}/cleanup/policy",
        "images": "/g000/p0000/container_registry",
        "images by push": "/g000/p0000/container_registry?sort=-pushed",
        "images: one of 5,000 tags": large,
        "images: help": f"{large}/help",
        "recently deleted": f"{large}/deleted",
        "a tag": f"{of_image}/tags/{middle}",
        "a manifest": f"{of_image}/manifests/{digest}",
        "untagged": f"{of_image}/untagged",
        "one's own tokens": "/-/user_settings/personal_access_tokens",
        "one's own audit log": "/-/user_settings/audit_log",
        "one's own sessions": "/-/user_settings/active_sessions",
        "admin: overview": "/admin/",
        "admin: people": "/admin/people/",
        "admin: people by a part of their name": "/admin/people/?q=person29",
        "admin: a person": "/admin/people/person001/",
        "admin: projects": "/admin/projects/",
        "admin: projects by a part of their name": "/admin/projects/?q=p0001",
        "admin: groups": "/admin/groups/",
        "admin: images": "/admin/images/",
        "admin: tokens": "/admin/tokens/access/",
        "admin: audit log": "/admin/audit_log",
        "admin: denials": "/admin/denials",
        "admin: inventory": "/admin/inventory/access_tokens",
        "admin: settings": "/admin/settings/",
        "admin: announcements": "/admin/announcements/",
        "admin: cleanup policy": "/admin/cleanup_policy/",
    }


def _write(engine: str, figures: Figures) -> None:
    """Keep the figures of an engine, and put those of both into the page."""
    known = json.loads(_RESULTS.read_text()) if _RESULTS.exists() else {}
    known.setdefault(engine, {}).update(
        {name: [round(each, 1) for each in some] for name, some in figures.items()}
    )
    loads = known.setdefault("load", {})
    loads[engine] = round(os.getloadavg()[1], 1)
    _RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    names = dict.fromkeys(name for each in _ENGINES for name in known.get(each, ()))
    lines = [
        f"| page | {' | '.join(f'{each}, ms' for each in _ENGINES)} | KB |",
        "|---|---:|---:|---:|",
    ]
    for name in names:
        told = [known.get(each, {}).get(name) for each in _ENGINES]
        size = next(each[1] for each in told if each)
        cells = [str(each[0]) if each else "" for each in told]
        lines.append(f"| {name} | {' | '.join(cells)} | {size} |")
    busy = " and ".join(f"{load} on {each}" for each, load in loads.items())
    lines.append(f"\nThe machine's load meanwhile, on two cores: {busy}.")
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    _PAGE.write_text(before + _BEGIN + "\n".join(lines) + "\n" + _END + after)


if __name__ == "__main__":
    main()
