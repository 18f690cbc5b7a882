"""Build the strategy plane's stage from its settings."""

from collections.abc import Callable, Mapping

from contracts.base import Message
from contracts.market import FactEvent, OFIEvent
from contracts.trading import ExecutionCost
from kernel.ports import Stage
from strategy_plane.engines.adjusted import Adjusted
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.plans import RebalanceRules
from strategy_plane.engines.position_risk import PositionRisk
from strategy_plane.engines.rebalance_calendar import moments_between
from strategy_plane.engines.rebalancing import RebalancingEngine
from strategy_plane.engines.settings import PositionRiskSettings, VolatilityTargetSettings
from strategy_plane.engines.single_strategy import SingleStrategyEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.engines.volatility_target import VolatilityTarget
from strategy_plane.plain_bounds import plain_bounds
from strategy_plane.settings import (
    ChosenStrategy,
    DualMomentumSettings,
    MomentumHoldingsSettings,
    MomentumMeanVarianceSettings,
    MomentumSettings,
    MovingAverageCrossSettings,
    OwnStrategySettings,
    SignalEnsembleSettings,
    StrategySettings,
)
from strategy_plane.signals.port import BarSignal
from strategy_plane.strategies.bounded import Bounded
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.port import Strategy

Learners = Mapping[type[Message], Callable[[Message], None]]
"""What is to be told each kind of message that no engine reads."""


def build_stage(settings: StrategySettings) -> Stage:
    """The plane's stage, the same for backtest, paper and live.

    Raises:
        OwnCodeRefused: when a strategy or signal of one's own cannot be found or is none.
    """
    strategy, learners = build_strategy(as_rebalanced(settings))
    engine = build_engine(settings, strategy)
    if not learners:
        return engine
    from strategy_plane.informed import InformedStage  # noqa: PLC0415 - most strategies do without

    return InformedStage(engine, learners)


def as_rebalanced(settings: StrategySettings) -> ChosenStrategy:
    """The strategy with the rebalances that are made in fact: those of the calendar when it trades by plans.

    What costs weigh in a year, and for how long a score is held, follows from them.
    """
    chosen, plans = settings.strategy, settings.rebalancing
    if plans is None or not isinstance(chosen, SignalEnsembleSettings | MomentumMeanVarianceSettings):
        return chosen
    return chosen.model_copy(update={"rebalance_every": moments_between(plans.every, chosen.periods_per_year)})


def build_strategy(chosen: ChosenStrategy) -> tuple[Strategy, Learners]:
    """The strategy that ``chosen`` names, with its parameters, and what must be told the kinds it learns from."""
    if isinstance(chosen, MomentumMeanVarianceSettings):
        return _momentum_mean_variance(chosen)
    if isinstance(chosen, SignalEnsembleSettings):
        return _signal_ensemble(chosen)
    return _BUILDERS[type(chosen)](chosen), {}


def build_engine(settings: StrategySettings, strategy: Strategy) -> SingleStrategyEngine | RebalancingEngine:
    """The engine that trades ``strategy``: by plans when there is a rebalancing section, else at every decision."""
    rules = TradingRules(
        strategy_id=settings.strategy_id,
        lot=settings.lot,
        cash_buffer=settings.cash_buffer,
        min_trade_value=settings.min_trade_value,
        no_trade_band=settings.no_trade_band,
        order_type=settings.order_type,
        limit_offset_bps=settings.limit_offset_bps,
        time_in_force=settings.time_in_force,
        valid_for=settings.valid_for,
    )
    currencies = settings.quoted
    listened = (*settings.universe, *currencies.pairs) if settings.universe else ()
    slices, book = SliceAssembler(settings.bar_size, listened), Book(settings.initial_cash, currencies)
    held = _adjusted(settings, strategy)
    chosen = settings.rebalancing
    if chosen is None:
        return SingleStrategyEngine(held, slices, book, rules, publish_portfolio=settings.publish_portfolio)
    plans = RebalanceRules(**dict(chosen))
    return RebalancingEngine(held, slices, book, rules, plans, publish_portfolio=settings.publish_portfolio)


def warm_up(settings: StrategySettings) -> int:
    """Moments that must have passed before the first decision."""
    return _adjusted(settings, build_strategy(as_rebalanced(settings))[0]).warm_up


def _adjusted(settings: StrategySettings, strategy: Strategy) -> Strategy:
    bounded = _bounded(strategy, settings.strategy)
    return _within_range(_at_volatility(bounded, settings.volatility_target), settings.position_risk)


def _bounded(strategy: Strategy, chosen: ChosenStrategy) -> Strategy:
    """``strategy`` with the bounds that it has no part in choosing; optimizers and units bring their own."""
    if isinstance(chosen, MomentumHoldingsSettings | DualMomentumSettings | OwnStrategySettings):
        return Bounded(strategy, plain_bounds(chosen))
    return strategy


def _at_volatility(strategy: Strategy, chosen: VolatilityTargetSettings | None) -> Strategy:
    if chosen is None:
        return strategy
    scale = VolatilityTarget(chosen.annual, chosen.window, chosen.half_life, chosen.largest, chosen.periods_per_year)
    return Adjusted(strategy, scale)


def _within_range(strategy: Strategy, chosen: PositionRiskSettings | None) -> Strategy:
    if chosen is None:
        return strategy
    return Adjusted(strategy, PositionRisk(chosen.risk, chosen.window, chosen.multiple))


def _moving_average_cross(chosen: MovingAverageCrossSettings) -> Strategy:
    short, bounds = chosen.allow_short, plain_bounds(chosen)
    return MovingAverageCross(chosen.fast, chosen.slow, chosen.units, allow_short=short, bounds=bounds)


def _momentum_score(chosen: MomentumSettings) -> BarSignal:
    from strategy_plane.signals.technical import Momentum  # noqa: PLC0415

    return Momentum(chosen.lookback, chosen.skip, chosen.standardisation, chosen.limit)


def _momentum_mean_variance(chosen: MomentumMeanVarianceSettings) -> tuple[Strategy, Learners]:
    # solvers take a second to import: only strategies that optimise pay for it
    from strategy_plane.limits_composition import build_allocator, build_groups, build_limits  # noqa: PLC0415
    from strategy_plane.strategies.momentum_mean_variance import MomentumMeanVariance  # noqa: PLC0415

    allocator = build_allocator(chosen)
    strategy = MomentumMeanVariance(
        _momentum_score(chosen.signal),
        allocator,
        build_limits(chosen.limits),
        chosen.information_coefficient,
        chosen.rebalance_every,
        build_groups(chosen.limits),
    )
    return strategy, {ExecutionCost: allocator.costs.learn} if allocator.costs else {}


def _momentum(chosen: MomentumHoldingsSettings) -> Strategy:
    from strategy_plane.strategies.momentum import Momentum  # noqa: PLC0415

    score = _momentum_score(chosen.signal)
    return Momentum(score, chosen.winners, chosen.losers, chosen.exposure, chosen.rebalance_every)


def _dual_momentum(chosen: DualMomentumSettings) -> Strategy:
    from strategy_plane.strategies.dual_momentum import DualMomentum  # noqa: PLC0415

    return DualMomentum(
        chosen.markets, chosen.lookback, chosen.per_market, chosen.hurdle, chosen.cap, chosen.market_cap
    )


def _signal_ensemble(chosen: SignalEnsembleSettings) -> tuple[Strategy, Learners]:
    from strategy_plane.ensemble_composition import build_ensemble  # noqa: PLC0415

    ensemble, market, costs = build_ensemble(chosen)
    learners: Learners = {FactEvent: market.learn, OFIEvent: market.learn}
    return ensemble, {**learners, ExecutionCost: costs.learn} if costs else learners


def _own(chosen: OwnStrategySettings) -> Strategy:
    from strategy_plane.own_code import own_strategy  # noqa: PLC0415

    return own_strategy(chosen.factory, dict(chosen.parameters), chosen.bars, chosen.period)


_BUILDERS: Mapping[type[ChosenStrategy], Callable[..., Strategy]] = {
    MovingAverageCrossSettings: _moving_average_cross,
    MomentumHoldingsSettings: _momentum,
    DualMomentumSettings: _dual_momentum,
    OwnStrategySettings: _own,
}
