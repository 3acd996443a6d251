"""Put the last results into ``docs/performance.md``, between its markers: a table an engine."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.servers import PROJECT

RESULTS = {
    "SQLite": PROJECT / "benchmarks" / "results.json",
    "PostgreSQL": PROJECT / "benchmarks" / "results-postgresql.json",
}
_SIDES = ("ours", "theirs")
_COSTS = {"p50": "ms", "p95": "ms", "p99": "ms", "CPU s/1000": "CPU s a thousand", "RSS MiB": "MiB"}


def main() -> None:
    """Read the results of each engine, write the tables."""
    page = PROJECT / "docs" / "performance.md"
    text = page.read_text()
    for engine, path in RESULTS.items():
        if path.exists():
            rows = json.loads(path.read_text())
            text = _between(text, engine, f"{_table(rows)}\n{_costs(rows)}")
    page.write_text(text)


def _between(text: str, engine: str, tables: str) -> str:
    begin, end = f"<!-- results on {engine} -->\n", f"<!-- end of results on {engine} -->\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return before + begin + tables + end + after


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| work | Berth | the other | unit | ratio, median | rounds | goal |",
        "|---|---:|---:|---|---:|---|---:|",
    ]
    for row in rows:
        reached = f"**{row['median']}×**" if row["median"] is not None else ""
        rounds = " ".join(f"{ratio:.2f}" for ratio in row["ratios"])
        theirs = row["theirs"] if row["theirs"] is not None else ""
        goal = f"≥ {row['goal']}×" if row["median"] is not None else f"< {row['goal']}"
        lines.append(
            f"| {row['work']} | {row['ours']} | {theirs} | {row['unit']} | {reached} | {rounds}"
            f" | {goal} |"
        )
    return "\n".join(lines) + "\n"


def _costs(rows: list[dict[str, Any]]) -> str:
    """What requests took and cost, of the works that say it: ours · theirs."""
    lines = [
        "| ours · theirs | "
        + " | ".join(f"{name}, {unit}" for name, unit in _COSTS.items())
        + " |",
        "|---" + "|---:" * len(_COSTS) + "|",
    ]
    for row in rows:
        details = row.get("details")
        if details:
            cells = (" · ".join(str(details[side][name]) for side in _SIDES) for name in _COSTS)
            lines.append(f"| {row['work']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""


if __name__ == "__main__":
    main()
