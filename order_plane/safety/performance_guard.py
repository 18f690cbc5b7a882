"""One automatic kill switch: when losses, rejections or missing prices stop trading."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import isnan, nan
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from contracts.control import KillAction, KillScope
from domain.currency import ONE_CURRENCY, Currencies
from order_plane.safety.equity_watch import EquityWatch
from order_plane.safety.guard_settings import GuardSettings, StormSettings

DAILY_LOSS, DRAWDOWN, SHARPE = "DAILY_LOSS", "DRAWDOWN", "SHARPE"
REJECT_STORM, MARKET_DATA_LOSS, REPEATED_EXECUTIONS = "REJECT_STORM", "MARKET_DATA_LOSS", "REPEATED_EXECUTIONS"
CAUSES = (DAILY_LOSS, DRAWDOWN, SHARPE, REJECT_STORM, MARKET_DATA_LOSS, REPEATED_EXECUTIONS)


class Prices(Protocol):
    """The newest market prices."""

    def price_of(self, symbol: str) -> float:
        """Per unit, not-a-number when unknown."""
        ...

    def priced_at(self, symbol: str) -> datetime | None:
        """The event time of that price."""
        ...


class Finding(NamedTuple):
    """A cause that has come up: with an ``action`` it trips, without it warns."""

    cause: str
    action: KillAction | None
    detail: str


class _Condition(NamedTuple):
    cause: str
    action: KillAction
    broken: bool
    near: bool
    detail: str


class Storm:
    """Whether more than ``count`` events came within ``window`` of event time, after a restart too.

    ``forgiven`` is the time of the newest event that a person's release let pass: what came up to it is not recalled.
    """

    __slots__ = ("_newest", "_window", "action", "forgiven", "name")

    def __init__(self, name: str, settings: StormSettings) -> None:
        self.name = name
        self.action = settings.action
        self._window: timedelta = settings.window
        self._newest: deque[datetime] = deque(maxlen=settings.count + 1)
        self.forgiven: datetime | None = None

    def hit(self, at: datetime) -> None:
        """One event happened at ``at``."""
        newest = self._newest
        if newest and at < newest[-1]:  # told late: the oldest makes room for it, or it is itself the oldest
            kept = sorted([*newest, at])
            newest.clear()
            newest.extend(kept)
        else:
            newest.append(at)

    def recall(self, at: datetime) -> None:
        """One event happened at ``at``, before a restart."""
        if self.forgiven is None or at > self.forgiven:
            self.hit(at)

    def rages(self, now: datetime) -> bool:
        """Whether the newest events up to ``now`` are too many."""
        newest = self._newest
        return len(newest) == newest.maxlen and max(now, newest[-1]) - newest[0] <= self._window

    @property
    def detail(self) -> str:
        """What a person reads of it."""
        return f"more than {(self._newest.maxlen or 1) - 1} {self.name} within {self._window}"

    def clear(self) -> None:
        """Forget what happened."""
        if self._newest:
            self.forgiven = self._newest[-1]
        self._newest.clear()


class PerformanceGuard:
    """Judges one `EquityWatch` at each moment; a cause trips once, until it is released.

    Losses are measured at the newest prices however old: a guard that stopped there would miss what else is lost. That
    one of them is older than ``fresh_for`` in event time is told.
    """

    def __init__(
        self,
        settings: GuardSettings,
        target: str,
        capital: float,
        currencies: Currencies = ONE_CURRENCY,
        fresh_for: timedelta = timedelta.max,
    ) -> None:
        self.scope: KillScope = settings.scope
        self.target = target
        sharpe = settings.sharpe
        self._settings = settings
        self._currencies = currencies
        self.fresh_for = fresh_for
        self.watch = EquityWatch(
            settings.capital or capital, settings.strategy_id, 1 if sharpe is None else sharpe.window, currencies
        )
        self._rejects = None if settings.rejects is None else Storm("rejections", settings.rejects)
        self._sharpe = nan
        self._blind: str | None = None
        self._now: datetime | None = None
        self._warned: set[str] = set()
        self.tripped: dict[str, KillAction] = {}

    @property
    def name(self) -> str:
        """What its state is kept under."""
        return f"guard {self.scope.value} {self.target}"

    @property
    def sharpe(self) -> float:
        """The probabilistic Sharpe ratio at the end of the last day, not-a-number while it cannot be known."""
        return self._sharpe

    @property
    def decided(self) -> tuple[object, ...]:
        """What has come up, and where the day began: all of its state that does not follow each mark."""
        return self.tripped.copy(), self._warned.copy(), self.watch.day, self.watch.day_start

    @property
    def idle(self) -> bool:
        """Whether no market event can change what it measures."""
        return self._settings.sharpe is None and self.watch.settled and not self.watch.positions

    def rejected(self, strategy_id: str, at: datetime) -> bool:
        """Count a rejection; whether they are too many now."""
        if self._rejects is None or not self._watches(strategy_id):
            return False
        self._rejects.hit(at)
        return self._rejects.rages(at)

    def recall_rejection(self, strategy_id: str, at: datetime) -> None:
        """Count a rejection of the venue's before a restart."""
        if self._rejects is not None and self._watches(strategy_id):
            self._rejects.recall(at)

    def judge(self, now: datetime, prices: Prices) -> Sequence[Finding]:
        """Mark everything at ``prices`` and say what has come up since the last time."""
        self._now = now
        if self.watch.mark(now, prices.price_of) and self._settings.sharpe is not None:
            self._sharpe = self.watch.sharpe(self._settings.sharpe.minimum)
        self._blind = self._unpriced(now, prices)
        found = []
        for condition in self._conditions(now):
            cause = condition.cause
            if condition.broken and cause not in self.tripped:
                self.tripped[cause] = condition.action
                found.append(Finding(cause, condition.action, condition.detail))
            elif condition.near and not condition.broken and cause not in self._warned:
                found.append(Finding(cause, None, condition.detail))
            (self._warned.add if condition.near else self._warned.discard)(cause)
        return found

    def holds(self, cause: str) -> bool:
        """Whether ``cause`` would trip again at once."""
        if self._now is None:
            return cause in self.tripped  # nothing was measured since the start: what tripped may still hold
        return any(each.broken for each in self._conditions(self._now) if each.cause == cause)

    def release(self) -> None:
        """Watch anew: what had tripped is measured from where it stands now."""
        tripped = self.tripped
        self.watch.rebase(day=DAILY_LOSS in tripped, high=DRAWDOWN in tripped, daily=SHARPE in tripped)
        if SHARPE in tripped:
            self._sharpe = nan
        if self._rejects is not None:
            self._rejects.clear()
        self.tripped = {}
        self._warned.clear()

    def state(self) -> dict[str, JsonValue]:
        """What must survive a restart."""
        tripped: dict[str, JsonValue] = {cause: action.value for cause, action in self.tripped.items()}
        forgiven = None if self._rejects is None else told(self._rejects.forgiven)
        warned: list[JsonValue] = [*sorted(self._warned)]
        return {"watch": self.watch.state(), "tripped": tripped, "warned": warned, "forgiven": forgiven}

    def restore(self, state: Mapping[str, JsonValue]) -> None:
        """Go on from ``state``; raises KeyError, TypeError or ValueError when it is none."""
        watch, tripped, warned = state["watch"], state["tripped"], state["warned"]
        if not (isinstance(watch, dict) and isinstance(tripped, dict) and isinstance(warned, list)):
            raise TypeError("watch, tripped and warned are needed")
        self.watch.restore(watch)
        self.tripped = {cause: KillAction(str(action)) for cause, action in tripped.items()}
        self._warned = set(map(str, warned))
        if self._rejects is not None:
            self._rejects.forgiven = moment_of(state.get("forgiven"))
        if self._settings.sharpe is not None:
            self._sharpe = self.watch.sharpe(self._settings.sharpe.minimum)

    def _watches(self, strategy_id: str) -> bool:
        return self._settings.strategy_id in (None, strategy_id)

    def _conditions(self, now: datetime) -> Iterator[_Condition]:
        settings, profit, drawdown = self._settings, self.watch.profit, self.watch.drawdown
        loss = settings.daily_loss
        if loss is not None:
            near = loss.warning is not None and profit < -loss.warning
            detail = f"the result of the day is {profit:.2%} of the equity it began with"
            yield _Condition(DAILY_LOSS, loss.action, profit < -loss.limit, near, detail)
        fall = settings.drawdown
        if fall is not None:
            near = fall.warning is not None and drawdown > fall.warning
            detail = f"equity is {drawdown:.2%} below its highest mark"
            yield _Condition(DRAWDOWN, fall.action, drawdown > fall.limit, near, detail)
        ratio = settings.sharpe
        if ratio is not None and not isnan(self._sharpe):
            near = ratio.warning is not None and self._sharpe < ratio.warning
            detail = f"the probabilistic Sharpe ratio is {self._sharpe:.3f}"
            yield _Condition(SHARPE, ratio.action, self._sharpe < ratio.limit, near, detail)
        if self._rejects is not None:
            storm = self._rejects
            yield _Condition(REJECT_STORM, storm.action, storm.rages(now), near=False, detail=storm.detail)
        if settings.market_data is not None:
            detail = f"held and without a fresh price: {self._blind}"
            broken = self._blind is not None
            yield _Condition(MARKET_DATA_LOSS, settings.market_data.action, broken, near=False, detail=detail)
        elif (loss or fall or ratio) is not None:
            detail = "what is held cannot be valued, so no loss is measured: a price or an exchange rate is unknown"
            if not self.watch.blind:
                detail = f"losses are measured at a price or exchange rate of long ago: {self._blind}"
            near = self.watch.blind or self._blind is not None
            yield _Condition(MARKET_DATA_LOSS, KillAction.HALT, broken=False, near=near, detail=detail)

    def _unpriced(self, now: datetime, prices: Prices) -> str | None:
        """A symbol held whose price is missing or too old; where that trips nothing, its exchange rate counts too."""
        trips = self._settings.market_data
        max_age = self.fresh_for if trips is None else trips.max_age

        def fresh(symbol: str) -> bool:
            at = prices.priced_at(symbol)
            return at is not None and now - at <= max_age and not isnan(prices.price_of(symbol))

        for symbol in sorted(self.watch.positions):
            currency = self._currencies.of.get(symbol) if trips is None else None
            if not fresh(symbol) or not (currency is None or any(map(fresh, self._currencies.pairs_of(currency)))):
                return symbol
        return None


def told(at: datetime | None) -> str | None:
    """A moment as a note holds it."""
    return None if at is None else at.isoformat()


def moment_of(text: object) -> datetime | None:
    """The moment that a note holds; raises ValueError when it holds none."""
    return None if text is None else datetime.fromisoformat(str(text))
