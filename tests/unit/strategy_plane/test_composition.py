"""Settings are closed, have safe defaults, and build the stage they describe."""

import pytest
from pydantic import ValidationError

from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport
from strategy_plane.composition import as_rebalanced, build_stage, build_strategy
from strategy_plane.settings import (
    MomentumMeanVarianceSettings,
    MomentumSettings,
    MovingAverageCrossSettings,
    SignalEnsembleSettings,
    StrategySettings,
)


def test_defaults_build_the_momentum_strategy():
    stage = build_stage(StrategySettings())
    assert set(stage.handlers) == {BarEvent, SliceEvent, ExecutionReport}
    strategy = build_strategy(StrategySettings().strategy)[0]
    assert (strategy.warm_up, strategy.period) == (253, 21)


def test_a_strategy_is_chosen_by_name():
    chosen = StrategySettings.model_validate({"strategy": {"name": "moving_average_cross", "fast": 3, "slow": 9}})
    assert chosen.strategy == MovingAverageCrossSettings(fast=3, slow=9)
    assert build_strategy(chosen.strategy)[0].warm_up == 9


def test_one_limit_of_the_ensemble_leaves_its_others_as_they_were():
    limits = SignalEnsembleSettings.model_validate({"limits": {"gross": 2.0}}).limits
    assert limits == SignalEnsembleSettings().limits.model_copy(update={"gross": 2.0})
    assert (limits.net, limits.box, limits.turnover, limits.long_only) == (1.0, 0.5, 1.0, False)


@pytest.mark.parametrize("factory", ["mine.py", "mine", "mine.Best", "mine:Best()", "my file:Best"])
@pytest.mark.parametrize(
    "chosen",
    [
        {"name": "own"},
        {"name": "signal_ensemble", "signals": {"S": {"kind": "own"}}},
    ],
)
def test_a_factory_that_is_written_wrongly_is_refused_with_an_example(chosen, factory: str):
    section = chosen.get("signals", {}).get("S", chosen)
    section["factory"] = factory
    with pytest.raises(ValidationError, match="must be module:name, such as my_signals:Quiet"):
        StrategySettings.model_validate({"strategy": chosen})


def test_warm_up_follows_the_longer_of_signal_and_risk():
    chosen = MomentumMeanVarianceSettings(signal=MomentumSettings(lookback=50, skip=5), risk_window=80)
    assert build_strategy(chosen)[0].warm_up == 81


@pytest.mark.parametrize(
    ("every", "periods_per_year", "moments"),
    [
        ("daily", 252.0, 1),
        ("weekly", 252.0, 5),
        ("monthly", 252.0, 21),
        ("quarterly", 252.0, 63),
        ("weekly", 98_280.0, 1890),
        ("daily", 12.0, 1),
    ],
)
@pytest.mark.parametrize("name", ["signal_ensemble", "momentum_mean_variance"])
def test_the_calendar_of_plans_says_how_often_costs_are_paid_and_how_long_scores_are_held(
    name: str, every: str, periods_per_year: float, moments: int
):
    strategy = {"name": name, "periods_per_year": periods_per_year, "rebalance_every": 7, "costs": {}}
    chosen = StrategySettings.model_validate({"strategy": strategy, "rebalancing": {"every": every}})
    stage = build_stage(chosen)
    engine = stage._stage  # type: ignore[attr-defined]
    assert engine._strategy.period == moments
    assert engine._strategy._allocator.costs._per_year == periods_per_year / moments
    assert as_rebalanced(chosen.model_copy(update={"rebalancing": None})) == chosen.strategy


@pytest.mark.parametrize(
    "wrong",
    [
        {"strateg_id": "x"},
        {"strategy": {"name": "unknown"}},
        {"strategy": {"name": "moving_average_cross", "fast": 50, "slow": 20}},
        {"strategy": {"name": "momentum_mean_variance", "signal": {"lookback": 10, "skip": 9}}},
        {"strategy": {"name": "momentum_mean_variance", "limits": {"gros": 1.0}}},
        {"order_type": "STOP"},
        {"lot": 0.0},
        {"initial_cash": float("nan")},
        {"universe": ["has space"]},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        StrategySettings.model_validate(wrong)
