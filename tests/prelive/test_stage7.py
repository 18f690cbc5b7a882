"""Stage 7: a session on a paper account; on the simulator four and a half hours of a market that waits for it."""

import csv
import json
import signal
import time
from dataclasses import replace
from importlib import metadata

import pytest
from jsonschema import validate

from domain.go_live import Evidence
from gates import live_planes, paper_session
from gates.mock_gateway import SimulatorFailed
from gates.running import simulated
from gates.schema_export import SCHEMAS
from gates.session_plan import STEPPED
from gates.shelf import Shelf
from gates.timed_broker import MockOrders
from order_plane.brokers.ibkr import IbkrBroker
from order_plane.brokers.port import BrokerStateUnknown

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
    assert found.latency.count == found.mock_latency.count > 0
    if ladder.choices.sim:  # on a gateway our own controls may have refused some, and symbols may be few
        assert found.latency.count == found.orders
        assert found.bars > 500


def test_the_session_leaves_its_log_its_metrics_and_a_report(ladder, library):
    made = ladder.stage(7)
    written = json.loads((ladder.directory / "PAPER_TRADING_LOG.json").read_text("utf-8"))
    validate(written, json.loads((SCHEMAS / "paper_trading_log.schema.json").read_text("utf-8")))
    assert made.findings.client_library == f"{library} {metadata.version(library)}"
    with (ladder.directory / "PAPER_TRADING_METRICS.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["configuration"], row["code_digest"]) for row in rows} == {(made.configuration, made.code.digest)}
    assert len(rows) == made.findings.orders
    assert all(float(row["acknowledged_ms"]) > 0 for row in rows if row["status"] == "FILLED")
    page = (ladder.directory / "PAPER_TRADING_REPORT.html").read_text("utf-8")
    assert f"<b>{made.evidence.value}</b>" in page
    assert all(f"<td>{each}</td>" in page for each in (made.configuration, made.findings.client_library))
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


def last_look_fails(monkeypatch):
    witness, looks = IbkrBroker.witness, []

    def once(self):
        looks.append(self)
        if len(looks) > 1:
            raise BrokerStateUnknown("silence")
        return witness(self)

    monkeypatch.setattr(IbkrBroker, "witness", once)


def breaks_off(error):
    def let(monkeypatch):
        go, steps = live_planes._go, []

        def some(at, seconds):
            steps.append(seconds)
            if len(steps) == 26:
                if isinstance(error, int):
                    signal.raise_signal(error)
                else:
                    raise error
            return go(at, seconds)

        monkeypatch.setattr(live_planes, "_go", some)

    return let


@pytest.mark.parametrize(
    ("happens", "told", "seconds"),
    [
        (
            last_look_fails,
            "the last look at the gateway: BrokerStateUnknown: silence",
            1_800,
        ),
        (breaks_off(SimulatorFailed("no bars")), "the session: SimulatorFailed: no bars", 1_440),
        (breaks_off(signal.SIGHUP), "the session: it was told to end", 1_500),
    ],
)
def test_a_session_that_breaks_off_leaves_what_it_did_and_why_it_counts_for_nothing(
    ladder, tmp_path, monkeypatch, happens, told, seconds
):
    if not ladder.choices.sim:
        pytest.skip("this run has a gateway, with which nothing is tried out")
    happens(monkeypatch)
    with simulated(replace(ladder.context, shelf=Shelf(tmp_path)), 7) as (context, control_port):
        made = paper_session.run(context, replace(STEPPED, seconds=1_800.0), control_port)
    failed = {each.name: each.found for each in made.checks if not each.passed}
    assert failed["nothing broke off"] == told
    assert (made.passed, made.evidence, made.findings.seconds) == (False, Evidence.SIMULATED, seconds)
    assert made.findings.flat_at_the_end
    assert made.findings.orders == len(orders_of(tmp_path)) > 0
    written = json.loads((tmp_path / "PAPER_TRADING_LOG.json").read_text("utf-8"))
    validate(written, json.loads((SCHEMAS / "paper_trading_log.schema.json").read_text("utf-8")))
    assert written["passed"] is False
