"""From targets to a plan: what to trade, in which order, within which cash, and why not the rest."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from contracts.control import PlanCheck, PlannedTrade, RebalancePlan, SkippedTrade
from contracts.market import SliceEvent
from contracts.plan_content import signed
from contracts.trading import Side
from domain.ids import plan_id
from strategy_plane.engines.book import Book
from strategy_plane.engines.orders import InvalidTargetError, TradingRules, changes_to, positive_equity
from strategy_plane.engines.within_bounds import Change, afterwards, beyond, curbed_to
from strategy_plane.sizing import invested, whole_lots
from strategy_plane.strategies.port import LARGEST_WEIGHT, Alarm, Basis, Frequency, PortfolioError, Targets

_UNSIGNED = "0" * 64
_TURNOVER = "TURNOVER"
_NO_PRICE, _NO_RATE = "NO_PRICE", "NO_RATE"
BOUNDS = "BOUNDS"
"""The check of a plan that says whether the strategy's bounds are kept when it has been carried out."""


@dataclass(frozen=True, slots=True)
class RebalanceRules:
    """When to rebalance and how far to go.

    ``drift_band`` is how far a weight may move from where the last plan left it before a plan is made outside the
    calendar; zero is never. ``turnover_cap`` bounds the sum of absolute weight changes of one plan, unless that keeps
    the strategy from its bounds (`Watchful`). ``within_cash`` buys only what cash pays for, less the buffer of the
    `TradingRules`; ``cost_allowance`` is the fraction of its value by which a purchase may cost more than that, since
    it pays a commission and the price of a later bar.
    """

    every: Frequency = Frequency.MONTHLY
    drift_band: float = 0.0
    turnover_cap: float = math.inf
    within_cash: bool = True
    cost_allowance: float = 0.0
    requires_approval: bool = False
    valid_for: timedelta = timedelta(days=5)


def propose(
    moment: SliceEvent,
    targets: Targets,
    book: Book,
    trading: TradingRules,
    rules: RebalanceRules,
    reasons: Sequence[str],
) -> RebalancePlan:
    """The plan that leads from ``book`` to ``targets`` as of ``moment``.

    Sells come first, then buys in the order in which the strategy names its targets, best first, as far as cash
    goes. Symbols that are not named stay as they are. All is bought and sold in whole lots.

    Raises:
        PortfolioError: when equity is unknown or not positive.
        InvalidTargetError: when a target is not a weight that anybody could hold.
    """
    equity, current = positive_equity(book), held_weights(book)
    wanted = _weights(targets, book, equity, trading)
    unpriced = _unpriced(moment, wanted, book)
    priced = [symbol for symbol in wanted if symbol not in {each.symbol for each in unpriced}]
    wanted |= curbed_to(targets.bounds, {symbol: wanted[symbol] for symbol in priced}, current)
    turnover = math.fsum(abs(weight - current.get(symbol, 0.0)) for symbol, weight in wanted.items())
    share = min(1.0, rules.turnover_cap / turnover) if turnover else 1.0
    aimed = {s: current.get(s, 0.0) + share * (weight - current.get(s, 0.0)) for s, weight in wanted.items()}
    changes = changes_to({s: aimed[s] for s in priced}, targets.bounds, current, book, trading)
    waiting = [each for each in unpriced if aimed[each.symbol] != current.get(each.symbol, 0.0)]
    skipped = [*waiting, *_too_small(changes, equity)]
    cash, buffer = book.cash, trading.cash_buffer * equity
    paid, unpaid, left = _paid_for(changes, (cash, buffer), equity, trading, rules)
    checks = _checks(turnover, share, skipped, (left, buffer), rules)
    if targets.bounds:
        lots = {each.symbol: trading.lot * each.worth for each in changes}
        broken = beyond(targets.bounds, afterwards(paid, current), lots)
        detail = broken.detail[:512] if broken else "all are kept"
        checks.append(PlanCheck(name=BOUNDS, passed=broken is None, detail=detail))
    plan = RebalancePlan(
        plan_id=plan_id(trading.strategy_id, moment.timestamp),
        strategy_id=trading.strategy_id,
        timestamp=moment.timestamp,
        valid_until=moment.timestamp + rules.valid_for,
        trades=tuple(_trade(each, aimed, book) for each in paid),
        content_hash=_UNSIGNED,
        requires_approval=rules.requires_approval,
        equity=equity,
        reasons=tuple(reasons),
        checks=tuple(checks),
        skipped=(*skipped, *unpaid),
        current_weights=current,
        target_weights=aimed,
    )
    return signed(plan)


def is_capped(plan: RebalancePlan) -> bool:
    """Whether the turnover cap kept ``plan`` from going all the way."""
    return any(check.name == _TURNOVER and not check.passed for check in plan.checks)


def left_alone(plan: RebalancePlan) -> list[str]:
    """Symbols that ``plan`` left alone for want of a price or a rate."""
    return [each.symbol for each in plan.skipped if each.reason in (_NO_PRICE, _NO_RATE)]


def priced_by_now(symbols: Iterable[str], moment: SliceEvent, book: Book) -> list[str]:
    """Those of ``symbols`` that can be traded at ``moment``."""
    return [each for each in symbols if each in moment.symbols and book.worth(each) > 0.0]


def broken_bounds(plan: RebalancePlan) -> Alarm | None:
    """What is to be said when ``plan`` leaves a bound of the strategy broken."""
    return next(
        (Alarm("BOUND_BROKEN", each.detail) for each in plan.checks if each.name == BOUNDS and not each.passed), None
    )


def held_weights(book: Book) -> dict[str, float]:
    """Weights of what is held and worked, by symbol.

    Raises:
        PortfolioError: when equity is unknown or not positive, or a weight is beyond what a plan can say.
    """
    weights = {symbol: book.weight(symbol) for symbol in book.symbols}
    if any(abs(weight) > LARGEST_WEIGHT for weight in weights.values()):
        raise PortfolioError("a position is more than 100 times equity; nothing can be planned")
    return weights


def _weights(targets: Targets, book: Book, equity: float, trading: TradingRules) -> dict[str, float]:
    if targets.basis is Basis.WEIGHTS:
        wanted = invested(targets.values, trading.cash_buffer)
    else:
        worths = {symbol: book.worth(symbol) for symbol in targets.values}
        wanted = {s: units * worths[s] / equity for s, units in targets.values.items() if worths[s] > 0.0}
    for symbol, weight in wanted.items():
        if not abs(weight) <= LARGEST_WEIGHT:
            raise InvalidTargetError(f"the target for {symbol} is not a weight a position can have")
    return wanted


def _unpriced(moment: SliceEvent, wanted: Iterable[str], book: Book) -> list[SkippedTrade]:
    """What cannot be traded at ``moment``, and why."""
    skipped, listed = [], frozenset(moment.symbols)
    for symbol in wanted:
        if symbol not in listed or symbol not in book.marks:
            skipped.append(SkippedTrade(symbol=symbol, reason=_NO_PRICE, detail="no bar at this moment"))
        elif not book.worth(symbol) > 0.0:
            detail = f"nothing says what {book.currencies.of[symbol]} is worth"
            skipped.append(SkippedTrade(symbol=symbol, reason=_NO_RATE, detail=detail))
    return skipped


def _too_small(changes: Iterable[Change], equity: float) -> list[SkippedTrade]:
    return [
        SkippedTrade(
            symbol=each.symbol,
            reason="TOO_SMALL",
            detail=f"a change of {abs(each.units) * each.worth * equity:.2f} is below the least worth trading",
        )
        for each in changes
        if each.units and each.is_small
    ]


def _paid_for(
    changes: Iterable[Change], cash: tuple[float, float], equity: float, trading: TradingRules, rules: RebalanceRules
) -> tuple[list[Change], list[SkippedTrade], float]:
    """What sells and cash above its buffer pay for, sells first, what not, and the cash that is left.

    A purchase that is only partly affordable is cut to whole lots.
    """
    paid, skipped = [], []
    left, buffer = cash
    made = (each for each in changes if each.units and not each.is_small)
    for change in sorted(made, key=lambda each: each.units > 0.0):
        units, worth = change.units, change.worth * equity
        if units > 0.0 and rules.within_cash:
            worth *= 1.0 + rules.cost_allowance
            units = affordable(units, left - buffer, worth, trading)
        if not units:
            detail = f"cash pays for {max(0.0, left - buffer):.2f} of {change.units * worth:.2f}"
            skipped.append(SkippedTrade(symbol=change.symbol, reason="NO_CASH", detail=detail))
            continue
        left -= units * worth
        paid.append(replace(change, units=units))
    return paid, skipped, left


def _trade(change: Change, aimed: Mapping[str, float], book: Book) -> PlannedTrade:
    return PlannedTrade(
        symbol=change.symbol,
        direction=Side.BUY if change.units > 0.0 else Side.SELL,
        quantity=abs(change.units),
        current_weight=change.held,
        target_weight=aimed[change.symbol],
        reference_price=book.marks[change.symbol],
    )


def affordable(units: float, cash: float, worth: float, trading: TradingRules) -> float:
    """``units``, or as many whole lots as ``cash`` pays for at ``worth`` each; zero when that is not worth an order.

    ``worth`` is what one unit may cost, in account currency.
    """
    if units * worth <= cash:
        return units
    paid = whole_lots(max(0.0, cash) / worth, trading.lot)
    return paid if paid > 0.0 and paid * worth >= trading.min_trade_value else 0.0


def _checks(
    turnover: float,
    share: float,
    skipped: Sequence[SkippedTrade],
    cash: tuple[float, float],
    rules: RebalanceRules,
) -> list[PlanCheck]:
    """What the plan was held against; ``cash`` is what it leaves, and the least it may."""
    left, least = cash
    unpriced = sum(each.reason in (_NO_PRICE, _NO_RATE) for each in skipped)
    return [
        PlanCheck(
            name=_TURNOVER,
            passed=share >= 1.0,
            detail=f"{turnover:.4f} wanted, at most {rules.turnover_cap:.4f}; {share:.0%} of the way is planned",
        ),
        PlanCheck(name="CASH", passed=left >= least - 1e-6, detail=f"{left:.2f} left of at least {least:.2f}"),
        PlanCheck(name="PRICES", passed=not unpriced, detail=f"{unpriced} symbols without a price are left alone"),
    ]
