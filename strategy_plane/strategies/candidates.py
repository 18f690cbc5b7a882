"""Which symbols can take part in a decision, and what is held beside them."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from strategy_plane.history import AsOfView, Matrix
from strategy_plane.optimizers.port import Limits
from strategy_plane.strategies.port import Portfolio


def complete_returns(
    view: AsOfView, candidates: Sequence[str], window: int, max_missing: float
) -> tuple[list[str], Matrix]:
    """The candidates with enough simple returns over the newest ``window``, and these, shape (periods, symbols).

    A symbol takes part when at most ``max_missing`` of its returns are missing and its price has moved; moments
    at which any of them lacks a return are left out.
    """
    closes = view.panel(window + 1, candidates).closes
    returns = closes[1:] / closes[:-1] - 1.0
    missing = np.isnan(returns).mean(axis=0) if len(returns) else np.ones(len(candidates))
    moved = np.nan_to_num(np.abs(returns)).max(axis=0, initial=0.0) > 0.0
    kept = (missing <= max_missing) & moved
    complete = returns[:, kept]
    symbols = [symbol for symbol, keep in zip(candidates, kept, strict=True) if keep]
    return symbols, complete[~np.isnan(complete).any(axis=1)]


def limits_beside(limits: Limits, symbols: Sequence[str], portfolio: Portfolio) -> Limits:
    """``limits`` that know what is held in other than ``symbols``."""
    outside = [portfolio.weight(symbol) for symbol in portfolio.symbols if symbol not in symbols]
    return replace(limits, outside_gross=math.fsum(map(abs, outside)), outside_net=math.fsum(outside))
