"""Every combination of a grid that makes sense is a variant; the others are named with the reason."""

from pathlib import Path

import pytest

from launcher.endings import RunRefused
from launcher.grid import variants_of
from launcher.settings import Settings, load_settings
from strategy_plane.optimizers.settings import BlackLittermanSettings, MeanVarianceSettings

ROOT = Path(__file__).parents[3]
CHOSEN = "strategy.strategy"


def configured(grid: dict[str, list[object]]) -> Settings:
    return load_settings(ROOT / "config" / "signal_ensemble.yaml", {}, overrides={"validation.grid": grid})


def test_another_optimizer_is_a_variant_with_what_both_have_in_common():
    names = ["mean_variance", "black_litterman", "risk_parity", "equal_weight"]
    base = configured({f"{CHOSEN}.optimizer.name": names})
    mine = base.strategy.strategy.optimizer
    variants, refused = variants_of(base)
    assert refused == []
    found = [variant.settings.strategy.strategy.optimizer for variant in variants]
    assert [each.name for each in found] == names
    assert isinstance(mine, MeanVarianceSettings)
    assert found[0] == mine
    assert found[1] == BlackLittermanSettings(risk_aversion=mine.risk_aversion)


def test_a_setting_of_one_optimizer_only_leaves_out_what_it_does_not_fit():
    names = ["mean_variance", "black_litterman"]
    variants, refused = variants_of(
        configured({f"{CHOSEN}.optimizer.tau": [0.02, 0.1], f"{CHOSEN}.optimizer.name": names})
    )
    optimizers = [variant.settings.strategy.strategy.optimizer for variant in variants[1:]]
    assert [(each.name, each.tau) for each in optimizers] == [("black_litterman", 0.02), ("black_litterman", 0.1)]
    assert len(refused) == 2
    assert all("name=mean_variance: " in text and "optimizer.tau is no setting" in text for text in refused)


def test_another_strategy_is_a_variant_too():
    variants, refused = variants_of(
        configured(
            {f"{CHOSEN}.name": ["moving_average_cross", "momentum", "own"], f"{CHOSEN}.rebalance_every": [21, 5]}
        )
    )
    found = [
        (each.settings.strategy.strategy.name, each.parameters.get(f"{CHOSEN}.rebalance_every")) for each in variants
    ]
    assert found == [("signal_ensemble", None), ("momentum", 21), ("momentum", 5)]
    assert len(refused) == 4


def test_what_cannot_work_with_the_data_is_left_out():
    variants, refused = variants_of(configured({f"{CHOSEN}.signals.ERN.table": ["earnings", "earningz"]}))
    assert len(variants) == 1
    assert "did you mean earnings?" in refused[0]


def test_a_name_that_is_nothing_is_refused():
    with pytest.raises(RunRefused, match=r"optimizer\.tau is no setting"):
        variants_of(configured({f"{CHOSEN}.optimizer.tau": [0.1]}))
