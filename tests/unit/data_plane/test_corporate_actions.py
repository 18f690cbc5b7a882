from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contracts.market import BarEvent, TickType
from data_plane.composition import build_connector, build_stage, read_actions
from data_plane.connectors.port import RawTick
from data_plane.corporate_actions import (
    CorporateAction,
    Effect,
    Factors,
    InvalidActionError,
    advance,
    effects_by_symbol,
    initial,
    next_effective,
)
from data_plane.settings import DataSettings
from domain.exchange_sessions import load_calendar

BARS = Path("fixtures/bars")
SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
CALENDAR = load_calendar("XNYS", date(2000, 3, 1), date(2013, 3, 1))
MONDAY_OPEN = datetime(2012, 11, 19, 14, 30, tzinfo=UTC)
MONDAY_CLOSE = datetime(2012, 11, 19, 21, tzinfo=UTC)
TUESDAY_CLOSE = datetime(2012, 11, 20, 21, tzinfo=UTC)


def test_published_multiplier_of_microsofts_first_dividend():
    effects = (Effect(MONDAY_OPEN, 1.0, 0.08),)
    factors, previous = advance("X", effects, Factors(), MONDAY_CLOSE, 24.96)
    assert round(1 / factors.price, 4) == 0.9968
    assert factors.units == 1.0
    assert previous == pytest.approx(24.88)


def test_split_and_dividend_of_one_day_count_the_dividend_per_new_share():
    effects = effects_by_symbol(
        [CorporateAction("X", date(2012, 11, 19), dividend=1.0), CorporateAction("X", date(2012, 11, 19), split=4.0)],
        CALENDAR,
    )["X"]
    factors, previous = advance("X", effects, Factors(), MONDAY_CLOSE, 200.0)
    # 200 for one old share is 50 for each of four, of which 1 is paid out
    assert factors.price == pytest.approx(4 * 50 / 49)
    assert factors.units == 4.0
    assert previous == pytest.approx(49.0)


def test_action_counts_from_the_open_of_its_session_and_only_once():
    effects = (Effect(MONDAY_OPEN, 2.0, 0.0),)
    assert advance("X", effects, Factors(), MONDAY_OPEN, 10.0) == (Factors(), 10.0)
    after, previous = advance("X", effects, Factors(), MONDAY_CLOSE, 10.0)
    assert (after, previous) == (Factors(2.0, 2.0, 1), 5.0)
    assert advance("X", effects, after, TUESDAY_CLOSE, 5.0) == (after, 5.0)
    assert next_effective(effects, Factors()) == MONDAY_OPEN
    assert next_effective(effects, after) is None


def test_actions_in_a_gap_all_count_at_the_next_bar():
    effects = (Effect(MONDAY_OPEN, 2.0, 0.0), Effect(MONDAY_CLOSE, 1.0, 1.0))
    factors, _ = advance("X", effects, Factors(), TUESDAY_CLOSE, 20.0)
    assert factors.price == pytest.approx(2 * 10 / 9)


def test_series_starts_at_one_on_its_first_bar_even_on_an_ex_date():
    assert initial((Effect(MONDAY_OPEN, 2.0, 0.0),), MONDAY_CLOSE) == Factors(1.0, 1.0, 1)


def test_ex_date_without_a_session_takes_effect_at_the_next_open_and_strangers_to_the_period_are_left_out():
    effects = effects_by_symbol(
        [
            CorporateAction("X", date(2012, 11, 18), split=2.0),
            CorporateAction("X", date(1999, 1, 4), split=3.0),
            CorporateAction("X", date(2013, 3, 2), split=5.0),
        ],
        CALENDAR,
    )
    assert effects == {"X": (Effect(MONDAY_OPEN, 2.0, 0.0),)}


@pytest.mark.parametrize("action", [{"split": 0.0}, {"split": -1.0}, {"dividend": -0.1}, {"split": float("nan")}])
def test_impossible_action_is_refused(action):
    with pytest.raises(InvalidActionError, match="X 2012-11-19"):
        effects_by_symbol([CorporateAction("X", date(2012, 11, 19), **action)], CALENDAR)


def test_dividend_must_be_smaller_than_the_price():
    with pytest.raises(InvalidActionError, match="smaller"):
        advance("X", (Effect(MONDAY_OPEN, 1.0, 10.0),), Factors(), MONDAY_CLOSE, 10.0)


def test_a_dividend_that_is_too_large_is_told_with_its_symbol(start, tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text("symbol,ex_date,kind,value\nB,2024-07-02,dividend,100\n")
    later = datetime(2024, 7, 2, 13, 31, tzinfo=UTC)
    bars, flow = (start(symbols=["A", "B"], actions_file=path) for _ in range(2))
    bars.bar(1, 100.0, symbol="B")
    with pytest.raises(InvalidActionError, match=r"^B: a dividend of 100 "):
        bars.bar(0, 100.0, symbol="B", timestamp=later)
    trade = RawTick("B", later - timedelta(days=1), 100.0, 1.0, TickType.TRADE, "ticks", 1)
    flow.tell(trade)
    with pytest.raises(InvalidActionError, match=r"^B: a dividend of 100 "):
        flow.tell(trade._replace(timestamp=later))


def test_actions_file_names_the_line_that_cannot_be_used(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text("symbol,ex_date,kind,value\nX,2020-01-02,split,2\nX,2020-13-02,split,2\n")
    with pytest.raises(InvalidActionError, match="line 3"):
        read_actions(path)


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_shipped_actions_reproduce_the_adjusted_close_of_the_source(symbol):
    # The source reinvests at the close of the ex-date: before it, prices are multiplied by close / (close + dividend).
    table = pq.read_table(BARS / f"{symbol}.parquet")
    days, closes = table["timestamp"].to_pylist(), table["close"].to_pylist()
    theirs = table["adjusted_close"].to_pylist()
    actions = [action for action in read_actions(BARS / "actions.csv") if action.symbol == symbol]
    factor, ours = theirs[-1] / closes[-1], []
    for day, close in zip(reversed(days), reversed(closes), strict=True):
        ours.append(close * factor)
        for action in actions:
            if action.ex_date == day:
                factor *= close / (close + action.dividend) / action.split
    assert list(reversed(ours)) == pytest.approx(theirs, rel=1e-9)


def _published(symbol, **changes):
    settings = DataSettings(
        sources=[{"files": [str(BARS / f"{symbol}.parquet")]}],
        symbols=[symbol],
        actions_file=BARS / "actions.csv",
        start="2000-03-01",
        end="2013-03-01",
        **changes,
    )
    stage = build_stage(settings)
    messages = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    return [message for message in messages if isinstance(message, BarEvent)]


@pytest.mark.parametrize("symbol", ["AAPL", "MSFT", "IBM"])
def test_adjusted_price_is_the_wealth_of_a_holder_who_reinvests(symbol):
    # An independent book: shares held, dividends spent on shares at the last close less the dividend.
    raw = {bar.timestamp: bar for bar in _published(symbol, adjust=False)}
    actions = {}
    for action in read_actions(BARS / "actions.csv"):
        if action.symbol == symbol:
            actions.setdefault(CALENDAR.close_on(action.ex_date), []).append(action)
    shares, last = 1.0, None
    for bar in _published(symbol):
        for action in sorted(actions.get(bar.timestamp, []), key=lambda a: a.split, reverse=True):
            shares *= action.split
            last /= action.split
            if action.dividend:
                shares += shares * action.dividend / (last - action.dividend)
        last = raw[bar.timestamp].close
        assert bar.close == pytest.approx(shares * last, rel=1e-12)
    assert shares > 1.1


def test_volume_is_in_units_of_the_first_bar():
    raw, adjusted = _published("AAPL", adjust=False), _published("AAPL")
    assert adjusted[0].volume == raw[0].volume
    assert adjusted[-1].volume == raw[-1].volume / 4
