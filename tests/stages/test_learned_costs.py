"""A backtest of a strategy that weighs trades against learned costs: the order plane learns, and decisions follow."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from backtest.artifacts import Digests, content_digests
from backtest.run_record import RunRecord
from backtest.simulation import simulate
from contracts.trading import ExecutionCost
from launcher.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path: Path):
    def call(costs: dict[str, Any] | None, *, learn: bool = True) -> tuple[Digests, int]:
        heard = Heard()
        settings = configured(tmp_path, costs, learn)
        record = RunRecord(settings.strategy.initial_cash)
        simulate(settings.data, settings.strategy, settings.order, record, (heard,))
        return content_digests(record), heard.count

    return call


class Heard:
    """Counts estimates of costs."""

    count = 0

    @property
    def handlers(self):
        return {ExecutionCost: self._take}

    def note(self, messages, begin, end):
        for message in messages[begin:end]:
            if isinstance(message, ExecutionCost):
                self._take(message)

    def _take(self, message):
        self.count += 1
        return ()


def configured(place: Path, costs: dict[str, Any] | None, learn: bool) -> Settings:
    text = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text("utf-8"))
    names = ["AAPL", "IBM", "MSFT"]
    text["data"] |= {"symbols": names, "start": "2010-01-04", "end": "2011-06-30", "listings": {}}
    text["data"] |= {"sources": [{"files": [str(ROOT / "fixtures/bars/*.parquet")]}]}
    text["data"] |= {"actions_file": str(ROOT / "fixtures/bars/actions.csv")}
    text["strategy"]["universe"] = [*names]
    text["strategy"]["strategy"] |= {"signal": {"lookback": 63}, "risk_window": 63, "costs": costs}
    text["order"]["learn_costs"] = learn
    path = place / "config.yaml"
    path.write_text(yaml.safe_dump(text))
    return load_settings(path, {})


def test_decisions_follow_what_executions_have_cost(run):
    costs = {"fixed_bps": 0.1, "impact": 0.0, "trusted_after": 5}
    learned, heard = run(costs)
    assert heard > 20
    assumed, unheard = run(costs, learn=False)
    assert unheard == 0
    assert learned.orders != assumed.orders
    assert run(costs)[0] == learned


def test_a_strategy_without_costs_makes_nobody_learn(run):
    assert run(None)[1] == 0
    assert run(None)[0] == run(None, learn=False)[0]
