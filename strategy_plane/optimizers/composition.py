"""Build an optimizer from its settings."""

from strategy_plane.optimizers.black_litterman import BlackLitterman
from strategy_plane.optimizers.hierarchical_risk_parity import hierarchical_risk_parity
from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.minimum_variance import MinimumVariance
from strategy_plane.optimizers.port import Optimizer
from strategy_plane.optimizers.risk_based import RiskBased, equal_weight, inverse_volatility
from strategy_plane.optimizers.risk_parity import risk_parity
from strategy_plane.optimizers.settings import BlackLittermanSettings, MeanVarianceSettings, RiskBasedSettings

RULES = {
    "equal_weight": equal_weight,
    "inverse_volatility": inverse_volatility,
    "risk_parity": risk_parity,
    "hierarchical_risk_parity": hierarchical_risk_parity,
}


def build_optimizer(chosen: MeanVarianceSettings | BlackLittermanSettings | RiskBasedSettings) -> Optimizer:
    """The optimizer that ``chosen`` names, with its parameters.

    Raises:
        SolverMissing: when a cross-check is wanted and its solver is not installed.
    """
    if isinstance(chosen, MeanVarianceSettings):
        plain = MeanVariance(chosen.risk_aversion)
        return _cross_checked(plain, chosen.risk_aversion) if chosen.cross_check else plain
    if isinstance(chosen, BlackLittermanSettings):
        inner, market = MeanVariance(chosen.risk_aversion), RULES[chosen.market]
        return BlackLitterman(inner, market, chosen.risk_aversion, chosen.confidence, chosen.tau)
    if chosen.name == "minimum_variance":
        return MinimumVariance()
    return RiskBased(RULES[chosen.name])


def _cross_checked(plain: MeanVariance, risk_aversion: float) -> Optimizer:
    # cvxpy takes seconds to import: only who asks for the check pays for it
    from strategy_plane.optimizers.cross_check import CrossChecked  # noqa: PLC0415

    return CrossChecked(plain, risk_aversion)
