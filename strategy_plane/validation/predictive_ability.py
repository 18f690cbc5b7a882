"""Whether the best of many strategies beats a benchmark by more than data snooping explains."""

from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


class ValidationExtraMissing(ImportError):
    """The package that holds the test is not installed."""


@dataclass(frozen=True, slots=True)
class PredictiveAbility:
    """P-values of the hypothesis that no strategy beats the benchmark.

    ``consistent`` is the one to use; ``upper`` is White's Reality Check (2000) of studentised returns, ``lower`` the
    liberal bound.
    """

    lower: float
    consistent: float
    upper: float


def superior_predictive_ability(
    returns: Matrix, benchmark: Vector | None = None, *, repetitions: int = 1000, block: int = 0, seed: int = 1
) -> PredictiveAbility:
    """Hansen's (2005) test of superior predictive ability, by stationary bootstrap, through ``arch``.

    ``returns`` has shape (periods, strategies), simple returns per period; ``benchmark`` shape (periods,), cash
    that earns nothing by default. ``block`` is the mean length of a resampled block in periods, by default the
    square root of their number. The same ``seed`` gives the same answer.

    Raises:
        ValidationExtraMissing: when ``arch`` is not installed.
        ValueError: when shapes differ or a return is not finite.
    """
    held = np.zeros(len(returns)) if benchmark is None else benchmark
    if returns.ndim != 2 or held.shape != returns.shape[:1]:
        raise ValueError("returns must have shape (periods, strategies) and benchmark (periods,)")
    if not (np.isfinite(returns).all() and np.isfinite(held).all()):
        raise ValueError("returns and benchmark must be finite")
    moved = np.ptp(returns - held[:, None], axis=0) > 0.0
    if not moved.any():
        return PredictiveAbility(1.0, 1.0, 1.0)  # who never left the benchmark has not beaten it
    test = _bootstrap().SPA(
        -held, -returns[:, moved], block_size=block or max(1, round(len(returns) ** 0.5)), reps=repetitions, seed=seed
    )
    test.compute()
    found = test.pvalues
    return PredictiveAbility(float(found["lower"]), float(found["consistent"]), float(found["upper"]))


def require_bootstrap() -> None:
    """Ask before a long study, so that it does not fail at its end.

    Raises:
        ValidationExtraMissing: when ``arch`` is not installed.
    """
    _bootstrap()


def _bootstrap() -> ModuleType:
    try:
        from arch import bootstrap  # noqa: PLC0415 - an extra: only who asks for the test needs it
    except ImportError:
        raise ValidationExtraMissing(
            "the SPA test needs the package arch: pip install 'algo-trade[validate]'"
        ) from None
    module: ModuleType = bootstrap
    return module
