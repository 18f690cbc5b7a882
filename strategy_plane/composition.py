"""Build the strategy plane's stage from its settings."""

from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.plans import RebalanceRules
from strategy_plane.engines.rebalancing import RebalancingEngine
from strategy_plane.engines.settings import VolatilityTargetSettings
from strategy_plane.engines.single_strategy import SingleStrategyEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.engines.volatility_target import VolatilityTarget
from strategy_plane.settings import MomentumMeanVarianceSettings, MovingAverageCrossSettings, StrategySettings
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.port import Strategy


def build_stage(settings: StrategySettings) -> SingleStrategyEngine | RebalancingEngine:
    """The plane's stage, the same for backtest, paper and live."""
    return build_engine(settings, build_strategy(settings.strategy))


def build_engine(settings: StrategySettings, strategy: Strategy) -> SingleStrategyEngine | RebalancingEngine:
    """The engine that trades ``strategy``: by plans when there is a rebalancing section, else at every decision."""
    rules = TradingRules(
        strategy_id=settings.strategy_id,
        lot=settings.lot,
        min_trade_value=settings.min_trade_value,
        no_trade_band=settings.no_trade_band,
        order_type=settings.order_type,
        limit_offset_bps=settings.limit_offset_bps,
        time_in_force=settings.time_in_force,
        valid_for=settings.valid_for,
    )
    slices, book = SliceAssembler(settings.bar_size, settings.universe), Book(settings.initial_cash)
    held = _at_volatility(strategy, settings.volatility_target)
    chosen = settings.rebalancing
    if chosen is None:
        return SingleStrategyEngine(held, slices, book, rules, publish_portfolio=settings.publish_portfolio)
    plans = RebalanceRules(**dict(chosen))
    return RebalancingEngine(held, slices, book, rules, plans, publish_portfolio=settings.publish_portfolio)


def _at_volatility(strategy: Strategy, chosen: VolatilityTargetSettings | None) -> Strategy:
    if chosen is None:
        return strategy
    return VolatilityTarget(
        strategy, chosen.annual, chosen.window, chosen.half_life, chosen.largest, chosen.periods_per_year
    )


def build_strategy(chosen: MovingAverageCrossSettings | MomentumMeanVarianceSettings) -> Strategy:
    """The strategy that ``chosen`` names, with its parameters."""
    if isinstance(chosen, MovingAverageCrossSettings):
        return MovingAverageCross(chosen.fast, chosen.slow, chosen.units, allow_short=chosen.allow_short)
    return _momentum_mean_variance(chosen)


def _momentum_mean_variance(chosen: MomentumMeanVarianceSettings) -> Strategy:
    # cvxpy takes seconds to import: only strategies that optimise pay for it
    from strategy_plane.optimizers.mean_variance import MeanVariance  # noqa: PLC0415
    from strategy_plane.optimizers.port import Limits  # noqa: PLC0415
    from strategy_plane.signals.technical import Momentum  # noqa: PLC0415
    from strategy_plane.strategies.momentum_mean_variance import Conversion, MomentumMeanVariance  # noqa: PLC0415

    signal = chosen.signal
    return MomentumMeanVariance(
        signal=Momentum(signal.lookback, signal.skip, signal.standardisation, signal.limit),
        optimizer=MeanVariance(chosen.risk_aversion),
        limits=Limits(**chosen.limits.model_dump()),
        conversion=Conversion(chosen.information_coefficient, chosen.periods_per_year),
        period=chosen.rebalance_every,
        risk_window=chosen.risk_window,
        max_missing=chosen.max_missing,
    )
