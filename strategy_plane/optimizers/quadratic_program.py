"""The mean-variance problem in the arrays of a conic solver, laid out once per shape and solved many times."""

from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from strategy_plane.optimizers.port import FactorRisk, Limits, TradingCosts, Vector

Places = NDArray[np.intp]
Block = tuple[Places, Places, Vector]
"""Rows, columns and values of some entries of the constraint matrix."""
SOLVED = "Solved"


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides where the entries of the problem stand; all else is numbers."""

    assets: int
    factors: int
    long_only: bool
    volatility: bool
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, risk: FactorRisk, limits: Limits) -> "Shape":
        """The shape of a question."""
        assets, factors = risk.loadings.shape
        members = tuple(group.members for group in limits.groups)
        return cls(assets, factors, limits.long_only, limits.volatility is not None, members)


@dataclass(frozen=True, slots=True)
class Question:
    """Numbers of one problem; see `Optimizer` for shapes and units."""

    expected: Vector
    risk: FactorRisk
    current: Vector
    limits: Limits
    risk_aversion: float
    costs: TradingCosts | None = None

    @property
    def scale(self) -> float:
        """What the objective is divided by, so that the largest view is one and tolerances mean the same always."""
        largest = float(np.abs(self.expected).max(initial=0.0))
        return largest if largest > 0.0 else self.risk_aversion * float(self.risk.variances.max())


class Program:
    """One problem for a solver that keeps its memory, its ordering and its scaling between questions.

    Minimises ``risk_aversion / 2 * w' Sigma w - expected @ w + costs`` over weights ``w``, factor exposures
    ``y = loadings' w``, sizes ``t >= |w|`` (``w`` itself when long-only) and changes ``u >= |w - current|``.
    The solver's scaling is fixed by numbers that belong to the shape, never by an earlier question, so an answer
    depends on its question alone.
    """

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        layout = _Layout(shape)
        self._values, self._order, pattern = layout.matrix()
        self._loadings, self._deviations = layout.loadings, layout.deviations
        self._zeros_before = np.zeros(shape.factors + (0 if shape.long_only else 2 * shape.assets))
        self._zeros_after = np.zeros(shape.factors + shape.assets) if shape.volatility else np.empty(0)
        self._sizes_linear = np.zeros(shape.factors + (0 if shape.long_only else shape.assets))
        self._plain_changes = np.zeros(shape.assets)
        quadratic = _diagonal(shape.assets + shape.factors, layout.columns)
        linear = np.zeros(layout.columns)
        linear[: shape.assets] = -1.0
        self._solver = clarabel.DefaultSolver(
            quadratic, linear, pattern, np.ones(pattern.shape[0]), layout.cones(), _settings()
        )

    def solve(self, question: Question) -> tuple[Vector | None, str]:
        """Weights, or None, and the status in the solver's words; only `SOLVED` comes with weights."""
        self._update(question)
        solution = self._solver.solve()
        status = str(solution.status)
        if status != SOLVED:
            return None, status
        return np.array(solution.x[: self._shape.assets], dtype=np.float64), status

    def _update(self, question: Question) -> None:
        risk, costs, scale = question.risk, question.costs, question.scale
        aversion = question.risk_aversion / scale
        self._values[self._loadings] = risk.loadings.T.ravel()
        if self._shape.volatility:
            self._values[self._deviations] = -np.sqrt(risk.specific)
        curvature, slope, changes = aversion * risk.specific, question.expected / -scale, self._plain_changes
        if costs is not None:
            rate = costs.per_year / scale
            curvature = curvature + 2.0 * rate * costs.quadratic
            slope = slope - 2.0 * rate * costs.quadratic * question.current
            changes = rate * costs.linear
        self._solver.update(
            P=np.concatenate([curvature, np.full(self._shape.factors, aversion)]),
            q=np.concatenate([slope, self._sizes_linear, changes]),
            A=self._values[self._order],
            b=self._bounds(question.current, question.limits),
        )

    def _bounds(self, current: Vector, limits: Limits) -> Vector:
        """Right-hand sides, in the order of the rows of `_Layout`."""
        box = np.full(self._shape.assets, limits.box)
        lowest = limits.lowest_net - limits.outside_net
        parts = [self._zeros_before, current, -current, box]
        if self._shape.long_only:
            parts.append(self._plain_changes)
        parts.append(np.array([limits.room, limits.turnover, limits.net - limits.outside_net, -lowest]))
        parts.extend(np.clip([group.high, -group.low, group.gross], -_UNBOUNDED, _UNBOUNDED) for group in limits.groups)
        if limits.volatility is not None:
            parts += [np.array([limits.volatility]), self._zeros_after]
        return np.concatenate(parts)


_UNBOUNDED = 1e3
"""In weights: no portfolio here comes near it, and the solver's tolerances do not suffer as from infinity."""


class _Layout:
    """Where everything stands. Columns: w, y, t unless long-only, u."""

    def __init__(self, shape: Shape) -> None:
        assets, factors = shape.assets, shape.factors
        self._shape = shape
        self._weights = np.arange(assets)
        self._exposures = assets + np.arange(factors)
        self._sizes = self._weights if shape.long_only else assets + factors + np.arange(assets)
        self._changes = (assets if shape.long_only else 2 * assets) + factors + np.arange(assets)
        self.columns = int(self._changes[-1]) + 1
        self._rows = 0
        self._blocks: list[Block] = []
        self.loadings = slice(0, assets * factors)
        self.deviations = slice(0, 0)
        self._lay()

    def matrix(self) -> tuple[Vector, Places, Any]:
        """Values in the order they were laid, their places in column order, and the matrix itself."""
        rows, columns, values = (np.concatenate(part) for part in zip(*self._blocks, strict=True))
        numbered = sparse.csc_matrix(
            (np.arange(1.0, len(values) + 1.0), (rows, columns)), shape=(self._rows, self.columns)
        )
        numbered.sort_indices()
        order = numbered.data.astype(np.intp) - 1
        return values, order, sparse.csc_matrix((values[order], numbered.indices, numbered.indptr), numbered.shape)

    def cones(self) -> list[Any]:
        """Equal rows first, then those with room, then the volatility."""
        second_order = 1 + self._shape.factors + self._shape.assets if self._shape.volatility else 0
        between = self._rows - self._shape.factors - second_order
        cones = [clarabel.ZeroConeT(self._shape.factors), clarabel.NonnegativeConeT(between)]
        return [*cones, clarabel.SecondOrderConeT(second_order)] if second_order else cones

    def _lay(self) -> None:
        shape = self._shape
        self._lay_exposures()
        if not shape.long_only:
            self._lay_absolute(self._sizes)
        self._lay_absolute(self._changes)
        self._lay_each((self._sizes, 1.0))
        if shape.long_only:
            self._lay_each((self._weights, -1.0))
        self._lay_sum(self._sizes, 1.0)
        self._lay_sum(self._changes, 1.0)
        self._lay_net(self._weights)
        for members in shape.groups:
            self._lay_net(self._weights[list(members)])
            self._lay_sum(self._sizes[list(members)], 1.0)
        if shape.volatility:
            self._lay_volatility()

    def _lay_exposures(self) -> None:
        assets, factors = self._shape.assets, self._shape.factors
        typical = np.full(assets * factors, 0.1)
        self._blocks.append((np.repeat(np.arange(factors), assets), np.tile(self._weights, factors), typical))
        self._lay_each((self._exposures, -1.0))

    def _lay_absolute(self, bounds: Places) -> None:
        """Rows ``w - bound`` and ``-w - bound``."""
        self._lay_each((self._weights, 1.0), (bounds, -1.0))
        self._lay_each((self._weights, -1.0), (bounds, -1.0))

    def _lay_each(self, *terms: tuple[Places, float]) -> None:
        """A row for each place of the columns in ``terms``, with their factors."""
        count = len(terms[0][0])
        rows = self._rows + np.arange(count)
        for columns, factor in terms:
            self._blocks.append((rows, columns, np.full(count, factor)))
        self._rows += count

    def _lay_sum(self, columns: Places, factor: float) -> None:
        self._blocks.append((np.full(len(columns), self._rows), columns, np.full(len(columns), factor)))
        self._rows += 1

    def _lay_net(self, columns: Places) -> None:
        self._lay_sum(columns, 1.0)
        self._lay_sum(columns, -1.0)

    def _lay_volatility(self) -> None:
        self._rows += 1  # the bound itself
        self._lay_each((self._exposures, -1.0))
        laid = sum(len(values) for _, _, values in self._blocks)
        self.deviations = slice(laid, laid + self._shape.assets)
        self._lay_each((self._weights, -0.2))


def _diagonal(count: int, columns: int) -> Any:  # noqa: ANN401 - scipy has no types
    starts = np.minimum(np.arange(columns + 1), count)
    return sparse.csc_matrix((np.full(count, 0.04), np.arange(count), starts), shape=(columns, columns))


def _settings() -> Any:  # noqa: ANN401 - clarabel has no types
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.presolve_enable = False  # it would drop rows that a later question needs
    settings.direct_solve_method = "qdldl"
    return settings
