"""A pytest plugin: how many of the catalogue's cases passed, at the end of a run."""

from __future__ import annotations

from typing import Any

_CASES = "bad_inputs/test_catalogue.py::test_case["


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line, where cases have been run."""

    def count(*outcomes: str) -> int:
        reports = (
            report for outcome in outcomes for report in terminalreporter.getreports(outcome)
        )
        return sum(_CASES in report.nodeid for report in reports)

    passed, expected = count("passed"), count("xfailed")
    total = passed + expected + count("failed", "error", "xpassed")
    if total:
        terminalreporter.write_line(
            f"bad inputs: {passed} of {total} passed, {expected} expected to fail"
        )
