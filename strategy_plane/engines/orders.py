"""From what is wanted and what is held to order intents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from contracts.market import SliceEvent
from contracts.trading import NEEDS_LIMIT, OrderIntent, OrderType, Side, TimeInForce
from domain.ids import intent_id
from strategy_plane.engines.book import Book
from strategy_plane.engines.within_bounds import SLACK, Change, afterwards, beyond, curbed_to, fit
from strategy_plane.sizing import invested, units_of, whole_lots
from strategy_plane.strategies.port import (
    BOUND_HELD,
    Alarm,
    Basis,
    Bound,
    PortfolioError,
    Targets,
    beyond_in_words,
)

MAX_QUANTITY = 1e15
"""The largest quantity the contract allows, in units."""
Gap = tuple[bool, str, float]
"""What is to be traded: is it a buy, the symbol, signed units."""
_BUY, _SELL, _UNITS = Side.BUY, Side.SELL, Basis.UNITS  # looking a member up by name costs more than using it


@dataclass(frozen=True, slots=True)
class TradingRules:
    """How wishes become orders.

    ``lot`` in units; ``min_trade_value`` in account currency; ``no_trade_band`` as a fraction of equity: a
    smaller change is left alone unless it closes the position or lowers what is beyond a bound of the strategy.
    ``cash_buffer`` is the fraction of equity that weights leave uninvested. ``limit_offset_bps`` is how many basis
    points better than the close a LIMIT order asks for; negative crosses the market.
    """

    strategy_id: str
    lot: float = 1.0
    cash_buffer: float = 0.0
    min_trade_value: float = 0.0
    no_trade_band: float = 0.0
    order_type: OrderType = OrderType.MARKET
    limit_offset_bps: float = 0.0
    time_in_force: TimeInForce = TimeInForce.DAY
    valid_for: timedelta = timedelta(days=5)


class InvalidTargetError(ValueError):
    """A strategy asked for a number that no position can have."""


def unmet(targets: Targets, book: Book, rules: TradingRules) -> dict[str, float]:
    """The targets, in units and not yet in lots, that differ from what is held and worked.

    Raises:
        PortfolioError: when weights are wanted and equity is unknown or not positive.
    """
    wanted = _wanted(targets, book, rules)
    holding = book.holding
    return {symbol: units for symbol, units in wanted.items() if units != holding(symbol)}


def gaps(wanted: Mapping[str, float], moment: SliceEvent, book: Book, rules: TradingRules) -> list[Gap]:
    """What is to be traded at ``moment``, sells first, then by symbol.

    Symbols without a bar at the moment, or without an exchange rate, cannot be priced and are left alone.

    Raises:
        PortfolioError: when a no-trade band needs equity and it is unknown.
        InvalidTargetError: when a target is not finite or larger than any order may be.
    """
    listed = frozenset(moment.symbols)
    found = []
    for symbol, units in wanted.items():
        if symbol in listed and book.worth(symbol) > 0.0:
            gap, is_small = _gap(symbol, units, book, rules)
            if gap and not is_small:
                found.append((gap > 0.0, symbol, gap))
    found.sort()
    return found


def gaps_within(
    targets: Targets, moment: SliceEvent, book: Book, rules: TradingRules
) -> tuple[list[Gap], Alarm | None]:
    """What is to be traded at ``moment`` for weights that have bounds, as `gaps`, and an alarm when one stays broken.

    Raises:
        PortfolioError: when equity is unknown or not positive.
        InvalidTargetError: when a target is not finite or larger than any order may be.
    """
    equity, wanted = positive_equity(book), _wanted(targets, book, rules)
    weights = _weights_of(wanted, moment, book, equity)
    held = {symbol: book.weight(symbol) for symbol in book.symbols}
    aimed = curbed_to(targets.bounds, weights, held)
    return _kept(targets.bounds, changes_to(aimed, targets.bounds, held, book, rules), held, rules.lot)


def unit_gaps_within(
    bounds: Sequence[Bound], wanted: Mapping[str, float], moment: SliceEvent, book: Book, rules: TradingRules
) -> tuple[list[Gap], Alarm | None]:
    """As `gaps_within`, for `unmet` units that are ``wanted``, with an alarm when they are too many.

    What is cut to a bound follows prices by steps of `SLACK` of itself, so that not each of them is traded after.

    Raises:
        PortfolioError: when equity is unknown or not positive and something is to be held.
        InvalidTargetError: when a target is not finite or larger than any order may be.
    """
    if not any(wanted.values()):
        return gaps(wanted, moment, book, rules), None
    weights = _weights_of(wanted, moment, book, positive_equity(book))
    held = {symbol: book.weight(symbol) for symbol in book.symbols}
    too_many = beyond_in_words(bounds, {**held, **weights})
    if not too_many:
        return gaps(wanted, moment, book, rules), None
    aimed = curbed_to(bounds, weights, held)
    changes = changes_to(aimed, (), held, book, rules)
    for each in changes:
        weight = aimed[each.symbol]
        if weight and weight != weights[each.symbol] and abs(each.units * each.worth) < SLACK * abs(weight):
            each.is_small = True
    fit(bounds, changes, held, rules.lot)
    found, broken = _kept(bounds, changes, held, rules.lot)
    is_worth_telling = found and any(bound.over({**held, **weights}) > SLACK * bound.limit for bound in bounds)
    return found, broken or (Alarm(BOUND_HELD, "; ".join(too_many[:10])) if is_worth_telling else None)


def _weights_of(wanted: Mapping[str, float], moment: SliceEvent, book: Book, equity: float) -> dict[str, float]:
    """Units as fractions of equity, of symbols that can be traded now."""
    listed = frozenset(moment.symbols)
    return {
        symbol: units * worth / equity
        for symbol, units in wanted.items()
        if symbol in listed and (worth := book.worth(symbol)) > 0.0
    }


def _kept(
    bounds: Sequence[Bound], changes: Sequence[Change], held: Mapping[str, float], lot: float
) -> tuple[list[Gap], Alarm | None]:
    found = [(each.units > 0.0, each.symbol, each.units) for each in changes if each.units and not each.is_small]
    lots = {each.symbol: lot * each.worth for each in changes}
    return sorted(found), beyond(bounds, afterwards(changes, held), lots)


def changes_to(
    aimed: Mapping[str, float], bounds: Sequence[Bound], held: Mapping[str, float], book: Book, rules: TradingRules
) -> list[Change]:
    """Changes in whole lots from weights ``held`` to those ``aimed`` at, that keep ``bounds``; some with no units.

    Every symbol must have a price and an exchange rate, and equity must be positive.

    Raises:
        InvalidTargetError: when a target is not finite or larger than any order may be.
    """
    equity = book.equity()
    found = []
    for symbol, weight in aimed.items():
        worth = book.worth(symbol)
        units, is_small = _gap(symbol, units_of(weight, equity, worth), book, rules)
        found.append(Change(symbol, units, held.get(symbol, 0.0), worth / equity, is_small))
    if bounds:
        fit(bounds, found, held, rules.lot)
    return found


def positive_equity(book: Book) -> float:
    """Equity of ``book``; raises `PortfolioError` when it is unknown or not positive."""
    equity = book.equity()
    if not equity > 0.0:
        raise PortfolioError("equity is not positive; nothing can be sized")
    return equity


def intents(
    moment: SliceEvent, found: Sequence[Gap], book: Book, rules: TradingRules, plan: UUID | None = None
) -> list[OrderIntent]:
    """One intent for each gap, named after strategy, symbol and moment; ``plan`` is the approved one it belongs to."""
    timestamp = moment.timestamp
    valid_until = timestamp + rules.valid_for
    written = []
    for is_buy, symbol, gap in found:
        side = _BUY if is_buy else _SELL
        written.append(
            OrderIntent.trusted(
                {
                    "event_type": "order_intent",
                    "intent_id": intent_id(rules.strategy_id, symbol, timestamp),
                    "symbol": symbol,
                    "direction": side,
                    "quantity": abs(gap),
                    "order_type": rules.order_type,
                    "limit_price": _limit_price(side, book.marks[symbol], rules),
                    "stop_price": None,
                    "timestamp": timestamp,
                    "strategy_id": rules.strategy_id,
                    "time_in_force": rules.time_in_force,
                    "valid_until": valid_until,
                    "plan_id": plan,
                    "account": None,
                }
            )
        )
    return written


def _wanted(targets: Targets, book: Book, rules: TradingRules) -> Mapping[str, float]:
    """The targets in units, not yet in lots; those without a worth are left out of weights."""
    if targets.basis is _UNITS or not targets.values:
        return targets.values
    equity = positive_equity(book)
    weights = invested(targets.values, rules.cash_buffer)
    worths = {symbol: book.worth(symbol) for symbol in weights}
    return {symbol: units_of(weights[symbol], equity, worth) for symbol, worth in worths.items() if worth > 0.0}


def _gap(symbol: str, wanted: float, book: Book, rules: TradingRules) -> tuple[float, bool]:
    """Signed units to trade, in whole lots, and whether that is too small a change to be made."""
    if not abs(wanted) <= MAX_QUANTITY:
        raise InvalidTargetError(f"the target for {symbol} is not a number of units an order can have")
    target = whole_lots(wanted, rules.lot)
    gap = max(-MAX_QUANTITY, min(MAX_QUANTITY, whole_lots(target - book.holding(symbol), rules.lot)))
    if not target:
        return gap, False
    value = abs(gap) * book.worth(symbol)
    if value < rules.min_trade_value:
        return gap, True
    return gap, bool(rules.no_trade_band) and value < rules.no_trade_band * book.equity()


def _limit_price(side: Side, close: float, rules: TradingRules) -> float | None:
    if rules.order_type not in NEEDS_LIMIT:
        return None
    better = rules.limit_offset_bps / 10_000.0
    return close * (1.0 - better if side is _BUY else 1.0 + better)
