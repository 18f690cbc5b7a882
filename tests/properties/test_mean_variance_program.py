"""The solver's answers satisfy the optimality conditions and agree with independent solvers on random questions."""

from dataclasses import replace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from strategy_plane.optimizers.cross_check import CrossChecked, SolverMissing, constraints, objective
from strategy_plane.optimizers.mean_variance import MeanVariance, slack_of
from strategy_plane.optimizers.port import Allocation, AllocationStatus, FactorRisk, GroupLimit, Limits, TradingCosts
from strategy_plane.optimizers.quadratic_program import Program, Question, Shape, _Layout

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
AVERSION = 3.0


@st.composite
def questions(draw: st.DrawFn) -> Question:
    """Any combination of the limits and costs there are, around an empty portfolio or a held one."""
    assets = draw(st.sampled_from([2, 5, 12]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    risk = FactorRisk(generator.normal(0.0, 0.15, (assets, 2)), generator.uniform(0.01, 0.15, assets))
    half = tuple(range(assets // 2 + 1))
    group = GroupLimit("half", half, low=draw(st.sampled_from([-0.2, -np.inf])), high=0.15, gross=0.4)
    limits = Limits(
        gross=draw(st.floats(0.3, 3.0)),
        net=draw(st.sampled_from([0.1, 1.0])),
        box=draw(st.floats(0.1, 0.8)),
        turnover=draw(st.sampled_from([0.5, 10.0])),
        long_only=draw(st.booleans()),
        volatility=draw(st.sampled_from([None, 0.03, 0.2])),
        groups=draw(st.sampled_from([(), (group,)])),
    )
    impact = TradingCosts(generator.uniform(0.0, 0.002, assets), generator.uniform(0.0, 0.05, assets))
    costs = draw(st.sampled_from([None, impact]))
    current = draw(st.sampled_from([0.0, 0.01])) * generator.uniform(0.0, 1.0, assets)
    return Question(generator.normal(0.02, 0.1, assets), risk, current, limits, AVERSION, costs)


class Watched:
    """A solver that shows what it was given and what it found."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.data, self.found = inner, {}, None

    def update(self, **data: np.ndarray) -> None:
        self.data = data
        self.inner.update(**data)

    def solve(self) -> Any:
        self.found = self.inner.solve()
        return self.found


@quick
@given(question=questions())
def test_the_optimality_conditions_hold(question: Question):
    """Karush, Kuhn and Tucker: stationarity, feasibility of both sides and no gap between them."""
    shape = Shape.of(question.risk, question.limits)
    program, layout = Program(shape), _Layout(shape)
    program._solver = watched = Watched(program._solver)
    _, status = program.solve(question)
    assert status == "Solved"
    pattern = layout.matrix()[2]
    matrix = sparse.csc_matrix((watched.data["A"], pattern.indices, pattern.indptr), pattern.shape)
    quadratic = np.zeros(layout.columns)
    quadratic[: shape.assets + shape.factors] = watched.data["P"]
    x, z, s = (np.asarray(values) for values in (watched.found.x, watched.found.z, watched.found.s))
    assert np.abs(quadratic * x + watched.data["q"] + matrix.T @ z).max() < 1e-6
    assert np.abs(matrix @ x + s - watched.data["b"]).max() < 1e-6
    assert abs(s @ z) < 1e-6
    cone = 1 + shape.factors + shape.assets if shape.volatility else 0
    inequalities = slice(shape.factors, len(s) - cone)
    assert min(s[inequalities].min(), z[inequalities].min()) > -1e-8
    for values in (s, z):
        if cone:
            assert values[-cone] >= np.linalg.norm(values[len(s) - cone + 1 :]) - 1e-8


def ask(optimizer: MeanVariance | CrossChecked, question: Question) -> Allocation:
    return optimizer(question.expected, question.risk, question.current, question.limits, question.costs)


@quick
@given(question=questions())
def test_another_solver_finds_nothing_better(question: Question):
    found = ask(MeanVariance(AVERSION), question)
    assert found.status is AllocationStatus.OPTIMAL, found.diagnosis
    weights = cp.Variable(len(question.expected))
    utility = objective(weights, question.expected, question.risk, question.current, AVERSION, question.costs)
    problem = cp.Problem(cp.Maximize(utility), constraints(weights, question.risk, question.current, question.limits))
    problem.solve(solver=cp.SCS, eps_abs=1e-8, eps_rel=1e-8, max_iters=100_000)
    assert problem.status == cp.OPTIMAL
    best, weights.value = problem.value, found.weights
    assert utility.value == pytest.approx(best, abs=2e-5)
    assert all(float(np.max(each.violation())) <= 2 * slack_of(len(question.expected)) for each in problem.constraints)


@quick
@given(question=questions(), tighter=st.floats(0.3, 0.9))
def test_less_volatility_never_improves_the_objective(question: Question, tighter: float):
    optimizer = MeanVariance(AVERSION)
    loose = ask(optimizer, question)
    bound = tighter * max(0.01, float(np.sqrt(question.risk.variance(loose.weights))))
    tight = ask(optimizer, replace(question, limits=replace(question.limits, volatility=bound)))
    if tight.status is AllocationStatus.KEPT:
        return
    assert reached(optimizer, question, tight.weights) <= reached(optimizer, question, loose.weights) + 1e-5


def tightened(limits: Limits, weights: np.ndarray, name: str, step: float) -> Limits:
    """``limits`` with one of them tighter by ``step`` than what ``weights`` make of it."""
    if name == "net_floor":
        return replace(limits, net_floor=max(limits.lowest_net, float(weights.sum()) + step))
    members = tuple(range(len(weights) // 2 + 1))
    (group,) = limits.groups or (GroupLimit("half", members),)
    held = weights[list(group.members)]
    bound = {
        "low": max(group.low, float(held.sum()) + step),
        "high": min(group.high, float(held.sum()) - step),
        "gross": min(group.gross, max(0.0, float(np.abs(held).sum()) - step)),
    }[name]
    return replace(limits, groups=(replace(group, **{name: bound}),))


@quick
@pytest.mark.parametrize("name", ["net_floor", "low", "high", "gross"])
@given(question=questions(), step=st.floats(0.01, 0.1))
def test_a_tighter_floor_or_group_never_improves_the_objective(name: str, question: Question, step: float):
    optimizer = MeanVariance(AVERSION)
    loose = ask(optimizer, question)
    assert loose.status is AllocationStatus.OPTIMAL, loose.diagnosis
    limits = tightened(question.limits, loose.weights, name, step)
    tight = ask(optimizer, replace(question, limits=limits))
    if tight.status is AllocationStatus.KEPT:
        return
    assert limits.breaches(tight.weights, question.current, slack_of(len(question.current))) == []
    assert reached(optimizer, question, tight.weights) <= reached(optimizer, question, loose.weights) + 1e-5


def reached(optimizer: MeanVariance, question: Question, weights: np.ndarray) -> float:
    """The objective, with what the trades cost."""
    paid = question.costs.annual(weights - question.current) if question.costs else 0.0
    return optimizer.utility(weights, question.expected, question.risk) - paid


class TestCrossCheck:
    """The second solver as part of an optimizer."""

    @quick
    @given(question=questions())
    def test_it_confirms_what_is_right(self, question: Question):
        pytest.importorskip("piqp")
        checked = ask(CrossChecked(MeanVariance(AVERSION), AVERSION), question)
        assert checked.status is AllocationStatus.OPTIMAL, checked.diagnosis

    def test_it_keeps_the_current_weights_when_the_answer_is_not_the_best(self):
        pytest.importorskip("piqp")
        risk = FactorRisk(np.full((3, 1), 0.1), np.full(3, 0.04))
        expected, current = np.array([0.1, 0.05, -0.1]), np.zeros(3)

        class Poor(MeanVariance):
            def __call__(self, *question: Any) -> Allocation:
                return Allocation(super().__call__(*question).weights * 0.8, AllocationStatus.OPTIMAL)

        checked = CrossChecked(Poor(AVERSION), AVERSION)(expected, risk, current, Limits())
        assert checked.status is AllocationStatus.KEPT
        assert "does not confirm" in checked.diagnosis
        assert checked.weights is current

    def test_without_its_solver_the_fix_is_named(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(cp, "installed_solvers", lambda: ["CLARABEL"])
        with pytest.raises(SolverMissing, match=r"algo-trade\[validate\]"):
            CrossChecked(MeanVariance(AVERSION), AVERSION)
