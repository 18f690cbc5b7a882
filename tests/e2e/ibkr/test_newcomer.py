"""What a newcomer sees: a simulator in one terminal, three planes in another, and a link that is cut many times."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from contracts.market import BarEvent, SliceEvent
from data_plane.store import read_events
from ibkr_sim.synthetic_bars import minute_bars
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings

ROOT = Path(__file__).parents[3]
SYMBOLS = ("AAPL", "IBM", "MSFT")
CUTS = (
    {"do": "drop_link", "on": "placeOrder", "seconds": 1.0},
    {"do": "drop_link", "on": "fill", "seconds": 1.0},
    {"do": "connectivity", "seconds": 1.0, "data": "lost"},
    {"do": "connectivity", "seconds": 1.0, "data": "kept"},
    {"do": "nightly_reset", "seconds": 1.0},
)


@pytest.fixture
def config(tmp_path, simulator_at_speed):
    """The shipped configuration, with the ports of this test."""
    settings = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
    port = simulator_at_speed.port
    settings["run"] = {"directory": str(tmp_path / "runs")}
    settings["data"]["ibkr"] |= {"port": port, "cache": str(tmp_path / "cache"), "first_wait_seconds": 0.05}
    settings["data"]["ibkr"]["decide_within_seconds"] = 300  # of market time: ten seconds at this speed
    settings["order"]["ibkr"] |= {
        "port": port,
        "paper_ports": [port],
        "first_wait_seconds": 0.05,
        "answer_seconds": 1.0,
    }
    path = tmp_path / "ibkr.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def simulator_at_speed(simulate):
    """Minute bars every two seconds."""
    return simulate("--speed", "30")


def filled(simulator):
    return [order for order in simulator.state()["orders"] if order["status"] == "Filled"]


@pytest.mark.slow
def test_orders_and_bars_flow_and_every_cut_is_survived_with_each_order_once(
    session, config, simulator_at_speed, ibkr_library, monkeypatch, tmp_path, until
):
    simulator = simulator_at_speed
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    run = session("up", "--broker", "ibkr", "--config", str(config), "--run-id", "first")
    run.wait_for(r"[1-9]\d* fills")
    state = tmp_path / "home" / "runs" / "first"
    for cut in CUTS:
        known = len(filled(simulator))
        simulator.fault(**cut)
        until(lambda known=known: decided(run, simulator, state) and len(filled(simulator)) >= known + 2, 60)
    until(lambda: decided(run, simulator, state))
    stopped = run.other_terminal("kill", "on", "--operator", "ann", "--reason", "enough")
    assert stopped.returncode == 0, stopped.stderr
    until(lambda: all(order["status"] in ("Filled", "Cancelled") for order in simulator.state()["orders"]))
    truth = simulator.state()
    until(lambda: executions(state) == told(truth))
    audited = run.other_terminal("orders", "audit", "first")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert "every intent is accounted for" in audited.stdout
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130, run.said
    assert "Traceback" not in run.said
    assert "restarted" not in run.said
    check_orders(state, truth)
    check_bars(state)


def decided(run, simulator, state):
    """What a person does after a cut: orders that were on their way and that the venue does not have are signed for."""
    doubtful = {name for name, row in rows(state).items() if row == "IN_DOUBT"}
    time.sleep(1.0)  # what arrived just before the cut is found by the plane itself
    lost = doubtful - {order["order_ref"] for order in simulator.state()["orders"]}
    for name in lost & {name for name, row in rows(state).items() if row == "IN_DOUBT"}:
        signed = run.other_terminal(
            "orders", "mark-not-sent", name, "--operator", "ann", "--reason", "not at the venue"
        )
        assert signed.returncode == 0, signed.stdout + signed.stderr
    return not doubtful


def rows(state):
    """The state of each intent in the journal."""
    with closing(sqlite3.connect(state / "order_journal.sqlite")) as journal:
        return dict(journal.execute("SELECT intent_id, state FROM intents").fetchall())


def executions(state):
    """What the journal holds of each execution: the newest revision."""
    with closing(sqlite3.connect(state / "order_journal.sqlite")) as journal:
        rows = journal.execute(
            "SELECT intent_id, fact_id, quantity, price FROM facts WHERE kind = 'FILL' ORDER BY revision"
        ).fetchall()
    return {(intent, name): (quantity, price) for intent, name, quantity, price in rows}


def told(truth):
    """The same as the simulator has it."""
    return {
        (each["order_ref"], each["execution_id"].rpartition(".")[0]): (each["quantity"], each["price"])
        for each in truth["executions"]
    }


def check_orders(state, truth):
    """No order was doubled, and none that the journal has as sent was lost."""
    at_venue = Counter(order["order_ref"] for order in truth["orders"])
    assert set(at_venue.values()) == {1}
    known = rows(state)
    assert {name for name, state in known.items() if state == "ACKED"} == set(at_venue)
    assert "IN_DOUBT" not in known.values()


def check_bars(state):
    """Bars of the past and of the present are those of the market, each once, in order and without a hole."""
    (life,) = (state / "events").iterdir()
    found = [bar for bar in read_events(life, BarEvent) if isinstance(bar, BarEvent)]
    for symbol in SYMBOLS:
        mine = [bar for bar in found if bar.symbol == symbol]
        market = [bar for bar in minute_bars(symbol, 7) if bar.start < mine[-1].timestamp.timestamp()]
        assert [(bar.timestamp, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in mine] == [
            (closed(bar), bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in market
        ]
    slices = [each for each in read_events(life, SliceEvent) if isinstance(each, SliceEvent)]
    assert all(before.timestamp < after.timestamp for before, after in pairwise(slices))
    assert {each.missing for each in slices} == {()}
    assert slices[0].late
    assert sum(not each.late for each in slices) >= 5
    assert json.loads((state / "quarantine.jsonl").read_text() or "[]") == []


def closed(bar):
    return datetime.fromtimestamp(bar.start, UTC) + timedelta(minutes=1)


@pytest.mark.slow
def test_a_data_plane_that_is_killed_publishes_on_from_where_it_was(
    session, config, simulator_at_speed, ibkr_library, monkeypatch, tmp_path, until
):
    simulator = simulator_at_speed
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    run = session("up", "--config", str(config), "--run-id", "killed")
    run.wait_for(r"[1-9]\d* fills")
    processes = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    (data,) = [int(line.split()[0]) for line in processes.splitlines() if f"plane_cli data --config {config}" in line]
    os.kill(data, signal.SIGKILL)
    run.wait_for("data: restarted")
    known = len(filled(simulator))
    until(lambda: len(filled(simulator)) >= known + 3, 60)
    place = json.loads((tmp_path / "home" / "running.json").read_text())
    kafka = KafkaSettings(bootstrap_servers=place["bootstrap_servers"], topic_prefix=place["topic_prefix"])
    records = [json.loads(record.value() or b"") for record in read_logs(kafka, watermarks(kafka, ["market_events"]))]
    for symbol in SYMBOLS:
        mine = [
            datetime.fromisoformat(each["timestamp"])
            for each in records
            if each["event_type"] == "bar_event" and each["symbol"] == symbol
        ]
        assert mine == [closed(bar) for bar in minute_bars(symbol, 7)][: len(mine)]
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130, run.said
