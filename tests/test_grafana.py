"""The dashboard and the alerts are over the metrics that the page serves, and lead to the runbook."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from coterie.peer.page.prometheus import METRICS

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
RULES = re.split(r"^ +- alert: ", (FOLDER / "alerts.yml").read_text(), flags=re.MULTILINE)[1:]

SERVED = {
    suffixed
    for name, (kind, _) in METRICS.items()
    for suffixed in ((f"{name}_sum", f"{name}_count") if kind == "summary" else (name,))
}
"""What a scrape has: a summary is two series."""
LABELS = dict(re.findall(r"^\| `(coterie_\w+)\{([\w,]+)\}`", (ROOT / "docs" / "page.md").read_text(), re.MULTILINE))
"""The labels of each metric that has some, as docs/page.md tells them."""


def asked_by_dashboard() -> list[str]:
    """All expressions of the dashboard."""
    variables = [one["query"]["query"] for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    return variables + [target["expr"] for panel in PANELS for target in panel["targets"]]


def asked_by_alerts() -> list[str]:
    """The expression of each alert."""
    return [line for rule in RULES for line in re.findall(r"^ +expr: (.+)$", rule, re.MULTILINE)]


def metrics_in(expressions: list[str]) -> set[str]:
    """The metrics that expressions name."""
    return {name for one in expressions for name in re.findall(r"\bcoterie_\w+", one)}


def test_there_is_one_expression_an_alert() -> None:
    assert len(asked_by_alerts()) == len(RULES) > 10


@pytest.mark.parametrize("asked", [asked_by_dashboard, asked_by_alerts])
def test_every_metric_that_is_asked_for_is_served(asked: Any) -> None:
    assert metrics_in(asked()) - SERVED == set()
    assert len(metrics_in(asked())) > 10


def test_every_metric_that_is_served_is_on_the_dashboard() -> None:
    assert SERVED - metrics_in(asked_by_dashboard()) == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric() -> None:
    wrong, seen = [], 0
    for one in asked_by_dashboard() + asked_by_alerts():
        for name, matchers in re.findall(r"\b(coterie_\w+)\{([^}]*)\}", one):
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                seen += 1
                if label not in ("instance", *LABELS.get(name, "").split(",")):
                    wrong.append(f"{name}: {label}")
    assert seen > 20
    assert wrong == []


def test_every_panel_has_a_place_of_its_own() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells
        taken |= cells


def test_every_alert_says_words_of_the_runbook() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text()
    said = [word for rule in RULES for word in re.findall(r"^ +says: (.+)$", rule, re.MULTILINE)]
    assert len(said) > 10
    assert [word for word in said if word not in runbook] == []
    assert [rule.split("\n")[0] for rule in RULES if "summary: " not in rule or " do: " not in rule] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (of Prometheus) on the path")
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")])
def test_prometheus_takes_the_rules_and_raises_what_it_should(command: tuple[str, ...]) -> None:
    run = subprocess.run(["promtool", *command], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
