"""Quotes of the gateway, through the planes as processes, as the order flow that others read from Kafka."""

import json
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Tape
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings

ROOT = Path(__file__).parents[3]
SEED, SYMBOLS = 7, ("AAPL", "MSFT")
INTERVAL = timedelta(seconds=5)
CLOCK_GAP = timedelta(seconds=6)
"""The gateway tells whole seconds, every two seconds of ours, in which four of the market pass."""


class Quote(NamedTuple):
    bid: float
    bid_size: float
    ask: float
    ask_size: float


@pytest.fixture
def gateway(simulate):
    """Two market seconds in a second."""
    return simulate("--speed", "2", *(word for symbol in SYMBOLS for word in ("--symbol", symbol)))


@pytest.fixture
def config(tmp_path, gateway):
    settings = yaml.safe_load((ROOT / "config" / "ibkr.yaml").read_text())
    settings["run"] = {"directory": str(tmp_path / "runs")}
    settings["data"]["ibkr"] |= {"port": gateway.port, "cache": str(tmp_path / "cache"), "quotes": True}
    settings["data"] |= {"symbols": list(SYMBOLS), "order_flow_interval": "5s"}
    settings["strategy"]["universe"] = list(SYMBOLS)
    settings["order"]["ibkr"] |= {"port": gateway.port, "paper_ports": [gateway.port]}
    path = tmp_path / "ibkr.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture
def published(session, config, ibkr_library, monkeypatch, tmp_path, until):
    """What the data plane published, by kind, once there is order flow of five intervals of each symbol."""
    monkeypatch.setenv("ALGOTRADE_IBKR_LIBRARY", ibkr_library.__name__)
    run = session("up", "--broker", "ibkr", "--config", str(config), "--run-id", "flow")
    run.wait_for("Ctrl-C stops all")
    place = json.loads((tmp_path / "home" / "running.json").read_text())
    kafka = KafkaSettings(bootstrap_servers=place["bootstrap_servers"], topic_prefix=place["topic_prefix"])

    def read():
        ends = watermarks(kafka, ["market_events"])
        found = [json.loads(record.value() or b"") for record in read_logs(kafka, ends)]
        return {kind: [each for each in found if each["event_type"] == kind] for kind in ("ofi_event", "tick_event")}

    until(lambda: min(flow_events(read(), symbol) for symbol in SYMBOLS) >= 5, 90)
    return read()


def flow_events(published, symbol):
    return sum(event["symbol"] == symbol for event in published["ofi_event"])


def quotes_heard(published, symbol):
    """Each quote of a symbol with its moment: the plane publishes both of its sides as ticks."""
    ticks = [each for each in published["tick_event"] if each["symbol"] == symbol]
    assert [each["tick_type"] for each in ticks] == ["BID", "ASK"] * (len(ticks) // 2)
    return [
        (datetime.fromisoformat(bid["timestamp"]), Quote(bid["price"], bid["size"], ask["price"], ask["size"]))
        for bid, ask in zip(ticks[::2], ticks[1::2], strict=True)
    ]


def quotes_played(symbol):
    """The quotes of the simulator's market with their times, without those that repeat the one before."""
    tape = Tape(symbol, minute_bars(symbol, SEED), SEED)
    prints = tape.prints_between(tape.bars[0].start, tape.bars[-1].end)
    quotes = [(each.time, Quote(each.bid, each.bid_size, each.ask, each.ask_size)) for each in prints]
    return quotes[:1] + [now for before, now in pairwise(quotes) if now[1] != before[1]]


def demand(before, now):
    """What one side adds: all of it when its price improved, nothing of the old when it got worse, else the change."""
    bid = now.bid_size * (now.bid >= before.bid) - before.bid_size * (now.bid <= before.bid)
    ask = now.ask_size * (now.ask <= before.ask) - before.ask_size * (now.ask >= before.ask)
    return bid - ask


def begin_of(at):
    return at - timedelta(seconds=at.second % 5, microseconds=at.microsecond)


@pytest.mark.slow
def test_order_flow_on_kafka_is_that_of_the_market_that_the_gateway_plays(published):
    for symbol in SYMBOLS:
        heard, played = quotes_heard(published, symbol), quotes_played(symbol)
        first = next(
            number
            for number, (time, quote) in enumerate(played)
            if quote == heard[1][1] and abs(heard[1][0].timestamp() - time) < CLOCK_GAP.total_seconds()
        )
        assert [quote for _, quote in heard[1:]] == [quote for _, quote in played[first : first + len(heard) - 1]]
        for (at, _), (time, _) in zip(heard[1:], played[first:], strict=False):
            assert abs(at.timestamp() - time) < CLOCK_GAP.total_seconds()
        # What came of them, interval by interval, as the plane's own clock has put them.
        flows = dict.fromkeys((begin_of(at) for at, _ in heard), 0.0)
        for (_, before), (at, now) in pairwise(heard):
            flows[begin_of(at)] += demand(before, now)
        last = {begin: [*group][-1][1] for begin, group in groupby(heard, key=lambda each: begin_of(each[0]))}
        events = [each for each in published["ofi_event"] if each["symbol"] == symbol]
        expected = [
            {
                "timestamp": begin + INTERVAL,
                "ofi_value": flow,
                "bid_volume": last[begin].bid_size,
                "ask_volume": last[begin].ask_size,
            }
            for begin, flow in flows.items()
        ]
        told = [{**{name: each[name] for name in expected[0]}, "timestamp": stamp(each)} for each in events]
        assert told == expected[: len(told)]
        assert len(expected) - len(told) <= 1
        assert any(each["ofi_value"] for each in events)


def stamp(event):
    return datetime.fromisoformat(event["timestamp"])
