"""Build the strategy plane's stage from its settings."""

from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import TradingRules
from strategy_plane.engines.single_strategy import SingleStrategyEngine
from strategy_plane.engines.slices import SliceAssembler
from strategy_plane.settings import MomentumMeanVarianceSettings, MovingAverageCrossSettings, StrategySettings
from strategy_plane.strategies.moving_average_cross import MovingAverageCross
from strategy_plane.strategies.port import Strategy


def build_stage(settings: StrategySettings) -> SingleStrategyEngine:
    """The plane's stage, the same for backtest, paper and live."""
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
    return SingleStrategyEngine(
        build_strategy(settings.strategy),
        SliceAssembler(settings.bar_size, settings.universe),
        Book(settings.initial_cash),
        rules,
        publish_portfolio=settings.publish_portfolio,
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
