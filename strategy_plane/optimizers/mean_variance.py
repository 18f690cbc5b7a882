"""Mean-variance weights as a conic quadratic program that is laid out once and solved many times."""

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np

from strategy_plane.optimizers.feasibility import conflict, fault_of_input, relaxations
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, Limits, TradingCosts, Vector
from strategy_plane.optimizers.quadratic_program import Program, Question, Shape

GRID = 1e-6
"""Weights are multiples of this, so that solver noise does not reach orders."""
DECIMALS = 6
KEPT_PROGRAMS = 16
"""Shapes whose program stays in memory."""


def slack_of(assets: int) -> float:
    """How far rounded weights may exceed a limit: one grid step per asset."""
    return GRID * assets


class MeanVariance:
    """Maximise ``expected @ w - risk_aversion / 2 * w' Sigma w - costs`` within limits (Markowitz 1952).

    Solved by Clarabel (interior point, Goulart and Chen 2024) from a cold start: the answer depends on the input
    alone. Only its status "Solved" is accepted, limits are checked again on the rounded weights, and the current
    weights are kept when anything is amiss or when the answer would be worse than they are. A volatility limit is
    a second-order cone.
    """

    def __init__(self, risk_aversion: float) -> None:
        if not risk_aversion > 0.0:
            raise ValueError("risk_aversion must be positive")
        self._risk_aversion = risk_aversion
        self._programs: dict[Shape, Program] = {}

    def __call__(
        self, expected: Vector, risk: FactorRisk, current: Vector, limits: Limits, costs: TradingCosts | None = None
    ) -> Allocation:
        """Choose weights; see `Optimizer` for shapes and units."""
        slack = slack_of(len(current))
        fault = fault_of_input(expected, risk, current, costs) or conflict(current, limits, slack)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        question = Question(expected, risk, current, limits, self._risk_aversion, costs)
        found, status = self._program(question).solve(question)
        if found is None:
            return Allocation(current, AllocationStatus.KEPT, self._diagnosis(question, status))
        weights = _on_grid(found, limits)
        fault = self._fault_of_answer(weights, question, slack)
        if fault:
            return Allocation(current, AllocationStatus.KEPT, fault)
        return Allocation(weights, AllocationStatus.OPTIMAL)

    def utility(self, weights: Vector, expected: Vector, risk: FactorRisk) -> float:
        """The objective without costs, as an annual certainty-equivalent return."""
        return float(expected @ weights) - self._risk_aversion / 2.0 * risk.variance(weights)

    def _program(self, question: Question) -> Program:
        shape = Shape.of(question.risk, question.limits)
        program = self._programs.pop(shape, None) or Program(shape)
        self._programs[shape] = program  # the newest stands last
        if len(self._programs) > KEPT_PROGRAMS:
            del self._programs[next(iter(self._programs))]
        return program

    def _diagnosis(self, question: Question, status: str) -> str:
        """The solver's status; when limits conflict, the names of those that are each to blame."""
        if "Infeasible" not in status:
            return f"solver ended with status {status}"
        blamed = []
        for name, change in relaxations(question.limits, len(question.current)).items():
            looser = replace(question, limits=replace(question.limits, **cast("dict[str, Any]", change)))
            if self._program(looser).solve(looser)[0] is not None:
                blamed.append(name)
        return f"infeasible: the limits conflict; loosen any one of {', '.join(blamed) or 'several at once'}"

    def _fault_of_answer(self, weights: Vector, question: Question, slack: float) -> str:
        current, risk = question.current, question.risk
        broken = _broken(weights, question, slack)
        if broken:
            return f"the solver's weights break {', '.join(broken)}"
        reached = self.utility(weights, question.expected, risk)
        held = self.utility(current, question.expected, risk)
        if question.costs is not None:
            reached -= question.costs.annual(weights - current)
        if reached >= held:
            return ""
        noise = slack * self._steepest(question)  # what rounding to the grid may cost
        if reached >= held - noise or _broken(current, question, slack):
            return ""
        return "the solver's weights are worse than the current ones"

    def _steepest(self, question: Question) -> float:
        reach = max(1.0, question.limits.gross)
        slope = float(np.abs(question.expected).max() + self._risk_aversion * question.risk.variances.max() * reach)
        if question.costs is None:
            return slope
        costs = question.costs
        return slope + costs.per_year * float(costs.linear.max() + 2.0 * reach * costs.quadratic.max())


def _broken(weights: Vector, question: Question, slack: float) -> list[str]:
    limits, risk = question.limits, question.risk
    broken = limits.breaches(weights, question.current, slack)
    if limits.volatility is not None:
        reached = math.sqrt(risk.variance(weights))
        if not reached <= limits.volatility + slack * max(1.0, math.sqrt(float(risk.variances.max()))):
            broken.append("volatility")
    return broken


def _on_grid(found: Vector, limits: Limits) -> Vector:
    clipped: Vector = np.minimum(np.maximum(found, 0.0 if limits.long_only else -limits.box), limits.box)
    gross = float(np.abs(clipped).sum())
    if gross > limits.room > 0.0:
        clipped *= limits.room / gross
    rounded: Vector = np.round(clipped, DECIMALS) + 0.0  # no negative zero
    return rounded
