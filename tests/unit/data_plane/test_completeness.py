from datetime import UTC, datetime, timedelta

from contracts.market import SliceEvent

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


def minute(slice_event):
    return (slice_event.timestamp - OPEN) // timedelta(minutes=1)


def told(messages):
    """Readable account of messages: bars as symbols, slices as (minute, symbols, missing)."""
    return [
        (minute(m), "".join(m.symbols), "".join(m.missing)) if isinstance(m, SliceEvent) else m.symbol for m in messages
    ]


def test_slice_follows_at_once_when_the_last_expected_bar_is_in(start):
    run = start(symbols=["A", "B"])
    assert told(run.bar(1, symbol="B")) == ["B"]
    assert told(run.bar(1, symbol="A")) == ["A", (1, "AB", "")]


def test_single_symbol_is_complete_with_each_bar(start):
    run = start(symbols=["A"])
    assert [told(run.bar(m, 100.0 + m)) for m in (1, 2, 4)] == [
        ["A", (1, "A", "")],
        ["A", (2, "A", "")],
        ["A", (4, "A", "")],
    ]
    assert run.stage.finish() == ()


def test_later_bar_closes_the_moment_before_it_and_names_what_is_missing(start):
    run = start(symbols=["A", "B"])
    run.bar(1, symbol="A")
    run.bar(1, symbol="B")
    run.bar(2, symbol="A")
    assert told(run.bar(3, symbol="A")) == [(2, "A", "B"), "A"]
    assert told(run.bar(3, symbol="B")) == ["B", (3, "AB", "")]


def test_symbol_that_has_not_traded_yet_is_not_missing(start):
    run = start(symbols=["A", "B"])
    run.bar(1, symbol="A")
    assert told(run.bar(2, symbol="A")) == [(1, "A", ""), "A"]


def test_symbol_outside_its_listing_is_not_waited_for(start):
    run = start(symbols=["A", "B"], listings={"B": {"first": "2024-07-02", "last": "2024-07-02"}})
    day = timedelta(days=1)
    assert told(run.bar(390, symbol="A")) == ["A", (390, "A", "")]
    assert told(run.bar(1, symbol="A", timestamp=OPEN + day + timedelta(minutes=1))) == ["A"]
    assert told(run.bar(1, symbol="B", timestamp=OPEN + day + timedelta(minutes=1)))[0] == "B"
    assert told(run.bar(1, symbol="A", timestamp=OPEN + 2 * day + timedelta(minutes=1)))[1][1:] == ("A", "")


def test_symbol_that_stays_away_is_named_for_a_while_and_again_after_it_returned(start):
    run = start(symbols=["A", "B"], patience=2)
    run.bar(1, symbol="A")
    run.bar(1, symbol="B")
    for m in range(2, 6):
        run.bar(m, symbol="A")
    run.bar(6, symbol="A")
    run.bar(6, symbol="B")
    run.bar(7, symbol="A")
    run.published += run.stage.finish()
    slices = [entry for entry in told(run.published) if isinstance(entry, tuple)]
    assert [(m, missing) for m, _, missing in slices] == [
        (1, ""),
        (2, "B"),
        (3, "B"),
        (4, ""),
        (5, ""),
        (6, ""),
        (7, "B"),
    ]


def test_without_a_universe_a_slice_waits_for_the_next_moment(start):
    run = start()
    assert told(run.bar(1, symbol="B")) == ["B"]
    assert told(run.bar(1, symbol="A")) == ["A"]
    assert told(run.bar(2, symbol="A")) == [(1, "AB", ""), "A"]
    assert told(run.stage.finish()) == [(2, "A", "B")]


def test_refused_bar_leaves_its_symbol_missing(start):
    run = start(symbols=["A", "B"])
    for symbol in "AB":
        run.bar(1, symbol=symbol)
    run.bar(2, symbol="A", low=-1.0)
    run.bar(2, symbol="B")
    assert told(run.stage.finish()) == [(2, "B", "A")]


def test_clock_ends_the_wait_after_the_grace_and_late_bars_are_refused(start):
    run = start(symbols=["A", "B"], grace_seconds=5)
    run.bar(1, symbol="A")
    at = OPEN + timedelta(minutes=1)
    assert run.stage.on_time(at + timedelta(seconds=4)) == ()
    assert told(run.stage.on_time(at + timedelta(seconds=5))) == [(1, "A", "")]
    assert run.stage.on_time(at + timedelta(seconds=6)) == ()
    run.bar(1, symbol="B")
    assert run.reasons == ["OUT_OF_ORDER"]


def test_overdue_symbols_are_those_whose_next_bar_is_late(start):
    run = start(symbols=["A", "B", "C"], grace_seconds=5)
    run.bar(1, symbol="A")
    run.bar(1, symbol="B")
    run.bar(2, symbol="A")
    due = OPEN + timedelta(minutes=2)
    assert run.stage.overdue(due + timedelta(seconds=4)) == ()
    assert run.stage.overdue(due + timedelta(seconds=5)) == (("B", due),)


def test_nothing_is_overdue_over_night(start):
    run = start()
    run.bar(390)
    assert run.stage.overdue(OPEN + timedelta(hours=20)) == ()
