"""The alert rules as Prometheus reads them: each fires when it should, and only then."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.components import require
from tests.e2e.installation import PROJECT

pytestmark = [pytest.mark.monitoring, pytest.mark.engineless]

RULES = PROJECT / "deploy" / "monitoring" / "alerts.yml"
CASES = Path(__file__).resolve().parent / "alerts_test.yml"


def promtool(*arguments: str | Path) -> str:
    """What it prints. Fails where it finds anything wrong."""
    ran = subprocess.run(
        [require("promtool"), *arguments], capture_output=True, text=True, timeout=120
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_are_valid() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES)


def test_the_rules_do_what_they_say() -> None:
    assert "SUCCESS" in promtool("test", "rules", CASES)


def test_each_rule_is_seen_to_fire_and_not_to_fire() -> None:
    rules: Any = yaml.safe_load(RULES.read_text())
    cases: Any = yaml.safe_load(CASES.read_text())
    named = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    seen = [one for case in cases["tests"] for one in case["alert_rule_test"]]
    assert {one["alertname"] for one in seen if one["exp_alerts"]} == named
    assert {one["alertname"] for one in seen if not one["exp_alerts"]} == named
