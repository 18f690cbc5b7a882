"""Asks the pre-trade controls about one order."""

from collections.abc import Sequence, Set

from contracts.trading import OrderIntent, Side
from order_plane.account_books import AccountBooks
from order_plane.exposure import Exposure
from order_plane.marks import Marks
from order_plane.risk.duplicates import RepeatedOrder
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.risk.port import Refusal, RiskCheck, RiskView
from order_plane.risk.price import MarketGoesOn, worst_price
from order_plane.risk.reducing import reducing_only
from order_plane.safety.kill_switch import KillSwitch
from order_plane.safety.symbol_halts import SymbolHalts

_BUY = Side.BUY  # looking a member up by name costs more than comparing it


class Judge:
    """Shows each of ``checks`` what the account is like; the first refusal counts."""

    def __init__(
        self,
        checks: Sequence[RiskCheck],
        market: Marks,
        exposure: Exposure,
        books: AccountBooks,
        kill: KillSwitch,
        halts: SymbolHalts,
    ) -> None:
        self.checks = tuple(checks)
        self._market = market
        self._exposure = exposure
        self._books = books
        self._kill = kill
        self._halts = halts

    def refusal(self, intent: OrderIntent, blocked: Set[tuple[str, Side]]) -> Refusal | None:
        """Why ``intent`` may not become an order; ``blocked`` are the symbols and sides with an outcome in doubt."""
        self._books.strategies.add(intent.strategy_id)
        view = self._view(intent, blocked)
        for check in self.checks:
            refusal = check(intent, view)
            if refusal is not None:
                return refusal
        return None

    def objection(self, intent: OrderIntent, blocked: Set[tuple[str, Side]]) -> Refusal | None:
        """Why an order that was let through a moment ago must not leave any more."""
        view = self._view(intent, blocked)
        return not_halted(intent, view) or reducing_only(intent, view) or not_in_doubt(intent, view)

    def second_refusal(self, intent: OrderIntent, blocked: Set[tuple[str, Side]]) -> Refusal | None:
        """As `refusal`, long after the first verdict and at the wish of a person.

        The controls that would take it for a repetition, or for one that was left over, are not asked.
        """
        view = self._view(intent, blocked)
        refusals = (check(intent, view) for check in self.checks if not isinstance(check, RepeatedOrder | MarketGoesOn))
        return next((refusal for refusal in refusals if refusal is not None), None)

    def _view(self, intent: OrderIntent, blocked: Set[tuple[str, Side]]) -> RiskView:
        wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        symbol, quantity, direction = wish["symbol"], wish["quantity"], wish["direction"]
        strategy_id, at = wish["strategy_id"], wish["timestamp"]
        market, exposure = self._market, self._exposure
        reference, priced_at, rate, rated_at = market.quote_of(symbol)
        kill, now = self._kill, market.now
        if market.moved:
            market.moved, exposure.stale = False, True
        self._books.worth = None
        before, after = exposure.largest(symbol, quantity if direction is _BUY else -quantity)
        return RiskView(
            max(at, now),
            reference,
            priced_at,
            worst_price(intent, reference),
            before,
            after,
            exposure.gross(market.worth_of),
            self._halt_reason(intent) if kill.engaged else self._halts.reason(symbol),
            bool(blocked) and (symbol, direction) in blocked,
            self._books,
            rate,
            rated_at,
            now,
            kill.narrows(strategy_id) if kill.engaged else (),
        )

    def _halt_reason(self, intent: OrderIntent) -> str | None:
        cause = self._kill.stops(intent.strategy_id)
        if cause is not None:
            return f"kill switch engaged by {cause.operator}"
        return self._halts.reason(intent.symbol)
