"""Mean-variance solves: ours beside rebuilding the cvxpy problem each time and Clarabel without cvxpy.

Run ``python -m benchmarks.optimizer``; times are CPU milliseconds per solve, medians of interleaved rounds.
"""

import argparse
import time
from collections.abc import Callable

import clarabel
import cvxpy as cp
import numpy as np
from scipy import sparse

from strategy_plane.optimizers.mean_variance import MeanVariance
from strategy_plane.optimizers.port import AllocationStatus, FactorRisk, Limits

Instance = tuple[np.ndarray, FactorRisk, np.ndarray]
Solve = Callable[[Instance, Limits], np.ndarray]
RISK_AVERSION = 1.0


def instance(assets: int, seed: int) -> Instance:
    """Annual views, factor risk with n/20 + 3 factors and current weights of a random market."""
    generator = np.random.default_rng(seed)
    factors = min(assets // 20 + 3, 50)
    loadings = generator.normal(0.0, 0.25 / np.sqrt(factors), (assets, factors))
    risk = FactorRisk(loadings, generator.uniform(0.01, 0.09, assets))
    return generator.normal(0.03, 0.08, assets), risk, generator.normal(0.0, 0.2 / assets, assets)


def ours(assets: int) -> Solve:
    optimizer = MeanVariance(RISK_AVERSION)

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        allocation = optimizer(*given, limits)
        if allocation.status is not AllocationStatus.OPTIMAL:
            raise RuntimeError(allocation.diagnosis)
        return allocation.weights

    return solve


def rebuilt(assets: int) -> Solve:
    """The usual way: a new problem with the dense covariance for each decision."""

    def solve(given: Instance, limits: Limits) -> np.ndarray:
        expected, risk, current = given
        covariance = risk.loadings @ risk.loadings.T + np.diag(risk.specific)
        weights = cp.Variable(assets)
        utility = expected @ weights - RISK_AVERSION / 2 * cp.quad_form(weights, cp.psd_wrap(covariance))
        constraints = [
            cp.norm1(weights) <= limits.gross,
            cp.abs(cp.sum(weights)) <= limits.net,
            cp.abs(weights) <= limits.box,
            cp.norm1(weights - current) <= limits.turnover,
        ]
        cp.Problem(cp.Maximize(utility), constraints).solve(solver=cp.CLARABEL)
        return np.asarray(weights.value)

    return solve


def direct(assets: int) -> Solve:
    """Clarabel without cvxpy: matrices and solver built once, numbers updated for each decision."""
    first = instance(assets, 0)[1]
    factors = first.loadings.shape[1]
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


def measure(assets: int, rounds: int) -> dict[str, float]:
    """Median milliseconds per way of solving, interleaved over the same instances, first round left out."""
    limits = Limits(gross=2.0, net=0.1, box=max(0.05, 4.0 / assets), turnover=1.5)
    ways = {way.__name__: way(assets) for way in (ours, rebuilt, direct)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for seed in range(rounds + 1):
        given, answers = instance(assets, seed), {}
        for name, solve in ways.items():
            start = time.process_time()
            answers[name] = solve(given, limits)
            seconds[name].append(time.process_time() - start)
        utilities = {name: MeanVariance(RISK_AVERSION).utility(w, given[0], given[1]) for name, w in answers.items()}
        if max(utilities.values()) - min(utilities.values()) > 1e-4:
            raise RuntimeError(f"the answers differ: {utilities}")
    return {name: 1e3 * float(np.median(times[1:])) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100, 500])
    chosen = parser.parse_args()
    print(f"{'n':>5} {'ours ms':>9} {'rebuilt ms':>11} {'direct ms':>10} {'rebuilt/ours':>13} {'ours/direct':>12}")
    for assets in chosen.sizes:
        found = measure(assets, chosen.rounds)
        print(
            f"{assets:>5} {found['ours']:>9.2f} {found['rebuilt']:>11.2f} {found['direct']:>10.2f} "
            f"{found['rebuilt'] / found['ours']:>13.1f} {found['ours'] / found['direct']:>12.2f}"
        )


if __name__ == "__main__":
    main()
