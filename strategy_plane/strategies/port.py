"""What every strategy is, what it may ask, and what it answers."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import Vector

_Value = TypeVar("_Value")


class Frequency(StrEnum):
    """How often a rebalance is due; periods are of the calendar in UTC, by the close of the bars."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"


class Basis(StrEnum):
    """What the numbers of `Targets` count."""

    UNITS = "UNITS"
    WEIGHTS = "WEIGHTS"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something a person should know about a decision; ``code`` is stable, ``detail`` a sentence."""

    code: str
    detail: str


LARGEST_WEIGHT = 100.0
"""No weight is larger, in fractions of equity, either way."""
BOUND_HELD = "BOUND_HELD"
"""The alarm of a strategy that aims beyond its bounds and is cut to them."""


class Measure(StrEnum):
    """What a bound is on: the sum of absolute weights, the sum, the sum with its sign changed, or that of shorts."""

    GROSS = "GROSS"
    NET_LONG = "NET_LONG"
    NET_SHORT = "NET_SHORT"
    SHORT = "SHORT"


# Looking a member up by name costs more than comparing it.
_GROSS, _NET_LONG, _SHORT = Measure.GROSS, Measure.NET_LONG, Measure.SHORT


@dataclass(frozen=True, slots=True)
class Bound:
    """The most, in fractions of equity, that may be held of ``symbols`` together; of everything when there are none."""

    name: str
    measure: Measure
    limit: float
    symbols: frozenset[str] = frozenset()

    def among(self, values: Mapping[str, _Value]) -> Mapping[str, _Value]:
        """Those of ``values`` by symbol that it is on."""
        return {symbol: values[symbol] for symbol in self.symbols if symbol in values} if self.symbols else values

    def amount(self, weights: Iterable[float]) -> float:
        """What it is on, of ``weights``."""
        measure = self.measure
        if measure is _GROSS:
            return math.fsum(map(abs, weights))
        if measure is _SHORT:
            return math.fsum([-weight for weight in weights if weight < 0.0])
        return math.fsum(weights) if measure is _NET_LONG else -math.fsum(weights)

    def over(self, weights: Mapping[str, float]) -> float:
        """By how much what is held at ``weights`` is beyond it; negative while it is within."""
        return self.amount((self.among(weights) if self.symbols else weights).values()) - self.limit

    def cut(self, weights: Mapping[str, float]) -> list[str]:
        """Symbols that are cut, in proportion, when ``weights`` are beyond it."""
        among = self.among(weights)
        return [symbol for symbol, weight in among.items() if self.measure is not Measure.SHORT or weight < 0.0]


def beyond_in_words(bounds: Iterable[Bound], weights: Mapping[str, float]) -> list[str]:
    """The bounds that ``weights`` are beyond, by more than rounding, each with how far."""
    return [
        f"{bound.name} would be {over + bound.limit:.4f} of at most {bound.limit:.4f}"
        for bound in bounds
        if (over := bound.over(weights)) > 1e-9
    ]


def exposure_bounds(gross: float, high: float, low: float) -> tuple[Bound, ...]:
    """Bounds on everything together: ``gross``, and a sum from ``low`` to ``high``."""
    return (
        Bound("gross", Measure.GROSS, gross),
        Bound("net", Measure.NET_LONG, high),
        Bound("net", Measure.NET_SHORT, -low),
    )


@dataclass(frozen=True, slots=True)
class Targets:
    """What a strategy wants to hold, signed: units of each symbol, or fractions of equity.

    Symbols that are not named stay as they are; the best comes first, since buys follow this order as far as cash goes.
    Never changed once returned: a strategy that still wants the
    same may return the same object, and then an engine that has nothing left to trade need not look again.
    ``bounds``, narrow ones first, are kept by what is held in the end, whatever an adjustment, lots or a band make of
    the targets.
    """

    values: Mapping[str, float]
    basis: Basis = Basis.WEIGHTS
    alarm: Alarm | None = None
    bounds: tuple[Bound, ...] = ()


def nobody_scored(count: int) -> Targets | None:
    """What to answer when none of ``count`` symbols with a bar can be scored; None for one, which nobody compares."""
    told = f"none of {count} symbols with a bar has a score: too few bars, or their moments never coincide"
    return Targets({}, alarm=Alarm("NOTHING_SCORED", told)) if count > 1 else None


class PortfolioError(ArithmeticError):
    """The portfolio cannot be valued, so nothing can be sized."""


class Portfolio(Protocol):
    """The strategy's own book at the moment of a decision."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols with holdings, sorted."""
        ...

    def holding(self, symbol: str) -> float:
        """Signed units held, plus what is still to come from orders decided earlier."""
        ...

    def equity(self) -> float:
        """Cash and positions at the newest closes, in account currency; raises `PortfolioError`."""
        ...

    def rate(self, symbol: str) -> float:
        """Account currency for one unit of the currency that ``symbol`` is quoted in; not-a-number when unknown."""
        ...

    def weight(self, symbol: str) -> float:
        """`holding` at the newest close as a fraction of equity; raises `PortfolioError`."""
        ...


class Strategy(Protocol):
    """From bars to targets; holds no orders and knows no broker.

    Its state is a function of the bars it was given, so that it is rebuilt from them after a restart.
    """

    @property
    def warm_up(self) -> int:
        """Moments that must have passed before the first decision, the deciding one included."""
        ...

    @property
    def period(self) -> int | Frequency:
        """A decision is taken every ``period`` moments, or once in each such period of the calendar."""
        ...

    def on_bar(self, bar: BarEvent) -> None:
        """Take one closed bar; once per symbol and moment, in time order."""
        ...

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """Targets at ``moment``, all of whose bars have been given and no later ones; None to leave all as is."""
        ...


Ask = Callable[[SliceEvent, Portfolio], Targets | None]
"""What an engine asks of a strategy at a moment."""


@runtime_checkable
class Watchful(Strategy, Protocol):
    """A strategy with bounds that are kept between its decisions, too."""

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """What cannot wait for the next decision; None, or no values and an alarm, when everything can.

        Asked as `decide` is, at moments at which no decision is due, and of portfolios that a plan would lead to: what
        it leaves alone there keeps the plan. Rests on bars and ``portfolio`` alone.
        """
        ...


@runtime_checkable
class Skimmer(Strategy, Protocol):
    """A strategy of which most bars change nothing, and which can say so faster than bar by bar."""

    def skim(self, symbol: str, closes: Vector, begin: int, end: int) -> int:
        """Take closes of ``symbol`` from ``begin`` to the first, included, that changes what `decide` answers.

        They are those of consecutive moments at which no other symbol has a bar, as `on_bar` would be told them; it is
        told those in between that are not skimmed.
        Returns the place after the last one taken, at most ``end``; ``begin`` when it takes none.
        """
        ...
