"""Put the last results into ``docs/performance.md``, between its two markers."""

from __future__ import annotations

import json

from benchmarks.servers import PROJECT

_BEGIN, _END = "<!-- results -->\n", "<!-- end of results -->\n"


def main() -> None:
    """Read `benchmarks/results.json`, write the table."""
    rows = json.loads((PROJECT / "benchmarks" / "results.json").read_text())
    page = PROJECT / "docs" / "performance.md"
    text = page.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(before + _BEGIN + _table(rows) + _END + after)


def _table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| work | Berth | the other | unit | ratio, median | rounds | goal |",
        "|---|---:|---:|---|---:|---|---:|",
    ]
    for row in rows:
        ratios = row["ratios"]
        assert isinstance(ratios, list)
        reached = f"**{row['median']}×**" if row["median"] is not None else ""
        rounds = " ".join(f"{ratio:.2f}" for ratio in ratios)
        theirs = row["theirs"] if row["theirs"] is not None else ""
        goal = f"≥ {row['goal']}×" if row["median"] is not None else f"< {row['goal']}"
        lines.append(
            f"| {row['work']} | {row['ours']} | {theirs} | {row['unit']} | {reached} | {rounds}"
            f" | {goal} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
