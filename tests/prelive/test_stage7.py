"""Stage 7: a session on a paper account; on the simulator five hours of its market within a minute."""

import csv
import json

import pytest
from jsonschema import validate

from domain.go_live import Evidence
from gates.schema_export import SCHEMAS

pytestmark = [
    pytest.mark.stage7,
    pytest.mark.slow,
    pytest.mark.timeout(8 * 3_600),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]


def test_a_paper_session_reaches_what_it_must(ladder):
    made = ladder.stage(7)
    assert [(each.name, each.found) for each in made.checks if not each.passed] == []
    assert made.evidence is (Evidence.SIMULATED if ladder.choices.sim else Evidence.PAPER)
    found = made.findings
    assert found.latency.count == found.mock_latency.count == found.orders
    assert found.bars > 500


def test_the_session_leaves_its_log_its_metrics_and_a_report(ladder):
    made = ladder.stage(7)
    written = json.loads((ladder.directory / "PAPER_TRADING_LOG.json").read_text("utf-8"))
    validate(written, json.loads((SCHEMAS / "paper_trading_log.schema.json").read_text("utf-8")))
    with (ladder.directory / "PAPER_TRADING_METRICS.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == made.findings.orders
    assert all(float(row["acknowledged_ms"]) > 0 for row in rows if row["status"] == "FILLED")
    page = (ladder.directory / "PAPER_TRADING_REPORT.html").read_text("utf-8")
    assert f"<b>{made.evidence.value}</b>" in page
    assert page.count("<polyline") == 2
