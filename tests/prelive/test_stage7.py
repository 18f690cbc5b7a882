"""Stage 7: a session on a paper account; on the simulator four and a half hours of a market that waits for it."""

import csv
import json
import time
from dataclasses import replace

import pytest
from jsonschema import validate

from domain.go_live import Evidence
from gates import paper_session
from gates.running import simulated
from gates.schema_export import SCHEMAS
from gates.session_plan import STEPPED
from gates.shelf import Shelf
from gates.timed_broker import MockOrders

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


def orders_of(directory):
    with (directory / "PAPER_TRADING_METRICS.csv").open(newline="") as file:
        return {
            row["intent_id"]: [row[name] for name in ("symbol", "side", "filled_quantity", "avg_fill_price", "status")]
            for row in csv.DictReader(file)
        }


def test_a_machine_that_is_slow_trades_the_same(ladder, tmp_path, monkeypatch):
    if not ladder.choices.sim:
        pytest.skip("this run has a gateway, whose market waits for nobody")
    ladder.stage(7)
    submit = MockOrders.submit
    monkeypatch.setattr(MockOrders, "submit", lambda self, order: (time.sleep(0.5), submit(self, order)))
    with simulated(replace(ladder.context, shelf=Shelf(tmp_path)), 7) as (context, control_port):
        slow = paper_session.run(context, replace(STEPPED, seconds=1_800.0), control_port)
    assert slow.findings.seconds == 1_800.0
    assert slow.findings.flat_at_the_end
    usual = orders_of(ladder.directory)
    same = {name: row for name, row in orders_of(tmp_path).items() if name in usual}
    assert len(same) >= 5
    assert same == {name: usual[name] for name in same}
