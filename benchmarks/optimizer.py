"""Mean-variance solves: ours beside rebuilding the cvxpy problem, bare Clarabel, and a step of cvxportfolio.

Run ``python -m benchmarks.optimizer``; times are CPU milliseconds per solve, medians of interleaved rounds. The
column of cvxportfolio needs the version pinned in the extra ``peers``; it has no limit on the net weight, so its
problem is the easier one. Rows with ``volatility`` have a second-order cone, which the bare solver is not given here.
"""

import argparse
import importlib.util
import sys
import time
import warnings
from collections.abc import Callable, Sequence

import clarabel
import cvxpy as cp
import numpy as np
from scipy import sparse

from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits

Instance = tuple[np.ndarray, FactorRisk, np.ndarray]
Solve = Callable[[Instance, Limits], np.ndarray]
Way = Callable[[Sequence[Instance]], Solve]
RISK_AVERSION = 1.0
ROUNDS = {20: 40, 100: 25, 500: 9, 1000: 5}
FASTER_THAN_REBUILT = {20: 3.0, 100: 3.0, 500: 8.0, 1000: 10.0}
OF_DIRECT = 1.5
TOLERANCE = 1e-4
"""By how much utilities may differ, so that all have solved the same problem; annual return."""


def instance(assets: int, seed: int) -> Instance:
    """Annual views, factor risk with n/20 + 3 factors and current weights of a random market."""
    generator = np.random.default_rng(seed)
    factors = min(assets // 20 + 3, 50)
    loadings = generator.normal(0.0, 0.25 / np.sqrt(factors), (assets, factors))
    risk = FactorRisk(loadings, generator.uniform(0.01, 0.09, assets))
    return generator.normal(0.03, 0.08, assets), risk, generator.normal(0.0, 0.2 / assets, assets)


def ours(instances: Sequence[Instance]) -> Solve:
    optimizer = MeanVariance(RISK_AVERSION)

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        allocation = optimizer(*given, limits)
        if allocation.status is not AllocationStatus.OPTIMAL:
            raise RuntimeError(allocation.diagnosis)
        return allocation.weights

    return solve


def rebuilt(instances: Sequence[Instance]) -> Solve:
    """The usual way: a new problem with the dense covariance for each decision."""

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        expected, risk, current = given
        covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
        weights = cp.Variable(len(expected))
        utility = expected @ weights - RISK_AVERSION / 2 * cp.quad_form(weights, cp.psd_wrap(covariance))
        constraints = [
            cp.norm1(weights) <= limits.gross,
            cp.abs(cp.sum(weights)) <= limits.net,
            cp.abs(weights) <= limits.box,
            cp.norm1(weights - current) <= limits.turnover,
        ]
        if limits.volatility is not None:
            constraints.append(cp.quad_form(weights, cp.psd_wrap(covariance)) <= limits.volatility**2)
        cp.Problem(cp.Maximize(utility), constraints).solve(solver=cp.CLARABEL)
        return np.asarray(weights.value)

    return solve


def direct(instances: Sequence[Instance]) -> Solve:
    """Clarabel without cvxpy: matrices and solver built once, numbers updated for each decision."""
    first = instances[0][1]
    assets, factors = first.loadings.shape
    numbered = direct_rows(np.arange(2.0, factors * assets + 2.0).reshape(factors, assets))
    places = np.argsort(-numbered.data, kind="stable")[: factors * assets][::-1]  # of loadings, by factor and asset
    rows = direct_rows(first.loadings.T)
    risky = np.concatenate([RISK_AVERSION * first.specific, np.full(factors, RISK_AVERSION)])
    quadratic = sparse.diags(np.concatenate([risky, np.zeros(2 * assets)]), format="csc")
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.presolve_enable = False
    zeros = np.zeros(rows.shape[0])
    cones = [clarabel.ZeroConeT(factors), clarabel.NonnegativeConeT(len(zeros) - factors)]
    solver = clarabel.DefaultSolver(quadratic, np.zeros(rows.shape[1]), rows, zeros, cones, settings)

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        expected, risk, current = given
        rows.data[places] = risk.loadings.T.ravel()
        quadratic.data[:assets] = RISK_AVERSION * risk.specific
        nothing, box = np.zeros(assets), np.full(assets, limits.box)
        last = [limits.gross, limits.turnover, limits.net, limits.net]
        bounds = np.concatenate([np.zeros(factors), nothing, nothing, current, -current, box, last])
        linear = np.concatenate([-expected, np.zeros(factors + 2 * assets)])
        solver.update(P=quadratic.data, q=linear, A=rows.data, b=bounds)
        return np.asarray(solver.solve().x)[:assets]

    return solve


def direct_rows(loadings: np.ndarray) -> sparse.csc_matrix:
    """Constraint rows over weights, factor exposures, absolute weights and absolute changes."""
    factors, assets = loadings.shape
    one, row = sparse.identity(assets, format="csc"), np.ones((1, assets))
    return sparse.bmat(
        [
            [sparse.csc_matrix(loadings), -sparse.identity(factors), None, None],
            [one, None, -one, None],
            [-one, None, -one, None],
            [one, None, None, -one],
            [-one, None, None, -one],
            [None, None, one, None],
            [None, None, row, None],
            [None, None, None, row],
            [row, None, None, None],
            [-row, None, None, None],
        ],
        format="csc",
    )


def cvxportfolio(instances: Sequence[Instance]) -> Solve:
    """One step of its single-period optimisation, compiled once, with the same factor model."""
    import cvxportfolio as cvx
    import pandas as pd

    assets, factors = instances[0][1].loadings.shape
    names, steps = [f"s{place:04}" for place in range(assets)], pd.date_range("2020-01-01", periods=len(instances))
    views = pd.DataFrame([given[0] for given in instances], index=steps, columns=names)
    specific = pd.DataFrame([given[1].specific for given in instances], index=steps, columns=names)
    loadings = pd.concat(
        {
            step: pd.DataFrame(given[1].loadings.T, columns=names, index=range(factors))
            for step, given in zip(steps, instances, strict=True)
        }
    )
    universe, policy = pd.Index([*names, "cash"]), None
    places = {id(given): place for place, given in enumerate(instances)}

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        nonlocal policy
        if policy is None:
            policy = cvx.SinglePeriodOptimization(
                cvx.ReturnsForecast(r_hat=views)
                - RISK_AVERSION / 2 * cvx.FactorModelCovariance(F=loadings, d=specific),
                [
                    cvx.LeverageLimit(limits.gross),
                    cvx.MaxWeights(limits.box),
                    cvx.MinWeights(-limits.box),
                    cvx.TurnoverLimit(limits.turnover / 2),
                ],
                include_cash_return=False,
                solver="CLARABEL",
            )
            policy.initialize_estimator_recursive(universe=universe, trading_calendar=steps)
        found = policy.values_in_time_recursive(
            t=steps[places[id(given)]],
            current_weights=pd.Series([*given[2], 1.0 - given[2].sum()], index=universe),
            current_portfolio_value=1e6,
            past_returns=pd.DataFrame(0.0, index=steps[:0], columns=universe),
            past_volumes=None,
            current_prices=None,
        )
        return np.asarray(found)[:-1]

    return solve


def measure(assets: int, rounds: int, ways: Sequence[Way], volatility: float | None) -> dict[str, float]:
    """Median milliseconds per way of solving, interleaved over the same instances, first round left out.

    Raises:
        RuntimeError: when the ways do not find equally good weights.
    """
    limits = Limits(gross=2.0, net=0.1, box=max(0.05, 4.0 / assets), turnover=1.5, volatility=volatility)
    instances = [instance(assets, seed) for seed in range(rounds + 1)]
    solves = {way.__name__: way(instances) for way in ways}
    seconds: dict[str, list[float]] = {name: [] for name in solves}
    for number, given in enumerate(instances):
        reached = {}
        for name, solve in _rotated(list(solves.items()), number):
            start = time.process_time()
            weights = solve(given, limits)
            seconds[name].append(time.process_time() - start)
            reached[name] = MeanVariance(RISK_AVERSION).utility(weights, given[0], given[1])
        easier = reached.pop("cvxportfolio", np.inf)
        if np.ptp(list(reached.values())) > TOLERANCE or easier < max(reached.values()) - TOLERANCE:
            raise RuntimeError(f"the answers differ: {reached}, {easier}")
    return {name: 1e3 * float(np.median(times[1:])) for name, times in seconds.items()}


def _rotated(ways: list[tuple[str, Solve]], by: int) -> list[tuple[str, Solve]]:
    """Another way first each time: who follows a slow one finds the processor's caches full of strangers."""
    start = by % len(ways)
    return ways[start:] + ways[:start]


def verdict(assets: int, found: dict[str, float], wanted: Sequence[str] = ()) -> str:
    """What was missed, which of the ``wanted`` ways there is no time of, or PASS."""
    missed = []
    if found["rebuilt"] / found["ours"] < FASTER_THAN_REBUILT.get(assets, 0.0):
        missed.append(f"{FASTER_THAN_REBUILT[assets]:g} times rebuilt")
    if found["ours"] > OF_DIRECT * found.get("direct", np.inf):
        missed.append(f"{OF_DIRECT:g} of direct")
    if found["ours"] > found.get("cvxportfolio", np.inf):
        missed.append("cvxportfolio")
    if missed:
        return f"FAIL: {', '.join(missed)}"
    absent = [way for way in wanted if way not in found]
    return f"not compared: {', '.join(absent)}" if absent else "PASS"


def main() -> int:
    """Print a line for each size; 1 when a target is missed, or nobody can tell because a peer is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="instances per size; by default more for smaller ones")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(ROUNDS))
    parser.add_argument("--volatility", type=float, nargs="*", default=[0.08], help="annual limits of the cone rows")
    chosen = parser.parse_args()
    warnings.filterwarnings("ignore")  # of the libraries compared with
    peer: tuple[Way, ...] = (cvxportfolio,) if importlib.util.find_spec("cvxportfolio") else ()
    print(
        f"{'n':>5} {'volatility':>10}" + "".join(f"{way:>14}" for way in ("ours", "direct", "rebuilt", "cvxportfolio"))
    )
    passed = True
    for volatility in (None, *chosen.volatility):
        ways: tuple[Way, ...] = (ours, direct, rebuilt, *peer) if volatility is None else (ours, rebuilt)
        for assets in chosen.sizes:
            found = measure(assets, chosen.rounds or ROUNDS.get(assets, 5), ways, volatility)
            said = verdict(assets, found, ("cvxportfolio",) if volatility is None else ())
            passed &= said == "PASS"
            times = "".join(_cell(found, way) for way in ("ours", "direct", "rebuilt", "cvxportfolio"))
            print(f"{assets:>5} {volatility or '-':>10}{times}  {said}", flush=True)
    print("milliseconds; in brackets: how many times that of ours")
    return 0 if passed else 1


def _cell(found: dict[str, float], way: str) -> str:
    if way not in found:
        return f"{'-':>14}"
    return f"{found[way]:>8.2f}" + (f"{'':6}" if way == "ours" else " (%.2g)" % (found[way] / found["ours"]))


if __name__ == "__main__":
    sys.exit(main())
