"""One collector of what happened in a run, the same for a backtest and for a run over Kafka."""

from array import array
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import repeat
from operator import itemgetter, sub
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from backtest.alerts import AlertLog
from backtest.bar_file import BarFile
from backtest.facts import Facts, IntentFacts, ReportFacts
from backtest.tables import Tables, build_tables
from contracts.base import Message
from contracts.control import RiskAlert
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from domain.bar_run import BarRun
from domain.currency import ONE_CURRENCY, Currencies
from kernel.ports import Handler

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NONE = float("nan")
_AT_ONCE = 400
"""Stretches or single market events taken in together: enough to spread the cost of the arrays."""
_MESSAGES_AT_ONCE = 10_000
"""Messages of runs taken in together: they are kept until then."""
_INTENT_TEXTS = ("strategy_id", "symbol", "direction", "order_type")
_REPORT_TEXTS = ("strategy_id", "symbol", "direction", "status", "reject_reason")
_VALUES = ("open", "high", "low", "close", "volume")
_SERIES = itemgetter("symbol", "bar_size")

Key = TypeVar("Key")


_Stretch = tuple[BarRun, int, int]
"""A run, and from where to before where its messages were seen."""


class _Codes(dict[Key, int]):
    """Numbers keys from zero in the order they are first asked for."""

    def __missing__(self, key: Key) -> int:
        code = self[key] = len(self)
        return code


class RunRecord:
    """Observes bars, slices, intents and reports, and turns them into the tables of the run; and alerts.

    Facts are appended to flat arrays (28 bytes per bar, 8 per slice, about 150 per report) and nothing is
    computed from them until `tables` is asked for, which sorts them by event time and drops repeats. So the
    tables depend on the set of facts and not on the order they arrived in. ``alerts`` stand beside the tables and are
    no part of what two runs are compared by: over Kafka the order plane has more to tell, as of a restart.

    ``initial_cash`` is in account currency, and ``currencies`` are those of the symbols. ``strategies`` keeps only
    what those strategies ordered; None keeps all. ``bars_to`` streams the bars to a Parquet file that `bar_file`
    completes.
    """

    def __init__(
        self,
        initial_cash: float,
        strategies: Iterable[str] | None = None,
        bars_to: Path | None = None,
        currencies: Currencies = ONE_CURRENCY,
    ) -> None:
        if not initial_cash > 0.0:
            raise ValueError("initial_cash must be above zero: returns need a base")
        self._initial_cash = initial_cash
        self.currencies = currencies
        self._strategies = None if strategies is None else frozenset(strategies)
        self._series: _Codes[tuple[str, str]] = _Codes()
        self._texts: _Codes[str] = _Codes()
        self._orders: _Codes[int] = _Codes()  # by the number of the intent id
        self._market: list[Message] = []
        self._stretches: list[_Stretch] = []
        self._noted = 0
        self._wishes: list[OrderIntent] = []
        self._answers: list[ExecutionReport] = []
        self._bar_at, self._bar_series, self._closes = array("q"), array("i"), array("d")
        self._slices = array("q")
        self._intents, self._reports = IntentFacts(), ReportFacts()
        self.alerts = AlertLog()
        self._sink = None if bars_to is None else BarFile(bars_to)
        self._handlers: dict[type[Message], Handler] = {
            BarEvent: self._on_bar,
            SliceEvent: self._on_slice,
            OrderIntent: self._on_intent,
            ExecutionReport: self._on_report,
            RiskAlert: self.alerts.take,
        }

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """One handler for each kind of message that is recorded; none says anything."""
        return self._handlers

    def observe(self, message: Message) -> None:
        """Record ``message`` if it is of a kind that is recorded."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols that had a bar so far."""
        self._take_in()
        return frozenset(symbol for symbol, _ in self._series)

    @property
    def initial_cash(self) -> float:
        """Cash at the start, in account currency."""
        return self._initial_cash

    @property
    def counts(self) -> dict[str, int]:
        """Messages seen so far, repeats included, by what they are; for showing progress."""
        return {
            "bars": len(self._bar_at)
            + sum(type(event) is BarEvent for event in self._market)
            + sum(_bars(stretch).stop - _bars(stretch).start for stretch in self._stretches),
            "slices": len(self._slices)
            + sum(type(event) is SliceEvent for event in self._market)
            + sum(_slices(stretch).stop - _slices(stretch).start for stretch in self._stretches),
            "intents": len(self._intents) + len(self._wishes),
            "reports": len(self._reports) + len(self._answers),
        }

    def tables(self) -> Tables:
        """Orders, fills, positions and equity of all that was observed so far."""
        self._take_in()
        return build_tables(
            Facts(
                initial_cash=self._initial_cash,
                order_ids=tuple(str(UUID(int=number)) for number in self._orders),
                texts=tuple(map(str, self._texts)),
                series=tuple(self._series),
                # Views, not copies: the tables keep nothing of them.
                bar_at=np.frombuffer(self._bar_at, np.int64),
                bar_series=np.frombuffer(self._bar_series, np.int32),
                closes=np.frombuffer(self._closes, np.float64),
                slices=np.frombuffer(self._slices, np.int64),
                intents=self._intents,
                reports=self._reports,
                currencies=self.currencies,
            )
        )

    def bar_file(self) -> Path:
        """Complete the file of bars and return its path; no bar can be observed afterwards.

        Raises:
            ValueError: when the record was made without ``bars_to``.
        """
        if self._sink is None:
            raise ValueError("the run record keeps no bars; create it with bars_to=<file>")
        self._take_in()
        return self._sink.close()

    def note(self, messages: Sequence[Message], begin: int, end: int) -> None:
        """`observe` for the messages from ``begin`` to before ``end``; what is not recorded is passed over."""
        if isinstance(messages, BarRun):
            self._note_run(messages, begin, end)
            full = (len(self._stretches) >= _AT_ONCE or self._noted >= _MESSAGES_AT_ONCE) and end % 2 == 0
        else:
            self._market += messages[begin:end]
            full = len(self._market) >= _AT_ONCE and type(messages[end - 1]) is SliceEvent
        if full:
            self._take_in()

    def _note_run(self, run: BarRun, begin: int, end: int) -> None:
        self._noted += end - begin
        if self._stretches and self._stretches[-1][0] is run and self._stretches[-1][2] == begin:
            begin = self._stretches.pop()[1]
        self._stretches.append((run, begin, end))

    def _on_bar(self, bar: BarEvent) -> tuple[()]:
        self._market.append(bar)  # taken in many at a time: bar by bar it would cost five times as much
        return ()

    def _on_slice(self, event: SliceEvent) -> tuple[()]:
        self._market.append(event)
        # Here all bars of a moment are in, so what goes to the file ends between two moments.
        if len(self._market) >= _AT_ONCE:
            self._take_in()
        return ()

    def _take_in(self) -> None:
        """Move what has arrived since the last time into the columns, and bars into the file if there is one."""
        bars = [event.__dict__ for event in self._market if type(event) is BarEvent]
        stretches = [(each[0], _bars(each)) for each in self._stretches]
        codes = [self._series[run.symbol, run.bar_size] for run, _ in stretches]
        lengths = [part.stop - part.start for _, part in stretches]
        times = _micros([bar["timestamp"] for bar in bars])
        at = np.concatenate([times, *(run.micros[part] for run, part in stretches)])
        single = np.array(list(map(self._series.__getitem__, map(_SERIES, bars))), np.int32)
        series = np.concatenate([single, np.repeat(np.array(codes, np.int32), lengths)])
        closes = [np.array([bar["close"] for bar in bars]), *(run.closes[part] for run, part in stretches)]
        self._bar_at.frombytes(at.tobytes())
        self._bar_series.frombytes(series.tobytes())
        self._closes.frombytes(np.concatenate(closes).tobytes())
        if self._sink is not None:
            rows = np.array([[bar[name] for bar in bars] for name in _VALUES])
            values = np.concatenate([rows, *(run.numbers[:, part] for run, part in stretches)], axis=1)
            self._sink.append(at, series, values.T, tuple(self._series))
        self._take_in_slices()
        self._market.clear()
        self._stretches.clear()
        self._noted = 0
        self._take_in_intents()
        self._take_in_reports()

    def _take_in_slices(self) -> None:
        moments = [event.__dict__["timestamp"] for event in self._market if type(event) is SliceEvent]
        self._slices.frombytes(_micros(moments).tobytes())
        for stretch in self._stretches:
            self._slices.frombytes(stretch[0].micros[_slices(stretch)].tobytes())

    def _on_intent(self, intent: OrderIntent) -> tuple[()]:
        if self._strategies is None or intent.strategy_id in self._strategies:
            self._wishes.append(intent)
        return ()

    def _on_report(self, report: ExecutionReport) -> tuple[()]:
        if self._strategies is None or report.strategy_id in self._strategies:
            self._answers.append(report)
        return ()

    def _take_in_intents(self) -> None:
        rows = [intent.__dict__ for intent in self._wishes]
        facts, text = self._intents, self._texts.__getitem__
        facts.order.fromlist([self._orders[row["intent_id"].int] for row in rows])
        facts.at.frombytes(_micros([row["timestamp"] for row in rows]).tobytes())
        for codes, name in zip(
            (facts.strategy, facts.symbol, facts.side, facts.order_type), _INTENT_TEXTS, strict=True
        ):
            codes.fromlist([text(row[name]) for row in rows])
        facts.quantity.fromlist([row["quantity"] for row in rows])
        facts.limit_price.fromlist(_prices(rows, "limit_price"))
        facts.stop_price.fromlist(_prices(rows, "stop_price"))
        self._wishes.clear()

    def _take_in_reports(self) -> None:
        rows = [report.__dict__ for report in self._answers]
        facts, text = self._reports, self._texts.__getitem__
        facts.order.fromlist([self._orders[row["intent_id"].int] for row in rows])
        facts.sequence.fromlist([row["sequence"] for row in rows])
        facts.at.frombytes(_micros([row["timestamp"] for row in rows]).tobytes())
        texts = (facts.strategy, facts.symbol, facts.side, facts.status, facts.reason)
        for codes, name in zip(texts, _REPORT_TEXTS, strict=True):
            codes.fromlist([text(row[name] or "") for row in rows])
        facts.filled.fromlist([row["filled_quantity"] for row in rows])
        facts.average.fromlist(_prices(rows, "avg_fill_price"))
        facts.commission.fromlist([row["commission"] for row in rows])
        facts.last_quantity.fromlist([row["last_quantity"] for row in rows])
        facts.last_price.fromlist(_prices(rows, "last_price"))
        self._answers.clear()


def _bars(stretch: _Stretch) -> slice:
    """The places of its bars in the columns of the run."""
    return slice((stretch[1] + 1) // 2, (stretch[2] + 1) // 2)


def _slices(stretch: _Stretch) -> slice:
    """The places of its slices."""
    return slice(stretch[1] // 2, stretch[2] // 2)


def _prices(rows: Sequence[dict[str, Any]], name: str) -> list[float]:
    """The prices of that name, not-a-number where there is none."""
    return [_NONE if (price := row[name]) is None else price for row in rows]


def _micros(moments: Sequence[datetime]) -> NDArray[np.int64]:
    """Moments as microseconds since 1970; differences convert in bulk four times as fast as moments."""
    since = pa.array(list(map(sub, moments, repeat(_EPOCH))), pa.duration("us"))
    return np.asarray(since.view(pa.int64()))
