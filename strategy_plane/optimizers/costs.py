"""What a rebalance costs, from spreads, volumes and the impact that own fills have shown."""

import numpy as np

from strategy_plane.optimizers.port import TradingCosts, Vector


def impact_costs(
    half_spread: Vector, daily_volatility: Vector, daily_value: Vector, equity: float, impact: float, per_year: float
) -> TradingCosts:
    """Costs of trading the fraction ``d`` of ``equity`` (account currency), all vectors of shape (n,).

    ``half_spread`` and commission are paid per value traded, as fractions. Impact is linear in size (Kyle 1985):
    trading the share ``v`` of a day's value ``daily_value`` moves the price by ``impact * daily_volatility * v``,
    with ``impact`` the dimensionless lambda learned from executions, about 1 for liquid shares. ``per_year`` is
    how often such a rebalance happens.

    Raises:
        ValueError: when a value is negative or not finite, or a daily value or equity not positive.
    """
    vectors = (half_spread, daily_volatility, daily_value)
    if not all(np.isfinite(vector).all() and (vector >= 0.0).all() for vector in vectors):
        raise ValueError("half_spread, daily_volatility and daily_value must be finite and not negative")
    if not ((daily_value > 0.0).all() and equity > 0.0 and impact >= 0.0 and per_year >= 0.0):
        raise ValueError("daily_value and equity must be positive, impact and per_year not negative")
    return TradingCosts(half_spread, impact * daily_volatility * equity / daily_value, per_year)
