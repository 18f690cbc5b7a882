"""Build signals and the ensemble that trades them from their settings."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral, Real

import numpy as np

from strategy_plane.ensemble.brain import Brain, RegimeWindows, Schedule
from strategy_plane.ensemble.weighting import Trust
from strategy_plane.history import History
from strategy_plane.limits_composition import build_allocator, build_groups, build_limits
from strategy_plane.market import Market
from strategy_plane.optimizers.cost_book import CostBook
from strategy_plane.own_code import OwnCodeRefused, from_own_file
from strategy_plane.regime.gate import Exposure
from strategy_plane.regime.model import RegimeModel, RegimeRules
from strategy_plane.settings import SignalEnsembleSettings
from strategy_plane.signal_observer import SignalObserver
from strategy_plane.signal_settings import OwnSignalSettings, RegimeSettings, SignalSettings
from strategy_plane.signals.earnings import EarningsSurprise
from strategy_plane.signals.order_flow import OrderFlow, order_flow_imbalance, queue_imbalance
from strategy_plane.signals.port import Inputs, OnceWarm, Signal
from strategy_plane.signals.positioning import Positioning
from strategy_plane.signals.sentiment import Sentiment
from strategy_plane.signals.technical import Technical
from strategy_plane.signals.volatility_premium import VolatilityPremium
from strategy_plane.strategies.signal_ensemble import SignalEnsemble
from strategy_plane.tables import FactStore, FlowStore

_INTERVALS = 2048
"""Intervals kept beside those that signals read, since a moment may be looked at after later intervals arrived."""

_SIGNALS: Mapping[str, Callable[..., Signal]] = {
    "order_flow_imbalance": partial(OrderFlow, order_flow_imbalance),
    "queue_imbalance": partial(OrderFlow, queue_imbalance),
    "earnings_surprise": EarningsSurprise,
    "volatility_premium": VolatilityPremium,
    "positioning": Positioning,
    "technical": Technical,
    "sentiment": Sentiment,
}


def build_signal(chosen: SignalSettings) -> Signal:
    """The signal that ``chosen`` describes.

    Raises:
        OwnCodeRefused: naming a factory of one's own that cannot be found, or gives no signal.
    """
    if isinstance(chosen, OwnSignalSettings):
        return _own(chosen)
    return _SIGNALS[chosen.kind](**{name: value for name, value in chosen if name != "kind"})


def build_brain(chosen: SignalEnsembleSettings) -> tuple[Brain, Market]:
    """Scores, trust and regime without a portfolio, and the market they are read from; for research and reports."""
    signals = {name: build_signal(settings) for name, settings in chosen.signals.items()}
    market = _market(chosen, signals)
    rules = chosen.regime
    schedule = _schedule(chosen)
    windows = RegimeWindows(rules.volatility_bars, rules.correlation_bars, rules.drawdown_bars, chosen.max_missing)
    return Brain(signals, market, Trust(**dict(chosen.trust)), schedule, _regimes(rules), windows), market


def build_observer(chosen: SignalEnsembleSettings, traded: Callable[[str], bool]) -> SignalObserver:
    """What follows a run and tells afterwards what each signal has shown of the symbols that are ``traded``."""
    return SignalObserver(*build_brain(chosen), traded)


def build_ensemble(chosen: SignalEnsembleSettings) -> tuple[SignalEnsemble, Market, CostBook | None]:
    """The strategy, the market that must be told facts and order flow, and the book that must be told costs."""
    brain, market = build_brain(chosen)
    allocator = build_allocator(chosen)
    ensemble = SignalEnsemble(
        brain,
        market,
        allocator,
        build_limits(chosen.limits),
        {regime: Exposure(each.gross, each.net) for regime, each in chosen.regime.exposures.items()},
        _schedule(chosen),
        build_groups(chosen.limits),
    )
    return ensemble, market, allocator.costs


def _schedule(chosen: SignalEnsembleSettings) -> Schedule:
    return Schedule(chosen.score_every, chosen.rebalance_every, chosen.horizon, chosen.periods_per_year)


def _market(chosen: SignalEnsembleSettings, signals: Mapping[str, Signal]) -> Market:
    inputs = [signal.inputs for signal in signals.values()]
    traded = chosen.costs.window if chosen.costs else 0
    bars = max(*(needed.bars for needed in inputs), chosen.risk_window + 1, chosen.regime.drawdown_bars + 1, traded)
    whole = chosen.costs is not None or any(needed.whole_bars for needed in inputs)
    return Market(
        History(bars, whole_bars=whole),
        FactStore(),
        FlowStore(_INTERVALS + max(needed.intervals for needed in inputs)),
    )


def _regimes(chosen: RegimeSettings) -> RegimeModel:
    rules = RegimeRules(
        chosen.first_fit, chosen.refit_every, chosen.fit_window, chosen.starts, chosen.certainty, chosen.confirmations
    )
    return RegimeModel(rules, partial(np.random.default_rng, chosen.seed))


def _own(chosen: OwnSignalSettings) -> Signal:
    signal: Signal = from_own_file(chosen.factory, dict(chosen.parameters), "signals")
    for needed in ("inputs", "warm_up", "half_life", "__call__"):
        if not hasattr(signal, needed):
            raise OwnCodeRefused(
                f"signals: what {chosen.factory!r} gives has no {needed}; see strategy_plane/signals/port.py"
            )
    lasts = isinstance(signal.half_life, Real) and 0.0 < signal.half_life < math.inf
    if not (lasts and isinstance(signal.inputs, Inputs) and isinstance(signal.warm_up, Integral)):
        raise OwnCodeRefused(
            f"signals: {chosen.factory!r} must declare inputs as Inputs, warm_up in whole moments, and half_life "
            "above 0 and finite"
        )
    return OnceWarm(signal)
