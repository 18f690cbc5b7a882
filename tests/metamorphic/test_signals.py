"""What must not change a signal's scores does not, and a signal that looks ahead is caught."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from contracts.base import Message
from contracts.market import BarEvent, FactEvent, OFIEvent
from strategy_plane.history import History
from strategy_plane.market import Market, MarketView
from strategy_plane.signals.earnings import EarningsSurprise
from strategy_plane.signals.order_flow import OrderFlow, order_flow_imbalance, queue_imbalance
from strategy_plane.signals.panel import score_panel, whole_market
from strategy_plane.signals.port import Inputs, Scores, Signal
from strategy_plane.signals.positioning import Positioning
from strategy_plane.signals.sentiment import Sentiment
from strategy_plane.signals.standardise import cross_section
from strategy_plane.signals.technical import Technical
from strategy_plane.signals.volatility_premium import VolatilityPremium

DAYS = 130
CLOSE = datetime(2024, 1, 1, 21, tzinfo=UTC)
SYMBOLS = ("A", "B", "C", "D", "E")
SIGNALS: Mapping[str, Signal] = {
    "OFI": OrderFlow(order_flow_imbalance, window=3),
    "queue": OrderFlow(queue_imbalance, window=3),
    "ERN": EarningsSurprise(),
    "VRP": VolatilityPremium(past=42),
    "POS": Positioning(),
    "TSX": Technical(lookback=60, skip=5, trend_bars=40, rsi_length=5, long_bars=50),
    "SIF": Sentiment(),
}


def close_of(day: float) -> datetime:
    return CLOSE + timedelta(days=day)


def market(seed: int = 1, symbols: Sequence[str] = SYMBOLS) -> list[Message]:
    """Bars, facts and order flow as they are published; symbols[i] has the i-th path whatever its name."""
    events: list[tuple[datetime, int, Message]] = []
    for place, symbol in enumerate(symbols):
        rng = np.random.default_rng([seed, place])
        events += [(event.timestamp, 0, event) for event in tables(symbol, rng)]
        price = 50.0
        for day in range(DAYS):
            steps = np.exp(rng.normal(0, 0.02, 4).cumsum())
            opened, high, low, close = (price * s for s in (steps[0], steps.max() * 1.01, steps.min() * 0.99, steps[3]))
            price = close
            if (place, day) in {(2, 77), (0, 69), (4, 124)}:
                continue  # a missing bar
            bar = BarEvent(
                symbol=symbol,
                timestamp=close_of(day),
                open=opened,
                high=high,
                low=low,
                close=close,
                volume=float(rng.integers(1, 1000)),
                bar_size="1d",
            )
            events.append((bar.timestamp, 1, bar))
    index = np.random.default_rng([seed, 99])
    for day, (points, level) in enumerate(index.uniform(15, 25, (DAYS, 2))):
        values = {"implied_volatility": points, "level": 1000 + level}
        event = fact("implied_volatility", "INDEX", day + 0.02, day, values)
        events.append((event.timestamp, 0, event))
    events.sort(key=lambda entry: entry[:2])
    return [event for _, _, event in events]


def fact(table: str, symbol: str, known: float, event: float, values: Mapping[str, float]) -> FactEvent:
    return FactEvent(
        table=table, symbol=symbol, timestamp=close_of(known), event_time=close_of(event), values=dict(values)
    )


def tables(symbol: str, rng: np.random.Generator) -> list[FactEvent | OFIEvent]:
    made: list[FactEvent | OFIEvent] = []
    for quarter in range(-16, 2):
        end = quarter * 91.31
        known = end + float(rng.uniform(20, 35))
        eps = 2.0 + float(rng.normal())
        made.append(fact("earnings", symbol, known, end, {"eps": eps, "revenue": 10 * eps + float(rng.normal())}))
        made.append(fact("ownership", symbol, known + 5, end, {"institutional_share": float(rng.uniform(0.3, 0.8))}))
        if quarter == 0:  # a correction of the year before, known late
            made.append(fact("earnings", symbol, 60.5, -4 * 91.31, {"eps": 9.0, "revenue": 90.0}))
    for day in range(-300, DAYS, 15):
        shorted, volume = rng.integers(1, 100, 2).tolist()
        report = {"shares_short": shorted, "shares_outstanding": 1000.0, "average_daily_volume": volume}
        made.append(fact("short_interest", symbol, day + 8, day, report))
        estimate = {"estimate": float(rng.uniform(2, 3)), "price": 60.0}
        made.append(fact("analyst_estimates", symbol, 2 * day + 300.1, 2 * day + 300, estimate))
        made.append(fact("news_sentiment", symbol, day + 0.3, day + 0.3, {"score": float(rng.uniform(-1, 1))}))
    for day in range(DAYS):
        made.append(
            fact("implied_volatility", symbol, day + 0.02, day, {"implied_volatility": float(rng.uniform(20, 40))})
        )
        bid, ask = (rng.integers(1, 9, 2) * 100.0).tolist()
        made += [
            OFIEvent(
                symbol=symbol,
                timestamp=close_of(day + end),
                ofi_value=float(rng.integers(-50, 50)) * 100,
                volume_imbalance=(bid - ask) / (bid + ask),
                bid_volume=bid,
                ask_volume=ask,
            )
            for end in (-0.02, 0.0)  # the second interval ends with the bar and is not known at it
        ]
    return made


@pytest.fixture(scope="module")
def events() -> list[Message]:
    return market()


@pytest.fixture(params=sorted(SIGNALS))
def signal(request: pytest.FixtureRequest) -> Signal:
    return SIGNALS[request.param]


def told_one_by_one(signal: Signal, events: Sequence[Message]) -> list[Scores]:
    """Scores at each close, by a market that is told each event and keeps no more than the signal asks for."""
    running = Market(History(signal.inputs.bars, whole_bars=signal.inputs.whole_bars))
    scores, open_at = [], None
    for event in events:
        if open_at is not None and event.timestamp > open_at:  # type: ignore[attr-defined]
            scores.append(signal(running.as_of(open_at)))
            open_at = None
        if isinstance(event, BarEvent):
            open_at = event.timestamp
        running.learn(event)
    return [*scores, signal(running.as_of(open_at))] if open_at is not None else scores


def scored(signal: Signal, market: Market, days: Sequence[int]) -> list[Scores]:
    return [signal(market.as_of(close_of(day))) for day in days]


def test_there_is_something_to_compare(signal: Signal, events: list[Message]):
    last = signal(whole_market(events, DAYS).as_of(close_of(DAYS - 1)))
    assert last.keys() == set(SYMBOLS)
    assert max(map(abs, last.values())) > 0.1


def test_one_event_at_a_time_and_a_whole_panel_give_the_same_scores(signal: Signal, events: list[Message]):
    panel = score_panel(signal, whole_market(events, DAYS), [close_of(day) for day in range(DAYS)])
    running = told_one_by_one(signal, events)
    assert panel.symbols == SYMBOLS
    for row, scores in zip(panel.scores, running, strict=True):
        assert {name: v for name, v in zip(panel.symbols, row.tolist(), strict=True) if not math.isnan(v)} == scores


def scrambled(events: Sequence[Message], after: datetime) -> list[Message]:
    """The same events as far as they are known at ``after``; then other prices, other facts, other order flow."""
    other = {(type(e), e.partition_key, e.timestamp): e for e in market(seed=2)}  # type: ignore[attr-defined]
    kept = []
    for event in events:
        if is_known(event, after):
            kept.append(event)
        elif isinstance(event, FactEvent):
            kept.append(event.model_copy(update={"values": {name: -7.0 for name in event.values}}))
        else:
            kept.append(other.get((type(event), event.partition_key, event.timestamp), event))  # type: ignore[attr-defined]
    return kept


def test_scrambling_the_future_leaves_the_present(signal: Signal, events: list[Message]):
    whole = scored(signal, whole_market(events, DAYS), range(DAYS))
    for day in (43, 62, 77, 78, 90, 110, DAYS - 1):
        other = whole_market(scrambled(events, close_of(day)), DAYS)
        assert scored(signal, other, range(day + 1)) == whole[: day + 1]


class _Planted:
    """A signal that looks ahead."""

    warm_up, half_life, inputs = 1, 1.0, Inputs(bars=1)

    def __init__(self, look: Callable[[MarketView, str], float]) -> None:
        self._look = look

    def __call__(self, view: MarketView) -> Scores:
        return cross_section({symbol: self._look(view, symbol) for symbol in view.symbols})


def _tomorrow(view: MarketView, symbol: str) -> float:
    closes = view.bars._history.as_of(view.at + timedelta(days=1)).closes(symbol, 2)
    return float(closes[-1] / closes[0])


def _full_sample(view: MarketView, symbol: str) -> float:
    closes = view.bars._history._closes(symbol, DAYS, CLOSE + timedelta(days=9999))[1]
    return float(view.bars.closes(symbol, 1)[0] / np.mean(closes))


def _event_time(view: MarketView, symbol: str) -> float:
    rows = view.facts._store._rows["earnings"][symbol].facts
    return max((row for row in rows if row.event_time < view.at), key=lambda row: row.event_time).values["eps"]


def _at_the_same_moment(view: MarketView, symbol: str) -> float:
    flows = view.flow._store._flows[symbol]
    return flows.flows[flows.moments.index(view.at)] if view.at in flows.moments else 0.0


def _last_day_only(view: MarketView, symbol: str) -> float:
    """Looks ahead on one day in a hundred."""
    return _tomorrow(view, symbol) if view.at == close_of(77) else float(ord(symbol))


LEAKS = {
    look.__name__: _Planted(look)
    for look in (_tomorrow, _full_sample, _event_time, _at_the_same_moment, _last_day_only)
}


def changes(signal: Signal, events: Sequence[Message]) -> list[int]:
    """Days whose scores differ when nothing after them has happened yet: every day is a cut."""
    whole, running = whole_market(events, DAYS), Market(History(DAYS, whole_bars=True))
    found, waiting = [], list(events)
    for day in range(60, DAYS):
        end = close_of(day)
        for event in waiting:
            if is_known(event, end):
                running.learn(event)
        waiting = [event for event in waiting if not is_known(event, end)]
        found += [day] if signal(running.as_of(end)) != signal(whole.as_of(end)) else []
    return found


def is_known(event: Message, at: datetime) -> bool:
    """Bars are known at their close, all else after its moment."""
    return event.timestamp <= at if isinstance(event, BarEvent) else event.timestamp < at  # type: ignore[attr-defined]


@pytest.mark.parametrize("leak", sorted(LEAKS))
def test_a_planted_leak_is_caught(leak: str, events: list[Message]):
    assert changes(LEAKS[leak], events)


def test_a_signal_without_a_leak_is_not(signal: Signal, events: list[Message]):
    assert changes(signal, events) == []


def test_a_later_revision_is_not_used_before_it_was_known(events: list[Message]):
    before, after = (whole_market(events, DAYS).as_of(close_of(day)) for day in (60, 61))
    year = close_of(-4 * 91.31)
    for view, corrected in ((before, False), (after, True)):
        (row,) = (row for row in view.facts.rows("earnings", "A", 99) if row.event_time == year)
        assert (row.values["eps"] == 9.0) is corrected


@pytest.mark.parametrize("factor", [3.0, 0.01])
def test_scaling_all_prices_leaves_every_score(signal: Signal, events: list[Message], factor: float):
    def scaled(event: Message) -> Message:
        if not isinstance(event, BarEvent):
            return event
        prices = {name: getattr(event, name) * factor for name in ("open", "high", "low", "close")}
        return event.model_copy(update=prices)

    days = range(60, DAYS, 7)
    plain, other = (scored(signal, whole_market(told, DAYS), days) for told in (events, map(scaled, events)))
    for before, after in zip(plain, other, strict=True):
        assert dict(after) == pytest.approx(dict(before), abs=1e-9)


def test_renaming_the_symbols_renames_the_scores(signal: Signal, events: list[Message]):
    names = dict(zip(SYMBOLS, ("Z", "Q", "M", "C", "A"), strict=True))
    renamed = whole_market(market(symbols=tuple(names.values())), DAYS)
    for day in range(60, DAYS, 7):
        plain = signal(whole_market(events, DAYS).as_of(close_of(day)))
        other = signal(renamed.as_of(close_of(day)))
        assert {names[symbol]: score for symbol, score in plain.items()} == pytest.approx(dict(other), abs=1e-12)


def test_a_small_change_of_one_price_changes_scores_little(signal: Signal, events: list[Message]):
    def nudged(event: Message) -> Message:
        if isinstance(event, BarEvent) and event.symbol == "A":
            return event.model_copy(update={"close": event.close * (1 + 1e-9)})
        return event

    before = signal(whole_market(events, DAYS).as_of(close_of(DAYS - 1)))
    after = signal(whole_market(map(nudged, events), DAYS).as_of(close_of(DAYS - 1)))
    assert dict(after) == pytest.approx(dict(before), abs=1e-5)
