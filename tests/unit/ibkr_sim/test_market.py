"""Tapes, sessions and historical bars."""

from datetime import date

import pytest

from ibkr_sim.history import BAR_SIZES, InvalidHistoryRequestError, What, bars, current_bar, request
from ibkr_sim.listing import Listings, increment
from ibkr_sim.market import Market
from ibkr_sim.market_time import bar_date, moment_of, parse, stamp
from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Bar, Tape, UnreadableBarsError, merged, whole

OPEN = moment_of(date(2024, 7, 9), 9, 30)
CLOSE = moment_of(date(2024, 7, 9), 16)


@pytest.fixture(scope="module")
def tape():
    return Tape("AAPL", minute_bars("AAPL", 3, sessions=5), 3)


def test_the_prints_of_a_bar_make_the_bar(tape):
    for place in range(0, len(tape.bars), 97):
        bar, prints = tape.bars[place], tape.prints(place)
        again = whole(prints, bar.start, bar.end)
        assert (again.open, again.high, again.low, again.close) == (bar.open, bar.high, bar.low, bar.close)
        assert again.volume == bar.volume
        assert all(bar.start < each.time < bar.end and each.bid < each.ask for each in prints)


def test_a_tape_depends_on_its_seed_alone():
    once, twice = (Tape("AAPL", minute_bars("AAPL", 3, sessions=1), 3) for _ in range(2))
    other = Tape("AAPL", minute_bars("AAPL", 4, sessions=1), 4)
    twice.prints(7)
    assert once.bars == twice.bars != other.bars
    assert once.prints(5) == twice.prints(5)


def test_sessions_are_the_days_of_the_market(tape):
    assert tape.sessions[1] == (OPEN, CLOSE)
    assert tape.session_at(CLOSE) == tape.session_at(OPEN) == (OPEN, CLOSE)
    assert tape.session_at(CLOSE + 1) is None
    assert tape.next_open(OPEN - 1) == OPEN
    assert tape.next_open(tape.sessions[-1][1]) is None
    assert [closed - opened for opened, closed in tape.sessions] == [23_400.0] * 5


def test_prints_are_found_across_the_night(tape):
    last = tape.last_print(CLOSE + 3600)
    first = tape.next_print(CLOSE + 3600)
    assert CLOSE - 1 < last.time < CLOSE
    assert first.time == tape.next_open(CLOSE) + 0.5
    assert tape.last_print(tape.bars[0].start) is None
    assert tape.next_print(tape.bars[-1].end) is None
    assert len(tape.prints_between(OPEN, OPEN + 90)) == 90


def test_bars_that_overlap_or_are_missing_are_refused():
    bar = Bar(0.0, 60.0, 1, 1, 1, 1, 1, 1, 1)
    with pytest.raises(UnreadableBarsError, match="overlap"):
        Tape("X", [bar, bar], 0)
    with pytest.raises(UnreadableBarsError, match="no bars"):
        Tape("X", [], 0)


def test_a_shifted_tape_plays_the_same_later(tape):
    later = tape.shifted(3600.0)
    assert later.bars[0].start == tape.bars[0].start + 3600.0
    assert [bar.close for bar in later.bars] == [bar.close for bar in tape.bars]


@pytest.mark.parametrize("size", BAR_SIZES)
def test_bars_of_every_size_hold_the_same_day(tape, size):
    found = bars(tape, request(size, "1 D", "TRADES"), CLOSE)
    day = merged(tape.bars_between(OPEN, CLOSE), OPEN, CLOSE)
    assert (found[0].open, found[-1].close) == (day.open, day.close)
    assert max(bar.high for bar in found) == day.high
    assert sum(bar.volume for bar in found) == day.volume
    assert found == sorted(found, key=lambda bar: bar.start)


def test_the_current_bar_grows_until_it_is_the_bar(tape):
    wanted = request("1 min", "1 D", "TRADES")
    seen = [current_bar(tape, wanted, OPEN + 60 * 4 + second) for second in (5, 35, 60)]
    assert seen[0].volume < seen[1].volume < seen[2].volume
    assert seen[2] == tape.bars_between(OPEN + 240, OPEN + 300)[0]
    assert current_bar(tape, wanted, CLOSE + 60) is None


@pytest.mark.parametrize(
    ("duration", "count"), [("60 S", 1), ("3600 S", 60), ("1 D", 390), ("2 D", 780), ("1 W", 780), ("1 Y", 780)]
)
def test_durations_reach_back(tape, duration, count):
    assert len(bars(tape, request("1 min", duration, "TRADES"), CLOSE)) == count


def test_the_bar_that_has_begun_is_the_last_one(tape):
    found = bars(tape, request("1 min", "1 D", "TRADES"), OPEN + 150)
    assert len(found) == 3
    assert found[-1].start == OPEN + 120
    assert found[-1].volume < tape.bars_between(OPEN + 120, OPEN + 180)[0].volume


def test_quotes_have_no_volume(tape):
    trades, bid, ask = (bars(tape, request("5 mins", "1 D", what), CLOSE)[0] for what in ("TRADES", "BID", "ASK"))
    assert bid.close < trades.close < ask.close
    assert (bid.volume, bid.wap, bid.count) == (-1, -1, -1)
    assert set(What) >= {"TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST"}


@pytest.mark.parametrize(
    ("size", "duration", "what", "message"),
    [
        ("7 mins", "1 D", "TRADES", "bar size"),
        ("1 min", "1 X", "TRADES", "duration"),
        ("1 min", "0 D", "TRADES", "duration"),
        ("1 min", "D", "TRADES", "duration"),
        ("1 min", "1 D", "GOSSIP", "data type"),
    ],
)
def test_an_unknown_word_of_a_request_is_named(size, duration, what, message):
    with pytest.raises(InvalidHistoryRequestError, match=message):
        request(size, duration, what)


def test_times_are_read_in_every_form():
    assert parse("20240709 09:30:00 US/Eastern") == parse("20240709-13:30:00") == parse("20240709  09:30:00") == OPEN
    assert stamp(OPEN) == "20240709 09:30:00 US/Eastern"
    assert bar_date(OPEN, daily=True, epoch=True) == "20240709"
    assert bar_date(OPEN, daily=False, epoch=True) == str(int(OPEN))
    for bad in ("soon", "20240709 09:30:00 Mars/Base", ""):
        with pytest.raises(ValueError, match=r"."):
            parse(bad)


def test_contracts_are_found_by_what_is_said_of_them():
    listings = Listings(["AAPL", "QQQQ"])
    apple = listings.find({"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"})
    assert apple.contract_id == 265598
    assert listings.find({"conId": "265598"}) is apple
    assert listings.find({"conId": "0", "symbol": "", "localSymbol": "AAPL"}) is apple
    assert [each.symbol for each in listings.matching("qq")] == ["QQQQ"]
    for described in (
        {"symbol": "NONE"},
        {"symbol": "AAPL", "secType": "FUT"},
        {"symbol": "AAPL", "currency": "EUR"},
        {"conId": "265598", "symbol": "IBM"},
        {"conId": "x"},
        {"symbol": "", "localSymbol": ""},
    ):
        assert listings.find(described) is None, described


def test_prices_and_sizes_stand_on_their_grids():
    apple = Listings(["AAPL"]).find({"symbol": "AAPL"})
    assert apple.on_tick(190.01)
    assert not apple.on_tick(190.005)
    assert apple.on_tick(0.5005)
    assert not apple.on_tick(0.50005)
    assert (increment(0.5), increment(1.0)) == (0.0001, 0.01)
    assert apple.on_size(3)
    assert not apple.on_size(0.5)
    assert Listings(["AAPL"], 0.0001).find({"symbol": "AAPL"}).on_size(0.5)


def test_a_halt_and_the_night_show_no_quote(tape):
    market = Market([tape])
    assert market.quote("AAPL", OPEN).time == OPEN + 0.5
    market.halt("AAPL", OPEN + 60)
    assert market.quote("AAPL", OPEN + 59) is None
    assert market.quote("AAPL", OPEN + 61).time == OPEN + 60.5
    assert market.quote("AAPL", CLOSE + 1) is None
    assert market.close_after("AAPL", CLOSE) == CLOSE + 86_400
    assert market.close_after("AAPL", tape.bars[-1].end) is None
    assert market.hours(market.listings.find({"symbol": "AAPL"}), OPEN).startswith(
        "20240709:0930-20240709:1600;20240710"
    )


def test_a_market_has_a_name_that_other_bars_or_another_seed_do_not_have():
    def market(seed=3, later=0.0, symbols=("AAPL", "IBM"), sessions=2):
        tapes = [Tape(symbol, minute_bars(symbol, seed, sessions=sessions), seed) for symbol in symbols]
        return Market([tape.shifted(later) for tape in tapes])

    others = [market(seed=4), market(later=60.0), market(symbols=("AAPL",)), market(sessions=3)]
    names = [market().name, *(other.name for other in others)]
    assert market().name == names[0]
    assert len({*names}) == len(names)
