"""What a run record has seen, as flat columns."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.currency import ONE_CURRENCY, Currencies

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def _whole() -> "array[int]":
    return array("q")


def _real() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class IntentFacts:
    """Columns of the intents seen; texts and orders are codes, moments µs since 1970, missing prices NaN."""

    order: "array[int]" = field(default_factory=_whole)
    at: "array[int]" = field(default_factory=_whole)
    strategy: "array[int]" = field(default_factory=_whole)
    symbol: "array[int]" = field(default_factory=_whole)
    side: "array[int]" = field(default_factory=_whole)
    order_type: "array[int]" = field(default_factory=_whole)
    quantity: "array[float]" = field(default_factory=_real)
    limit_price: "array[float]" = field(default_factory=_real)
    stop_price: "array[float]" = field(default_factory=_real)

    def __len__(self) -> int:
        return len(self.order)


@dataclass(slots=True)
class ReportFacts:
    """Columns of the execution reports seen; texts and orders are codes, moments µs since 1970, missing prices NaN."""

    order: "array[int]" = field(default_factory=_whole)
    sequence: "array[int]" = field(default_factory=_whole)
    at: "array[int]" = field(default_factory=_whole)
    strategy: "array[int]" = field(default_factory=_whole)
    symbol: "array[int]" = field(default_factory=_whole)
    side: "array[int]" = field(default_factory=_whole)
    status: "array[int]" = field(default_factory=_whole)
    reason: "array[int]" = field(default_factory=_whole)
    filled: "array[float]" = field(default_factory=_real)
    average: "array[float]" = field(default_factory=_real)
    commission: "array[float]" = field(default_factory=_real)
    last_quantity: "array[float]" = field(default_factory=_real)
    last_price: "array[float]" = field(default_factory=_real)

    def __len__(self) -> int:
        return len(self.order)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a run record has seen, in order of arrival and with repeats.

    ``order_ids``, ``texts`` and ``series`` (symbol, bar size) are what the codes in the columns stand for.
    """

    initial_cash: float
    order_ids: tuple[str, ...]
    texts: tuple[str, ...]
    series: tuple[tuple[str, str], ...]
    bar_at: Ints
    bar_series: NDArray[np.int32]
    closes: Floats
    slices: Ints
    intents: IntentFacts
    reports: ReportFacts
    currencies: Currencies = ONE_CURRENCY
