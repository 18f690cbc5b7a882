"""A short run of the three planes as processes, and the backtest it must equal."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from backtest.artifacts import Digests, content_digests
from backtest.run_record import RunRecord
from backtest.simulation import simulate
from kernel.clock import monotonic
from kernel.kafka_settings import KafkaSettings
from launcher.collector import Collector
from launcher.local import LocalRun, supervised
from launcher.runs import follow
from launcher.settings import Settings, load_settings
from launcher.supervisor import Supervisor

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class ShortRun:
    """A run of a few months of real bars in lock-step, and what its backtest gave."""

    config: Path
    settings: Settings
    expected: Digests
    bars: int

    def over(
        self, kafka: KafkaSettings, state: Path, on_progress: Callable[[Supervisor, Collector], None] | None = None
    ) -> Collector:
        """Run the planes on ``kafka`` to the end of the source and return what was collected."""
        record = RunRecord(self.settings.strategy.initial_cash)
        run = LocalRun("test", self.config, self.settings, kafka, state)
        with Collector(kafka, record) as collector:
            with supervised(run, restart=True, on_event=lambda plane, event: None) as supervisor:
                follow(supervisor, collector, lambda: on_progress(supervisor, collector) if on_progress else None)
            collector.drain()
        doubtful = in_doubt(state)
        if doubtful:  # a kill hit the moment between the journal and the venue's answer; nothing is sent again then
            self._check_doubt(record, state, doubtful)
        else:
            assert content_digests(record) == self.expected
        assert record.counts["bars"] == self.bars
        return collector

    @staticmethod
    def _check_doubt(record: RunRecord, state: Path, doubtful: set[str]) -> None:
        """Exactly those are shown, no order was sent for them or twice, and every other intent has its end."""
        orders = record.tables().orders.select(["intent_id", "status"]).to_pydict()
        told = dict(zip(orders["intent_id"], orders["status"], strict=True))
        sent = at_the_venue(state)
        assert {name for name, status in told.items() if status == "IN_DOUBT"} == doubtful
        assert doubtful.isdisjoint(sent)
        assert set(sent.values()) <= {1}
        assert {name for name, status in told.items() if status not in ("IN_DOUBT", "REJECTED")} == set(sent)


def in_doubt(state: Path) -> set[str]:
    """The intents whose outcome the journal says nobody knows."""
    with closing(sqlite3.connect(state / "order_journal.sqlite")) as journal:
        return {name for (name,) in journal.execute("SELECT intent_id FROM intents WHERE state = 'IN_DOUBT'")}


def at_the_venue(state: Path) -> Counter[str]:
    """How many orders the venue took for each intent."""
    with closing(sqlite3.connect(state / "paper_venue.sqlite")) as venue:
        return Counter(name for (name,) in venue.execute("SELECT intent_id FROM orders"))


def short_config() -> dict[str, object]:
    """The demo's configuration over seven months, trading every third day."""
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    bars = ROOT / "fixtures" / "bars"
    config["data"] |= {
        "sources": [{"files": [str(bars / "*.parquet")]}],
        "actions_file": str(bars / "actions.csv"),
        "start": "2004-11-01",
        "end": "2005-03-31",
    }
    config["strategy"]["strategy"] |= {
        "signal": {"lookback": 20, "skip": 2},
        "risk_window": 20,
        "rebalance_every": 2,
    }
    return config


def signal_config() -> dict[str, object]:
    """All six signals with facts and order flow over five months, the regime fitted twice."""
    config = yaml.safe_load((ROOT / "config" / "signal_ensemble.yaml").read_text())
    short = short_config()["data"]
    config["data"] |= {name: short[name] for name in ("sources", "actions_file", "start", "end")}
    for table in config["data"]["tables"].values():
        table["files"] = [str(ROOT / file) for file in table["files"]]
    config["strategy"]["strategy"] |= {
        "signals": {
            "OFI": {"kind": "order_flow_imbalance"},
            "ERN": {"kind": "earnings_surprise"},
            "VRP": {"kind": "volatility_premium", "index": None},
            "POS": {"kind": "positioning"},
            "TSX": {"kind": "technical", "weights": {"mean_reversion": 1.0}},
            "SIF": {"kind": "sentiment"},
        },
        "regime": {
            **{"first_fit": 60, "fit_window": 60, "refit_every": 10, "starts": 2},
            **{"drawdown_bars": 15, "correlation_bars": 15, "volatility_bars": 10},
        },
        **{"risk_window": 20, "rebalance_every": 2, "score_every": 2, "horizon": 5},
    }
    return config


@pytest.fixture(scope="session")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> ShortRun:
    """The configuration on disk and the digests of its backtest."""
    return prepared(short_config(), tmp_path_factory.mktemp("config") / "short.yaml")


@pytest.fixture(scope="session")
def signal_run(tmp_path_factory: pytest.TempPathFactory) -> ShortRun:
    """The same with all six signals."""
    return prepared(signal_config(), tmp_path_factory.mktemp("config") / "signals.yaml")


@pytest.fixture(scope="session")
def cost_run(tmp_path_factory: pytest.TempPathFactory) -> ShortRun:
    """The same with decisions that weigh trades against what executions have cost."""
    config = short_config()
    config["strategy"]["strategy"] |= {"costs": {"fixed_bps": 0.1, "impact": 0.0, "trusted_after": 3}}
    return prepared(config, tmp_path_factory.mktemp("config") / "costs.yaml")


def prepared(config: dict[str, object], path: Path) -> ShortRun:
    """Write the configuration and run its backtest."""
    path.write_text(yaml.safe_dump(config))
    settings = load_settings(path, {})
    record = RunRecord(settings.strategy.initial_cash)
    simulate(settings.data, settings.strategy, settings.order, record)
    counts = record.counts
    assert counts["intents"] > 40
    return ShortRun(path, settings, content_digests(record), counts["bars"])


@pytest.fixture(scope="session")
def fast_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings, int]:
    """The same bars, over more years and as fast as the planes keep up: configuration, settings and number of bars."""
    config: dict[str, Any] = short_config()
    config["run"]["heartbeat_seconds"] = 0.05
    config["kafka"] = {"fetch_wait_max_ms": 1}
    config["data"] |= {
        "start": "2004-11-01",
        "end": "2006-12-31",
        "pace": {"mode": "window", "window": 300, "max_rate": 400},
    }
    config["strategy"]["strategy"] = {"name": "moving_average_cross", "fast": 1, "slow": 2}
    path = tmp_path_factory.mktemp("config") / "fast.yaml"
    path.write_text(yaml.safe_dump(config))
    settings = load_settings(path, {})
    record = RunRecord(settings.strategy.initial_cash)
    simulate(settings.data, settings.strategy, settings.order, record)
    return path, settings, record.counts["bars"]


class Session:
    """One `algotrade` command with its home in a directory of its own, and what it says so far."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        self._said = home / "said.txt"
        self.environment = {**os.environ, "ALGOTRADE_HOME": str(home / "home"), "COLUMNS": "100"}
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launcher.cli", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._said.read_text("utf-8")

    def wait_for(self, pattern: str, seconds: float = 90.0) -> None:
        deadline = monotonic() + seconds
        while not re.search(pattern, self.said):
            assert self.process.poll() is None, self.said
            assert monotonic() < deadline, self.said
            signal.sigtimedwait([], 0.2)

    def other_terminal(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "launcher.cli", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def session(tmp_path):
    sessions = []

    def start(*arguments: str) -> Session:
        sessions.append(Session(tmp_path, *arguments))
        return sessions[-1]

    yield start
    for each in sessions:
        each.end()
