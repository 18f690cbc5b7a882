"""Regular bars of one symbol with their slices, kept in columns."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from contracts.base import Message
from contracts.market import BarEvent, SliceEvent, TickEvent

_AT_ONCE = 128
"""Bars that are made together: enough to be quick, few enough to stay in the processor's cache."""
NUMBERS = ("open", "high", "low", "close", "volume")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Moments(Sequence[datetime]):
    """UTC moments kept as microseconds since the epoch and made when they are asked for, exactly: few ever are."""

    __slots__ = ("_since",)

    def __init__(self, since: NDArray[np.timedelta64]) -> None:
        self._since = since

    def __len__(self) -> int:
        return len(self._since)

    @overload
    def __getitem__(self, place: int) -> datetime: ...
    @overload
    def __getitem__(self, place: slice) -> "Moments": ...
    def __getitem__(self, place: int | slice) -> "datetime | Moments":
        if isinstance(place, slice):
            return Moments(self._since[place])
        since: Any = self._since.item(place)
        moment: datetime = _EPOCH + since
        return moment

    def __iter__(self) -> Iterator[datetime]:
        return map(_EPOCH.__add__, self._since.tolist())


class BarRun(Sequence[Message]):
    """A sequence of messages: bars at even places, and behind each the slice that it completes.

    Its messages are made when they are asked for, equal each time. Who follows long stretches at which nothing is to
    be done reads the columns instead: ``micros`` are when the bars closed, in microseconds since 1970; ``numbers`` has
    shape (5, bars), open, high, low, close in currency per unit and volume in units; ``closes`` is its fourth row. All
    bars are of ``symbol`` and ``bar_size``. ``bar`` and ``moment`` hold every field of a bar and of a slice in the
    order of the contract, of which those in the columns count for nothing. All values were validated.
    """

    __slots__ = ("_bar", "_moment", "_since", "bar_size", "closes", "micros", "numbers", "symbol")

    def __init__(
        self,
        bar: Mapping[str, Any],
        moment: Mapping[str, Any],
        micros: NDArray[np.int64],
        numbers: NDArray[np.float64],
    ) -> None:
        self._bar = bar
        self._moment = moment
        self.symbol: str = bar["symbol"]
        self.bar_size: str = bar["bar_size"]
        self.micros = micros
        self._since = micros.view("m8[us]")
        self.numbers = numbers
        self.closes = numbers[3]

    def __len__(self) -> int:
        return 2 * len(self.micros)

    @overload
    def __getitem__(self, place: int) -> Message: ...
    @overload
    def __getitem__(self, place: slice) -> list[Message]: ...
    def __getitem__(self, place: int | slice) -> Message | list[Message]:
        if isinstance(place, slice):
            return [self[each] for each in range(len(self))[place]]
        number, is_slice = divmod(place, 2)
        return self.moment(number) if is_slice else self.bar(number)

    def __iter__(self) -> Iterator[Message]:
        for begin in range(0, len(self.micros), _AT_ONCE):
            moments = list(Moments(self._since[begin : begin + _AT_ONCE]))
            rows = self.numbers[:, begin : begin + _AT_ONCE].T.tolist()
            bars = BarEvent.trusted_each([self._bar_fields(*each) for each in zip(moments, rows, strict=True)])
            slices = SliceEvent.trusted_each([{**self._moment, "timestamp": at} for at in moments])
            for bar, moment in zip(bars, slices, strict=True):
                yield bar
                yield moment

    def at(self, number: int) -> datetime:
        """When the bar at ``number``, counted from 0, closed, in UTC."""
        since: Any = self._since.item(number)
        at: datetime = _EPOCH + since
        return at

    def bar(self, number: int) -> BarEvent:
        """The bar at ``number``, counted from 0."""
        return BarEvent.trusted(self._bar_fields(self.at(number), self.numbers[:, number].tolist()))

    def moment(self, number: int) -> SliceEvent:
        """The slice behind the bar at ``number``."""
        return SliceEvent.trusted({**self._moment, "timestamp": self.at(number)})

    def last_bar(self, begin: int, end: int) -> BarEvent | None:
        """The last bar among the messages from ``begin`` to before ``end``."""
        number = (end - 1) // 2
        return self.bar(number) if 2 * number >= begin and end > begin else None

    def _bar_fields(self, at: datetime, numbers: Sequence[float]) -> dict[str, Any]:
        open_, high, low, close, volume = numbers
        return {
            **self._bar,
            "timestamp": at,
            "open": open_,
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
        }


def newest(messages: Sequence[Message], begin: int, end: int) -> Sequence[BarEvent | TickEvent]:
    """The newest bar of each symbol and every tick among the messages from ``begin`` to before ``end``; ticks first."""
    if isinstance(messages, BarRun):
        last = messages.last_bar(begin, end)
        return () if last is None else (last,)
    bars: dict[str, BarEvent] = {}
    ticks: list[TickEvent] = []
    for message in messages[begin:end]:
        if type(message) is BarEvent:
            bars[message.symbol] = message
        elif type(message) is TickEvent:
            ticks.append(message)
    return (*ticks, *bars.values())
