"""Decisions follow from bars, slices and reports, not from the order in which partitions deliver them."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from order_messages import reported

from contracts.base import Message
from contracts.codec import encode
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus
from domain.ids import report_id
from strategy_plane.composition import build_stage
from strategy_plane.engines.single_strategy import SingleStrategyEngine
from strategy_plane.settings import MovingAverageCrossSettings, StrategySettings

START = datetime(2024, 1, 1, tzinfo=UTC)
SYMBOLS = ("A", "B", "C")
SETTINGS = StrategySettings(strategy=MovingAverageCrossSettings(fast=1, slow=2, units=10.0))
quick = settings(max_examples=60, deadline=None)

closes = st.sampled_from([1.0, 2.0, 3.0, None])
market = st.lists(st.tuples(closes, closes, closes), min_size=1, max_size=12)
endings = st.lists(st.sampled_from(["fill", "part", "reject", "none"]), min_size=40, max_size=40)


def day_of(day: int, row: Sequence[float | None]) -> list[Message]:
    moment = START + timedelta(days=day)
    bars = [
        BarEvent(
            symbol=symbol, timestamp=moment, open=close, high=close, low=close, close=close, volume=0.0, bar_size="1d"
        )
        for symbol, close in zip(SYMBOLS, row, strict=True)
        if close is not None
    ]
    return [*bars, SliceEvent(timestamp=moment, bar_size="1d", symbols=tuple(bar.symbol for bar in bars))]


def tell(stage: SingleStrategyEngine, messages: Iterable[Message]) -> list[Message]:
    return [said for message in messages for said in stage.handlers[type(message)](message)]


def answer(intent: OrderIntent, ending: str) -> list[ExecutionReport]:
    """What an order plane might say of ``intent``."""
    story = {
        "fill": [(OrderStatus.ACKNOWLEDGED, 0.0), (OrderStatus.FILLED, 1.0)],
        "part": [(OrderStatus.PARTIAL_FILL, 0.5), (OrderStatus.EXPIRED, 0.5)],
        "reject": [(OrderStatus.REJECTED, 0.0)],
        "none": [],
    }[ending]
    return [
        reported(
            intent,
            status,
            intent.quantity * share,
            2.0,
            report_id=report_id(intent.intent_id, sequence),
            sequence=sequence,
        )
        for sequence, (status, share) in enumerate(story, start=1)
    ]


def live(
    rows: Sequence[Sequence[float | None]], ends: Sequence[str]
) -> tuple[SingleStrategyEngine, list[list[Message]]]:
    """A run in lock-step: every message in, and what was said and answered, day by day."""
    stage, endings_left, days = build_stage(SETTINGS), iter(ends), []
    for day, row in enumerate(rows):
        told = day_of(day, row)
        said = tell(stage, told)
        reports = [
            report
            for intent in said
            if isinstance(intent, OrderIntent)
            for report in answer(intent, next(endings_left))
        ]
        tell(stage, reports)
        days.append([*told, *said, *reports])
    return stage, days


def state(stage: SingleStrategyEngine) -> tuple[object, ...]:
    book = stage.book
    return (
        book.cash,
        dict(book.positions),
        {symbol: book.holding(symbol) for symbol in SYMBOLS},
        book.marks,
        stage._until_due,
        stage._decided,
    )


def raw(messages: Iterable[Message]) -> list[bytes]:
    return [encode(message) for message in messages]


@quick
@given(rows=market, data=st.data())
def test_any_interleaving_of_partitions_gives_the_same_decisions(
    rows: list[tuple[float | None, ...]], data: st.DataObject
):
    told = [message for day, row in enumerate(rows) for message in day_of(day, row)]
    partitions = [[m for m in told if isinstance(m, BarEvent) and m.symbol == symbol] for symbol in SYMBOLS]
    partitions.append([m for m in told if isinstance(m, SliceEvent)])
    waiting = [list(partition) for partition in partitions if partition]
    mixed = []
    while waiting:
        partition = waiting[data.draw(st.integers(0, len(waiting) - 1))]
        mixed.append(partition.pop(0))
        waiting = [partition for partition in waiting if partition]
    in_order, interleaved = build_stage(SETTINGS), build_stage(SETTINGS)
    assert raw(tell(interleaved, mixed)) == raw(tell(in_order, told))
    assert state(interleaved) == state(in_order)


@quick
@given(rows=market, ends=endings, data=st.data())
def test_restoring_in_any_order_of_topics_gives_the_state_of_the_live_run(
    rows: list[tuple[float | None, ...]], ends: list[str], data: st.DataObject
):
    stage, days = live(rows, ends)
    everything = [message for day in days for message in day]
    topics = [
        [m for m in everything if isinstance(m, kind)] for kind in (BarEvent, SliceEvent, OrderIntent, ExecutionReport)
    ]
    restored = build_stage(SETTINGS)
    for topic in data.draw(st.permutations(topics)):
        for message in topic:
            restored.restore(message)
    assert state(restored) == state(stage)
    following = day_of(len(rows), (3.0, 1.0, 2.0))
    assert raw(tell(restored, following)) == raw(tell(stage, following))


@quick
@given(rows=market, ends=endings, shuffled=st.randoms(use_true_random=False))
def test_reports_fold_to_the_same_state_shuffled_and_repeated(
    rows: list[tuple[float | None, ...]], ends: list[str], shuffled: object
):
    stage, days = live(rows, ends)
    everything = [message for day in days for message in day]
    reports = [message for message in everything if isinstance(message, ExecutionReport)] * 3
    shuffled.shuffle(reports)  # type: ignore[attr-defined]
    again = build_stage(SETTINGS)
    for message in (m for m in everything if not isinstance(m, ExecutionReport)):
        again.restore(message)
    tell(again, reports)
    assert state(again) == state(stage)


@quick
@given(rows=market, ends=endings, cut=st.integers(0, 11), said_is_logged=st.booleans())
def test_a_crash_before_the_commit_of_a_slice_repeats_its_intents_byte_for_byte(
    rows: list[tuple[float | None, ...]], ends: list[str], cut: int, said_is_logged: bool
):
    cut = min(cut, len(rows) - 1)
    _, days = live(rows, ends)
    restored = build_stage(SETTINGS)
    said = [message for message in days[cut] if isinstance(message, OrderIntent)]
    for message in (*(said if said_is_logged else ()), *(message for day in days[:cut] for message in day)):
        restored.restore(message)
    again = tell(restored, [message for message in days[cut] if isinstance(message, BarEvent | SliceEvent)])
    assert raw(again) == raw(said)
