"""What would be held if a plan reached the weights that it aims at."""

from dataclasses import dataclass

from contracts.control import RebalancePlan
from strategy_plane.engines.book import Book


@dataclass(frozen=True, slots=True)
class AsPlanned:
    """The `Portfolio` that ``plan`` aims at, at today's prices; what it does not name is as in ``book``.

    Weights are those aimed at, not those that prices have made of them since, so that a plan which somebody looks at is
    not called into question by every move.
    """

    book: Book
    plan: RebalancePlan

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols held or aimed at, sorted."""
        return tuple(sorted({*self.book.symbols, *self.plan.target_weights}))

    def holding(self, symbol: str) -> float:
        """Signed units at the weight that is aimed at; as in the book where the symbol has no price."""
        worth = self.book.worth(symbol)
        if symbol not in self.plan.target_weights or not worth > 0.0:
            return self.book.holding(symbol)
        return self.plan.target_weights[symbol] * self.equity() / worth

    def equity(self) -> float:
        """As in the book: rebalancing moves cash into positions and back."""
        return self.book.equity()

    def rate(self, symbol: str) -> float:
        """As in the book."""
        return self.book.rate(symbol)

    def weight(self, symbol: str) -> float:
        """The weight that is aimed at, else the one held."""
        aimed = self.plan.target_weights.get(symbol)
        return self.book.weight(symbol) if aimed is None else aimed
