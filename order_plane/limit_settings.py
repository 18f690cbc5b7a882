"""What an operator may set of the controls before every order."""

import json
from datetime import timedelta
from hashlib import sha256
from math import inf
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from contracts.base import Symbol


def _no_truth(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")  # noqa: TRY004 - pydantic reports only this kind
    return value


_STRICTER_WHEN_LONGER = ("duplicate_window", "collar_period")
_Number = Annotated[float, BeforeValidator(_no_truth)]
Positive = Annotated[_Number, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[_Number, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[_Number, Field(gt=0, le=1)]


class Section(BaseModel):
    """A part of the settings: frozen, closed, and silent about what it was given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LimitSettings(Section):
    """Pre-trade limits; exactly at a limit passes, and null is no limit.

    Values and exposures are in currency units; exposure counts position, working and in-doubt orders.
    """

    max_order_quantity: Positive = 100_000.0
    max_order_value: Positive = 1_000_000.0
    max_symbol_notional: Positive = 2_000_000.0
    max_gross_exposure: Positive = 5_000_000.0
    max_net_exposure: Positive | None = None
    """Of the longest and the shortest that working orders can make the account."""
    max_strategy_notional: Positive | None = None
    """Gross exposure of one strategy."""
    max_position: Positive | None = None
    """Units of one symbol, long or short."""
    max_concentration: Positive | None = None
    """Exposure in one symbol as a fraction of equity."""
    max_leverage: Positive | None = None
    """Gross exposure as a multiple of equity: the buying power."""
    max_daily_loss: Positive | None = None
    """Currency units lost since the day began above which only orders that reduce a position pass."""
    max_orders_per_execution: Positive | None = None
    """Orders sent for each execution; counted over the journal, with ``orders_before_ratio`` free."""
    orders_before_ratio: NotNegative = 100.0
    restricted: frozenset[Symbol] = frozenset()
    """Symbols that must not be traded."""
    short_selling: bool = True
    """Whether a symbol that ``located`` does not name may be sold short."""
    located: dict[Symbol, NotNegative] = Field(default_factory=dict)
    """Units that a symbol may be short: what was located to be borrowed; zero forbids it."""
    max_volume_share: Positive | None = None
    """Units of one order as a fraction of what its symbol trades in a day, on average of ``volume_days``."""
    volume_days: Annotated[int, BeforeValidator(_no_truth), Field(ge=1, le=250)] = 20
    """UTC days with bars that must be known; with fewer nothing passes ``max_volume_share``."""
    max_strategy_rate: Positive | None = None
    """Orders and changes of orders a second of one strategy."""
    strategy_burst: Annotated[_Number, Field(ge=1, allow_inf_nan=False)] = 100.0
    """How many of them it may send at once."""
    price_collar: Fraction = 0.10
    """How much worse than the market a limit price may be, as a fraction of the market price."""
    period_collar: Fraction | None = None
    """How far above the lowest price of ``collar_period`` we may buy, or below its highest sell, as a fraction."""
    collar_period: Annotated[timedelta, Field(gt=timedelta(0))] = timedelta(minutes=5)
    """Event time over which ``period_collar`` remembers prices; nothing passes it before so much was watched."""
    reference_max_age: timedelta = timedelta(hours=1)
    """How old, in event time, the market price may be that an order is judged by."""
    duplicate_window: timedelta = timedelta(seconds=1)
    """Event time within which the same terms from the same strategy are a duplicate; zero allows them."""

    @property
    def needs_equity(self) -> bool:
        """Whether a limit can only be judged by what the account is worth."""
        return any(each is not None for each in (self.max_concentration, self.max_leverage, self.max_daily_loss))

    def short_of(self, symbol: str) -> float:
        """Units that ``symbol`` may be short."""
        return self.located.get(symbol, inf if self.short_selling else 0.0)


def loosened(before: LimitSettings, after: LimitSettings) -> list[str]:
    """The limits that ``after`` sets looser than ``before``, or that cannot be changed between orders, by name."""
    found = []
    for name in LimitSettings.model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if name == "restricted":
            looser = not old <= new
        elif name == "located":
            looser = any(after.short_of(symbol) > before.short_of(symbol) for symbol in {*old, *new})
        elif name == "volume_days":  # neither fewer days nor more are stricter: what matters is what was traded on them
            looser = old != new
        elif name in _STRICTER_WHEN_LONGER:
            looser = new < old
        else:
            looser = old is not None and (new is None or new > old)
        if looser:
            found.append(name)
    return found


def changes(before: LimitSettings, after: LimitSettings) -> dict[str, JsonValue]:
    """What differs, for a record: each limit that changed with its two values, and a SHA-256 over all of them."""
    old, new = plain(before), plain(after)
    changed: JsonValue = {name: [old[name], new[name]] for name in old if old[name] != new[name]}
    return {"changed": changed, "sha256_before": _digest(old), "sha256_after": _digest(new)}


def plain(limits: LimitSettings) -> dict[str, JsonValue]:
    """``limits`` as text can hold them: the same ones are equal."""
    return {**limits.model_dump(mode="json"), "restricted": [*sorted(limits.restricted)]}


def _digest(limits: dict[str, JsonValue]) -> str:
    return sha256(json.dumps(limits, sort_keys=True).encode()).hexdigest()


class ThrottleSettings(Section):
    """The token bucket for orders, in event time."""

    rate_per_second: Positive = 50.0
    burst: Positive = 1_000.0
    cancel_reserve: NotNegative = 50.0
    """Tokens that only cancels may use."""

    @model_validator(mode="after")
    def _leaves_room_for_orders(self) -> Self:
        if self.cancel_reserve + 1 > self.burst:
            raise ValueError("cancel_reserve must leave at least one token of burst for orders")
        return self
