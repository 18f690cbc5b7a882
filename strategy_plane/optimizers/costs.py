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
    if not (np.isfinite(daily_volatility).all() and (daily_volatility >= 0.0).all() and impact >= 0.0):
        raise ValueError("daily_volatility must be finite, and it and impact not negative")
    return participation_costs(half_spread, impact * daily_volatility, daily_value, equity, per_year)


def participation_costs(
    fixed: Vector, impact: Vector, value_traded: Vector, equity: float, per_year: float
) -> TradingCosts:
    """Costs of trading the fraction ``d`` of ``equity`` (account currency), all vectors of shape (n,).

    A trade costs ``fixed + impact * v`` of its value, with ``v`` its share of ``value_traded`` in a period: the form in
    which executions are learned from (Almgren and Chriss 2001, temporary impact, linear).

    Raises:
        ValueError: when a value is negative or not finite, or a value traded or equity not positive.
    """
    vectors = (fixed, impact, value_traded)
    if not all(np.isfinite(vector).all() and (vector >= 0.0).all() for vector in vectors):
        raise ValueError("costs and values traded must be finite and not negative")
    if not ((value_traded > 0.0).all() and equity > 0.0 and per_year >= 0.0):
        raise ValueError("values traded and equity must be positive and per_year not negative")
    return TradingCosts(fixed, impact * equity / value_traded, per_year)
