from datetime import UTC, date, datetime

import pytest

from contracts.market import BarEvent
from data_plane.quality import Reason

HALF_PAST_ONE = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


def accepted(run):
    return [message for message in run.published if isinstance(message, BarEvent)]


@pytest.mark.parametrize(
    "changes",
    [
        {"close": float("nan"), "open": 104.0, "high": 104.0, "low": 104.0},
        {"high": float("inf")},
        {"low": 0.0},
        {"low": -1.0},
        {"high": 1.1e12},
        {"low": 0.9e-10},
        {"volume": -1.0},
        {"volume": float("nan")},
        {"volume": 1.1e15},
        {"bar_size": "5min"},
        {"symbol": "TWO WORDS"},
        {"symbol": "x" * 33},
        {"symbol": ""},
        {"timestamp": date(2024, 7, 1)},
    ],
)
@pytest.mark.parametrize("earlier_bars", [0, 2])
def test_bar_outside_the_contract_is_refused_as_schema(start, changes, earlier_bars):
    run = start(gates={"outlier_return": 0.999})
    for minute in range(1, 1 + earlier_bars):
        run.bar(minute, 100.0 + minute)
    run.bar(1 + earlier_bars, **({"close": 104.0} | changes))
    assert run.reasons == ["SCHEMA"]
    assert len(accepted(run)) == earlier_bars


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"high": 101.0, "low": 99.0, "open": 101.0}, []),
        ({"high": 101.0, "low": 99.0, "open": 101.001}, ["OHLC"]),
        ({"high": 101.0, "low": 99.0, "open": 99.0}, []),
        ({"high": 101.0, "low": 99.0, "open": 98.999}, ["OHLC"]),
        ({"high": 99.999}, ["OHLC"]),
        ({"low": 100.001}, ["OHLC"]),
        ({"high": 99.0, "low": 101.0}, ["OHLC"]),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_open_and_close_must_lie_in_the_range(start, changes, reasons, first):
    run = start()
    if not first:
        run.bar(1, 100.5)
    run.bar(2, 100.0, **changes)
    assert run.reasons == reasons


def test_second_bar_of_a_moment_is_a_duplicate_and_the_first_one_stays(start):
    run = start()
    run.bar(1, 100.0)
    run.bar(1, 101.0)
    run.bar(2, 102.0)
    assert run.reasons == ["DUPLICATE"]
    assert [bar.close for bar in accepted(run)] == [100.0, 102.0]


def test_older_bar_is_out_of_order(start):
    run = start()
    for minute in (1, 3, 2, 4):
        run.bar(minute, 100.0 + minute)
    assert run.reasons == ["OUT_OF_ORDER"]
    assert [bar.close for bar in accepted(run)] == [101.0, 103.0, 104.0]


def test_bar_of_a_moment_whose_slice_is_out_is_out_of_order_though_new_to_its_symbol(start):
    run = start(symbols=["A", "B"])
    run.bar(1, symbol="A")
    run.bar(2, symbol="A")
    run.bar(1, symbol="B")
    run.bar(2, symbol="B")
    assert run.reasons == ["OUT_OF_ORDER"]


@pytest.mark.parametrize(
    ("minute", "reasons"),
    [(0, ["NOT_A_SESSION"]), (1, []), (390, []), (391, ["NOT_A_SESSION"]), (1.5, ["NOT_A_SESSION"])],
)
def test_bar_must_close_on_the_grid_of_a_session(start, minute, reasons):
    run = start()
    run.bar(minute)
    assert run.reasons == reasons


def test_bar_after_the_close_is_refused_though_it_follows_without_a_gap(start):
    run = start()
    for minute in range(385, 393):
        run.bar(minute, 100.0 + minute / 1000)
    assert run.reasons == ["NOT_A_SESSION"] * 2


def test_half_day_ends_early(start):
    run = start()
    run.bar(0, timestamp=datetime(2024, 7, 3, 17, 0, tzinfo=UTC))
    run.bar(1, timestamp=datetime(2024, 7, 3, 17, 1, tzinfo=UTC))
    assert run.reasons == ["NOT_A_SESSION"]


def test_daily_date_is_resolved_to_the_close_and_a_holiday_refused(start):
    run = start(bar_size="1d")
    run.bar(1, timestamp=date(2024, 7, 3), bar_size="1d")
    run.bar(2, timestamp=date(2024, 7, 4), bar_size="1d")
    assert run.reasons == ["NOT_A_SESSION"]
    assert accepted(run)[0].timestamp == datetime(2024, 7, 3, 17, 0, tzinfo=UTC)


def test_missing_bars_are_noticed_and_the_bar_published(start):
    run = start()
    run.bar(1, 100.0)
    run.bar(5, 101.0)
    assert run.reasons == []
    assert [(f.reason, f.refused, f.detail) for f in run.findings] == [
        (Reason.GAP, False, "3 bars are missing before it")
    ]
    assert run.stage.noticed == {Reason.GAP: 1}
    assert len(accepted(run)) == 2


def test_gap_over_a_night_a_half_day_and_a_holiday_counts_bars_of_sessions_only(start):
    run = start()
    run.bar(389, 100.0)
    run.bar(0, 101.0, timestamp=datetime(2024, 7, 5, 13, 32, tzinfo=UTC))
    # the last of Monday, 390 on Tuesday, 210 on the half-day, none on the holiday, the first of Friday
    assert [finding.detail for finding in run.findings] == ["602 bars are missing before it"]


def test_night_and_weekend_are_no_gap(start):
    run = start()
    run.bar(390, 100.0)
    run.bar(0, 101.0, timestamp=datetime(2024, 7, 2, 13, 31, tzinfo=UTC))
    assert run.findings == []


def test_feed_that_repeats_itself_is_stale_from_the_configured_bar_on(start):
    run = start(gates={"stale_repeats": 3})
    for minute in range(1, 7):
        run.bar(minute, 100.0, volume=5.0)
    assert run.reasons == ["STALE"] * 4
    run.bar(7, 100.0, volume=6.0)
    assert run.reasons == ["STALE"] * 4


def test_run_of_equal_bars_is_broken_by_a_different_one(start):
    run = start(gates={"stale_repeats": 3})
    for minute, close in enumerate((1.0, 1.0, 1.1, 1.1, 1.0, 1.0), start=1):
        run.bar(minute, close, volume=5.0)
    assert run.reasons == []


def test_stale_gate_can_be_off(start):
    run = start(gates={"stale_repeats": 0})
    for minute in range(1, 50):
        run.bar(minute, 100.0, volume=5.0)
    assert run.reasons == []


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"high": 150.0}, []),
        ({"high": 150.001}, ["OUTLIER"]),
        ({"low": 50.0}, []),
        ({"low": 49.999}, ["OUTLIER"]),
    ],
)
def test_price_farther_from_the_last_close_than_the_limit_is_an_outlier(start, changes, reasons):
    run = start(gates={"outlier_return": 0.5})
    run.bar(1, 100.0)
    run.bar(2, 101.0, **changes)
    assert run.reasons == reasons


def test_lone_spike_is_refused_and_the_next_normal_bar_accepted(start):
    run = start(gates={"outlier_return": 0.5})
    for minute, close in enumerate((100.0, 1000.0, 101.0), start=1):
        run.bar(minute, close)
    assert run.reasons == ["OUTLIER"]
    assert [bar.close for bar in accepted(run)] == [100.0, 101.0]


def test_new_level_is_accepted_once_a_second_bar_confirms_it(start):
    run = start(gates={"outlier_return": 0.5})
    for minute, close in enumerate((100.0, 20.0, 21.0, 20.5), start=1):
        run.bar(minute, close)
    assert run.reasons == ["OUTLIER"]
    assert [bar.close for bar in accepted(run)] == [100.0, 21.0, 20.5]


def test_split_is_no_outlier_when_its_action_is_known(start, tmp_path):
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,ex_date,kind,value\nA,2024-07-02,split,10\n")
    run = start(actions_file=actions)
    run.bar(390, 100.0, volume=50.0)
    run.bar(0, 10.1, volume=500.0, timestamp=datetime(2024, 7, 2, 13, 31, tzinfo=UTC))
    run.bar(0, 10.2, volume=510.0, timestamp=datetime(2024, 7, 2, 13, 32, tzinfo=UTC))
    assert run.reasons == []
    assert [(bar.close, bar.volume) for bar in accepted(run)] == [(100.0, 50.0), (101.0, 50.0), (102.0, 51.0)]


def test_refused_bar_does_not_apply_a_corporate_action(start, tmp_path):
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,ex_date,kind,value\nA,2024-07-02,split,10\n")
    run = start(actions_file=actions)
    run.bar(1, 100.0)
    run.bar(0, 10.0, high=9.0, timestamp=datetime(2024, 7, 2, 13, 31, tzinfo=UTC))
    run.bar(2, 101.0)
    assert run.reasons == ["OHLC"]
    assert [bar.close for bar in accepted(run)] == [100.0, 101.0]


def test_rows_before_a_listing_are_another_company(start):
    run = start(symbols=["A"], listings={"A": {"first": "2024-07-02", "last": "2024-07-02"}})
    for day in (1, 2, 3):
        run.bar(day, timestamp=datetime(2024, 7, day, 13, 31, tzinfo=UTC))
    assert run.reasons == ["NOT_LISTED"] * 2


def test_names_are_canonical_and_rows_nobody_asked_for_are_counted(start):
    run = start(symbols=["BRK.B"], aliases={"brk-b": "BRK.B"})
    run.bar(1, symbol="brk-b ")
    run.bar(2, symbol="XYZ")
    assert [bar.symbol for bar in accepted(run)] == ["BRK.B"]
    assert run.stage.ignored == 1
    assert run.findings == []


def test_every_refusal_says_where_the_row_was(start):
    run = start()
    run.bar(1, low=-1.0)
    found = run.findings[0]
    assert (found.source, found.line, found.symbol, found.refused) == ("test.csv", 1, "A", True)
    assert run.stage.quarantined == {Reason.SCHEMA: 1}
