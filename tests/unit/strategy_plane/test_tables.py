"""What was known at a moment, and nothing else."""

import math
from datetime import timedelta

import numpy as np
import pytest

from contracts.market import FactEvent, OFIEvent
from strategy_plane.history import LookAheadError
from strategy_plane.tables import FactStore, FlowStore


@pytest.fixture
def fact(date):
    def make(known: float, event: float, value: float = 1.0, symbol: str = "A") -> FactEvent:
        return FactEvent(table="t", symbol=symbol, timestamp=date(known), event_time=date(event), values={"x": value})

    return make


def values(store: FactStore, at, last: int = 99) -> list[float]:
    return store.as_of(at).column("t", "A", "x", last).tolist()


def test_a_fact_is_not_known_at_the_moment_it_becomes_known_but_after_it(fact, date):
    store = FactStore()
    store.append(fact(10, 1, 5.0))
    assert values(store, date(10)) == []
    assert values(store, date(10) + timedelta(microseconds=1)) == [5.0]


def test_a_correction_counts_from_when_it_was_known_and_leaves_the_past(fact, date):
    store = FactStore()
    for event in (fact(2, 1, 1.0), fact(4, 3, 3.0), fact(6, 1, 1.5)):
        store.append(event)
    assert values(store, date(5)) == [1.0, 3.0]
    assert values(store, date(7)) == [1.5, 3.0]
    assert values(store, date(7), last=1) == [3.0]  # newest by what it is about, not by when it was said


def test_a_correction_does_not_change_when_the_row_was_first_known(fact, date):
    store = FactStore()
    for event in (fact(2, 1, 1.0), fact(6, 1, 1.5)):
        store.append(event)
    assert store.as_of(date(2)).first_known("t", "A", date(1)) is None
    assert {store.as_of(date(day)).first_known("t", "A", date(1)) for day in (3, 7)} == {date(2)}
    assert store.as_of(date(7)).first_known("t", "B", date(1)) is None


def test_what_was_known_then_is_the_same_whatever_comes_later(fact, date):
    rng = np.random.default_rng(5)
    events = [fact(float(n), float(rng.integers(0, 20)), float(n)) for n in range(1, 60)]
    whole = FactStore()
    for event in events:
        whole.append(event)
    step = FactStore()
    for event in events:
        assert values(step, event.timestamp) == values(whole, event.timestamp)
        step.append(event)


def test_what_is_told_twice_counts_once(fact, date):
    store = FactStore()
    events = [fact(2, 1), fact(2, 3), fact(4, 5)]
    assert [store.append(event) for event in [*events, *events]] == [True, True, True, False, False, False]
    assert store.duplicates == 3
    assert len(values(store, date(9))) == 3


def test_news_that_comes_out_of_order_is_refused(fact):
    store = FactStore()
    store.append(fact(4, 1))
    store.append(fact(8, 5))
    with pytest.raises(LookAheadError):
        store.append(fact(6, 3))


def test_what_was_shown_of_a_fact_cannot_be_changed(fact, date):
    store, event = FactStore(), fact(2, 1, 5.0)
    store.append(event)
    (shown,) = store.as_of(date(3)).rows("t", "A", 1)
    with pytest.raises(TypeError):
        shown.values["x"] = 9.0  # type: ignore[index]
    assert (values(store, date(3)), event.values) == ([5.0], {"x": 5.0})
    assert not store.append(fact(2, 1, 5.0))  # and the same news is still known as the same


def test_memory_is_bounded_and_what_was_forgotten_is_not_learned_again(fact, date):
    store = FactStore(keep=5)
    for number in range(100):
        store.append(fact(float(number), float(number), float(number)))
    assert 5 <= len(values(store, date(200))) < 10
    assert values(store, date(200), last=5) == [95.0, 96.0, 97.0, 98.0, 99.0]
    assert not store.append(fact(3.0, 3.0, 3.0))


def test_a_column_that_a_row_lacks_is_unknown_there(fact, date):
    store = FactStore()
    store.append(fact(1, 0))
    assert math.isnan(store.as_of(date(2)).column("t", "A", "y", 1)[0])
    assert store.as_of(date(2)).rows("other", "A", 1) == ()


def test_an_interval_is_known_after_its_end(date):
    store = FlowStore(keep=3)
    for number in range(1, 20):
        event = OFIEvent(
            symbol="A",
            timestamp=date(number),
            ofi_value=float(number),
            volume_imbalance=0.0,
            bid_volume=1.0,
            ask_volume=2.0,
        )
        assert store.append(event)
        assert not store.append(event)
    assert store.as_of(date(19)).window("A", 2).flow.tolist() == [17.0, 18.0]
    assert store.as_of(date(20)).window("A", 2).asks.tolist() == [2.0, 2.0]
    assert len(store.as_of(date(20)).window("B", 2).flow) == 0


@pytest.mark.parametrize("store", [FactStore, FlowStore])
def test_a_store_keeps_something(store):
    with pytest.raises(ValueError, match="keep"):
        store(0)
