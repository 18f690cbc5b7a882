"""What a study of signals says is what the strategy that trades them has seen."""

from datetime import date
from pathlib import Path

import pytest

from backtest.signal_study import study
from data_plane.composition import build_connector
from data_plane.composition import build_stage as build_data_stage
from launcher.settings import Settings, load_settings
from strategy_plane.composition import build_stage

CONFIG = Path("config/signal_ensemble.yaml")


def of_universe(*symbols: str) -> Settings:
    settings = load_settings(CONFIG, {})
    days = {"start": date(2005, 8, 19), "end": date(2006, 6, 1)}
    return settings.model_copy(
        update={
            "data": settings.data.model_copy(update=days),
            "strategy": settings.strategy.model_copy(update={"universe": symbols}),
        }
    )


@pytest.mark.parametrize("universe", [("AAPL", "GOOG", "IBM"), ()])
def test_a_study_follows_the_symbols_that_the_strategy_trades(universe: tuple[str, ...]):
    settings = of_universe(*universe)
    stage = build_stage(settings.strategy)
    for messages in build_data_stage(settings.data).play(build_connector(settings.data).blocks()):
        for message in messages:
            handler = stage.handlers.get(type(message))
            if handler is not None:
                handler(message)
    traded = stage._stage._strategy.brain.summaries()  # the very brain that decided
    shown = study(settings.data, settings.strategy.strategy, settings.strategy.traded).summaries
    assert shown["TSX"].observations > 20
    assert {name: (each.observations, each.mean) for name, each in shown.items()} == {
        name: (each.observations, each.mean) for name, each in traded.items()
    }
