"""What only some controls ask for: worked out when it is asked, so that it costs nothing otherwise."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from math import copysign, fsum, isnan, nan
from uuid import UUID

from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import OrderIntent, Side
from order_plane.exposure import Exposure, add_units
from order_plane.marks import Marks
from order_plane.safety.equity_watch import EquityWatch
from order_plane.working_order import EXTERNAL, WorkingOrder

_BUY = Side.BUY


class AccountBooks:
    """The desk's books by strategy, and what the account is worth when a ``watch`` keeps count of that."""

    def __init__(
        self,
        exposure: Exposure,
        orders: Mapping[int, WorkingOrder],
        market: Marks,
        watch: EquityWatch | None = None,
    ) -> None:
        self._exposure = exposure
        self._orders = orders
        self._market = market
        self._worth_of = market.worth_of
        self._price_of = market.price_of
        self._watch = watch
        self._filled_of: dict[tuple[UUID, str, Side], float] = {}
        self.held_by: dict[str, dict[str, float]] = {}
        """Units held by strategy and symbol, short negative; whatever is flat is absent or empty."""
        self.strategies: set[str] = set()
        """Every strategy that an intent was judged of, now or in an earlier life."""
        self.worth: float | None = None
        self.admitted = 0
        """Orders let through, by this journal."""
        self.executions = 0
        """Changes of a position since the start, and orders that had traded before it."""
        self.beyond: Mapping[str, float] | None = {}
        """Units that the venue holds more than we, by its newest account; None while it has given none."""
        self.others: Mapping[tuple[str, Side], float] = {}
        """Units of orders that work there by that account, and that are not open here."""

    def trade(self, intent: OrderIntent, units: float) -> None:
        """Add filled ``units`` of an order, negative for a sale."""
        self.executions += 1
        wish = intent.__dict__  # a model's attributes cost four times as much as a dictionary's keys
        strategy_id, symbol, plan_id = wish["strategy_id"], wish["symbol"], wish["plan_id"]
        held = self.held_by.get(strategy_id)
        if held is None:
            held = self.held_by[strategy_id] = {}
        add_units(held, symbol, units)
        if plan_id is not None:
            name = plan_id, symbol, intent.direction
            self._filled_of[name] = self._filled_of.get(name, 0.0) + (units if intent.direction is _BUY else -units)

    def ordered(self, plan_id: UUID, symbol: str, side: Side) -> float:
        """Units of a plan that were filled or may still be, in all orders that name it."""
        orders = ((order.intent, order.working) for order in self._orders.values())
        own = [
            working
            for each, working in orders
            if each.plan_id == plan_id and (each.symbol, each.direction) == (symbol, side)
        ]
        return fsum([self._filled_of.get((plan_id, symbol, side), 0.0), *own])

    def works(self, strategy_id: str, symbol: str) -> bool:
        """Whether an order of the strategy is open in the symbol."""
        intents = (order.intent for order in self._orders.values())
        return any((each.symbol, each.strategy_id) == (symbol, strategy_id) for each in intents)

    def differs(self, symbol: str) -> bool:
        """Whether others trade the symbol on the account, or the venue holds something else of it."""
        theirs = symbol in (self.beyond or ()) or any((symbol, side) in self.others for side in Side)
        return theirs or bool(self.held(symbol, EXTERNAL)) or self.works(EXTERNAL, symbol)

    def closable(self, symbol: str, units: float) -> float:
        """How much of ``units`` held may be closed without a new position at the venue; nothing before its account.

        Of what differs, whatever works on the side that closes, here or there, may trade first.
        """
        if self.beyond is None:
            return 0.0
        if not self.differs(symbol):
            return units
        lowest, highest = self._exposure.reach(symbol)
        beyond, side = self.beyond.get(symbol, 0.0), Side.SELL if units > 0.0 else _BUY
        most = (lowest + beyond if units > 0.0 else -highest - beyond) - self.others.get((symbol, side), 0.0)
        return copysign(min(abs(units), most), units) if most > 0.0 else 0.0  # not-a-number closes nothing

    def known(self, kill: KillSwitchCommand) -> Collection[str]:
        """The names that the target of ``kill`` may have: of strategies, or of symbols unless that has a price."""
        if kill.scope is KillScope.STRATEGY:
            return self.strategies
        if kill.scope is KillScope.SYMBOL and isnan(self._price_of(kill.target)):
            return {*self._exposure.positions, *(order.intent.symbol for order in self._orders.values())}
        return (kill.target,)

    def net(self, max_age: timedelta) -> tuple[float, float]:
        """The lowest and the highest net exposure that working orders can lead to, in currency units.

        Not-a-number when a price that is needed is missing, or older than ``max_age``.
        """
        return self._exposure.net(self._market.fresh_worth_of(max_age))

    def lowest(self, symbol: str) -> float:
        """The position (units, short negative) if every sale that works or is in doubt trades, and no purchase."""
        return self._exposure.lowest(symbol)

    def held(self, symbol: str, strategy_id: str | None = None) -> float:
        """Units held by the account, or of those by one strategy; short negative."""
        held = self._exposure.positions if strategy_id is None else self.held_by.get(strategy_id, {})
        return held.get(symbol, 0.0)

    def reach(self, symbol: str, strategy_id: str | None = None) -> tuple[float, float]:
        """The lowest and highest position, of the account or one strategy, if only sales or only purchases trade."""
        if strategy_id is None:
            return self._exposure.reach(symbol)
        lowest = highest = self.held(symbol, strategy_id)
        for order in self._orders.values():
            if (order.intent.symbol, order.intent.strategy_id) == (symbol, strategy_id):
                if order.intent.direction is _BUY:
                    highest += order.working
                else:
                    lowest -= order.working
        return lowest, highest

    def strategy_notional(self, strategy_id: str, symbol: str, order: float) -> tuple[float, float]:
        """Gross exposure of a strategy, now and with ``order`` (units, negative for a sale) of ``symbol`` on top."""
        held = self.held_by.get(strategy_id, {})
        buying: dict[str, float] = {}
        selling: dict[str, float] = {}
        for each in self._orders.values():
            intent = each.intent
            if intent.strategy_id == strategy_id:
                side, name = buying if intent.direction is _BUY else selling, intent.symbol
                side[name] = side.get(name, 0.0) + each.working
        worth_of = self._worth_of
        idle = [
            abs(units) * worth_of(name) for name, units in held.items() if name not in buying and name not in selling
        ]
        worked = [
            max(held.get(name, 0.0) + buying.get(name, 0.0), selling.get(name, 0.0) - held.get(name, 0.0))
            * worth_of(name)
            for name in {*buying, *selling}
        ]
        gross = fsum(idle + worked)
        units = held.get(symbol, 0.0)
        long, short = units + buying.get(symbol, 0.0), selling.get(symbol, 0.0) - units
        before = max(long, short)
        after = max(before, long + order if order > 0.0 else short - order)
        return gross, gross + (after - before) * worth_of(symbol)

    def equity(self, max_age: timedelta) -> float:
        """Cash and positions at prices no older than ``max_age``, not-a-number when nobody counts or one is missing.

        Worked out once for each order that is judged: whoever judges the next one clears ``worth``.
        """
        if self.worth is None:
            self.worth = nan if self._watch is None else self._watch.value(self._market.fresh_price_of(max_age))
        return self.worth

    def day_result(self, max_age: timedelta) -> float:
        """Equity less that at the start of the day, in currency units."""
        return nan if self._watch is None else self.equity(max_age) - self._watch.day_start
