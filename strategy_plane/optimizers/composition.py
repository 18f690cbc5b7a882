"""Build an optimizer from its settings."""

from collections.abc import Callable

from strategy_plane.optimizers.black_litterman import BlackLitterman, SymbolView, market_by_size
from strategy_plane.optimizers.cost_book import CostBook
from strategy_plane.optimizers.covariance import ewma_covariance, factor_form, ledoit_wolf_covariance, sample_covariance
from strategy_plane.optimizers.factor_risk import principal_factor_risk
from strategy_plane.optimizers.hierarchical_risk_parity import hierarchical_risk_parity
from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import FactorRisk, Matrix, Optimizer
from strategy_plane.optimizers.risk_based import RiskBased, equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity
from strategy_plane.optimizers.settings import (
    BlackLittermanSettings,
    CostSettings,
    EwmaRiskSettings,
    MeanVarianceSettings,
    OptimizerSettings,
    RiskSettings,
)

RULES = {
    "equal_weight": equal_weight,
    "inverse_volatility": inverse_volatility,
    "risk_parity": risk_parity,
    "hierarchical_risk_parity": hierarchical_risk_parity,
}


def build_optimizer(chosen: OptimizerSettings) -> Optimizer:
    """The optimizer that ``chosen`` names, with its parameters.

    Raises:
        SolverMissing: when a cross-check is wanted and its solver is not installed.
    """
    if isinstance(chosen, MeanVarianceSettings):
        plain = MeanVariance(chosen.risk_aversion)
        return _cross_checked(plain, chosen.risk_aversion) if chosen.cross_check else plain
    if isinstance(chosen, BlackLittermanSettings):
        return _black_litterman(chosen)
    if chosen.name == "minimum_variance":
        return MinimumVariance()
    return RiskBased(RULES[chosen.name])


def build_risk_model(chosen: RiskSettings) -> Callable[[Matrix, float], FactorRisk]:
    """The estimate of risk that ``chosen`` names: from returns, shape (periods, n), and periods in a year."""
    if isinstance(chosen, EwmaRiskSettings):
        half_life = chosen.half_life
        return lambda returns, periods: factor_form(ewma_covariance(returns, periods, half_life))
    if chosen.name == "sample":
        return lambda returns, periods: factor_form(sample_covariance(returns, periods))
    if chosen.name == "ledoit_wolf":
        return lambda returns, periods: factor_form(ledoit_wolf_covariance(returns, periods)[0])
    return principal_factor_risk


def build_costs(chosen: CostSettings | None, per_year: float) -> CostBook | None:
    """What trades are expected to cost when weights are chosen ``per_year`` times a year."""
    if chosen is None:
        return None
    return CostBook(chosen.fixed_bps / 10_000.0, chosen.impact, chosen.trusted_after, chosen.window, per_year)


def _black_litterman(chosen: BlackLittermanSettings) -> Optimizer:
    market = RULES[chosen.market] if isinstance(chosen.market, str) else market_by_size(chosen.market)
    confidence = chosen.confidence if chosen.from_signals else None
    views = [SymbolView(name, view.weights, view.expected, view.confidence) for name, view in chosen.views.items()]
    inner = MeanVariance(chosen.risk_aversion)
    return BlackLitterman(inner, market, chosen.risk_aversion, confidence, chosen.tau, views)


def _cross_checked(plain: MeanVariance, risk_aversion: float) -> Optimizer:
    # cvxpy takes seconds to import: only who asks for the check pays for it
    from strategy_plane.optimizers.cross_check import CrossChecked  # noqa: PLC0415

    return CrossChecked(plain, risk_aversion)
