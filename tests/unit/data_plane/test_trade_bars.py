"""Bars from trades where the gateway refuses some, or loses its link: nobody waits, and nothing counts twice."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from virtual_time import run

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr_ears import Ears
from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.ibkr_trades import Building, TradeBars
from data_plane.connectors.port import RawBar, RawTick
from data_plane.session_grid import SessionGrid
from domain.calendar import always_open
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import HistoryBar, Notice, Trade

START = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
LOST, BACK, FARM_LOST, FARM_BACK = (Notice(-1, code, "") for code in (1100, 1102, 2103, 2104))


class Known(Contracts):
    """Finds every symbol."""

    async def qualified(self, connection, symbol):
        return Qualified(1, symbol, ContractTerms(), ((0.0, 0.01),), 1.0)


class Gateway:
    """Takes as many subscriptions as there are lines, and has a bar of 100 units for every minute of the past."""

    def __init__(self, market, lines=5):
        self.market, self.lines, self.taken, self.number, self.troubles = market, lines, [], 4, []

    async def subscribe_trades(self, contract_id, exchange):
        await asyncio.sleep(0)
        assert len(self.taken) < self.lines
        self.number += 1
        self.taken.append(self.number)
        return self.number

    async def cancel_trades(self, number):
        await asyncio.sleep(0)
        self.taken.remove(number)

    async def history(self, *rest):
        await asyncio.sleep(0)
        if self.troubles:
            raise self.troubles.pop()
        minutes = (self.market.now - START) // timedelta(minutes=1)
        starts = [START + timedelta(minutes=minute) for minute in range(minutes)]
        newest = HistoryBar(str(int((START + timedelta(minutes=minutes)).timestamp())), 10, 11, 9, 10, 7.0)
        return [HistoryBar(str(int(each.timestamp())), 10, 11, 9, 10, 100.0) for each in starts] + [newest]


class Market:
    """Bars from trades of some symbols, the time, and what was given."""

    def __init__(self, *symbols, **terms):
        grid = SessionGrid(always_open(date(2024, 7, 1), date(2024, 7, 31)), "1min")
        self.now, self.given = START + timedelta(minutes=3, seconds=20), []
        self.terms = LiveTerms(symbols, "1min", **{"apart_seconds": 0.0, **terms})
        self.building = Building(grid, TickAggregator(grid, "1min"))
        self.bars = TradeBars(self.terms, self.building, Known({}), self.given.append, lambda: self.now, HistoryPacer())
        self.bars.begin_after(dict.fromkeys(symbols, START))

    async def at(self, minute, second):
        self.now = START + timedelta(minutes=minute, seconds=second)
        self.bars.on_time()
        await asyncio.sleep(0.01)

    async def until(self, minute, second=6):
        """Looks at the time twice a minute."""
        while self.now < START + timedelta(minutes=minute, seconds=second):
            self.now += timedelta(seconds=30)
            self.bars.on_time()
            await asyncio.sleep(0.001)

    def trade(self, gateway, size):
        for number in gateway.taken:
            self.bars.trade(Trade(number, self.now, 10.0, size))

    def volumes(self, symbol="AAPL"):
        bars = [row for row in self.given if isinstance(row, RawBar) and row.symbol == symbol]
        return [((row.timestamp - START) // timedelta(minutes=1), row.volume) for row in bars]


@pytest.mark.parametrize("code", [101, 200, 321, 354, 420, 10089, 10186, 10189, 10190, 10197])
def test_a_symbol_without_trades_holds_no_other_up(code):
    market = Market("AAPL")
    bars = market.bars

    async def play():
        await bars.greet(Gateway(market))
        assert bars.horizon == START
        bars.notice(Notice(5, 2109, "a warning"))
        assert bars.horizon == START
        bars.notice(Notice(5, code, "no"))
        assert bars.horizon == market.now - market.terms.grace

    run(play())


async def cut(market, gateway, order):
    """The link is lost and comes back; the lifeline greets when it hears of that."""
    market.bars.notice(LOST)
    if order == "farm first":
        market.bars.notice(FARM_BACK)
        market.bars.on_time()
        await asyncio.sleep(0.01)
    market.bars.notice(BACK)
    greeting = asyncio.ensure_future(market.bars.greet(gateway))
    if order == "farm meanwhile":
        market.bars.notice(FARM_BACK)
        market.bars.on_time()
        await asyncio.sleep(0)
        market.bars.notice(FARM_BACK)
        market.bars.on_time()
    await greeting
    if order == "farm after":
        market.bars.notice(FARM_BACK)
        market.bars.on_time()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("order", ["link only", "farm first", "farm meanwhile", "farm after"])
@pytest.mark.parametrize("symbols", [("AAPL",), ("AAPL", "IBM", "MSFT"), ("A", "AAPL", "GOOG", "IBM", "MSFT")])
def test_after_cuts_each_symbol_has_one_line_and_every_trade_and_bar_counts_once(order, symbols):
    market = Market(*symbols)
    gateway = Gateway(market, lines=len(symbols))

    async def play():
        await market.bars.greet(gateway)
        for _ in range(2):
            await cut(market, gateway, order)
            assert len(gateway.taken) == len(symbols)
            assert market.volumes() == []  # the bar of 13:33 is still open, and was not seen whole
        await market.at(3, 30)
        await market.at(4, 6)
        market.trade(gateway, 5.0)
        await market.at(5, 6)

    run(play())
    assert sum(row.size for row in market.given if isinstance(row, RawTick)) == 5.0 * len(symbols)
    assert market.volumes() == [(1, 100.0), (2, 100.0), (3, 100.0), (4, 100.0), (5, 5.0)]


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
def test_trades_are_asked_for_again_when_their_farm_is_back_or_says_nothing_for_long(told):
    market = Market("AAPL", stale_seconds=60.0 if told else 0.05)
    gateway = Gateway(market, lines=1)

    async def play():
        await market.bars.greet(gateway)
        market.bars.notice(FARM_LOST)
        await market.at(3, 40)
        assert gateway.taken == [5]
        if told:
            market.bars.notice(FARM_BACK)
        else:
            await asyncio.sleep(0.06)
        await market.at(3, 50)

    run(play())
    assert gateway.taken == [6]


def test_trades_of_a_symbol_are_not_asked_for_again_sooner_than_the_gateway_allows():
    market = Market("AAPL", apart_seconds=0.05)
    gateway = Gateway(market, lines=1)

    async def play():
        await market.bars.greet(gateway)
        await cut(market, gateway, "link only")
        assert gateway.taken == []
        await asyncio.sleep(0.05)
        await market.at(3, 40)

    run(play())
    assert gateway.taken == [6]


def test_a_link_that_is_lost_before_missing_bars_are_asked_for_leaves_the_open_bar_alone():
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)

    async def play():
        await market.bars.greet(gateway)
        await market.at(3, 30)
        market.now = START + timedelta(minutes=4, seconds=6)
        market.bars.on_time()
        market.bars.notice(LOST)
        await asyncio.sleep(0.01)
        assert market.volumes() == []
        await cut(market, gateway, "link only")
        await market.at(4, 30)
        await market.at(5, 6)

    run(play())
    assert market.volumes() == [(minute, 100.0) for minute in range(1, 6)]


def test_missing_bars_are_asked_for_once_though_the_time_is_looked_at_with_each_of_them():
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)
    asked = []

    def give(row):
        market.given.append(row)
        market.bars.on_time()

    async def history(*rest):
        asked.append(rest)
        return await Gateway.history(gateway, *rest)

    market.bars = TradeBars(market.terms, market.building, Known({}), give, lambda: market.now, HistoryPacer())
    market.bars.begin_after({"AAPL": START})
    gateway.history = history

    async def play():
        await market.bars.greet(gateway)
        await market.at(3, 30)
        await market.at(4, 6)

    run(play())
    assert (len(asked), market.volumes()) == (1, [(minute, 100.0) for minute in range(1, 5)])


def test_a_subscription_that_left_while_a_farm_was_broken_is_replaced():
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)

    async def play():
        greeting = asyncio.ensure_future(market.bars.greet(gateway))
        await asyncio.sleep(0)
        market.bars.notice(FARM_LOST)
        await greeting
        assert gateway.taken == [5]
        market.bars.notice(FARM_BACK)
        await market.at(3, 50)

    run(play())
    assert gateway.taken == [6]


def test_missing_bars_that_nobody_answered_for_are_asked_for_again_and_keep_no_other_symbol_waiting():
    market = Market("AAPL", again_seconds=0.05)
    gateway = Gateway(market)
    gateway.troubles = [TimeoutError()]

    async def play():
        await market.bars.greet(gateway)
        await market.at(3, 30)
        await market.at(4, 6)
        assert market.volumes() == []
        assert market.bars.horizon == market.now - market.terms.grace
        market.trade(gateway, 5.0)
        await market.at(5, 6)
        await asyncio.sleep(0.06)
        await market.at(5, 7)

    run(play())
    assert market.volumes() == [(1, 100.0), (2, 100.0), (3, 100.0), (4, 100.0), (5, 5.0)]


PAST_LOST, PAST_BACK = Notice(-1, 2105, "HMDS data farm connection is broken:ushmds"), Notice(-1, 2107, "")
US_LOST = Notice(-1, 2103, "Market data farm connection is broken:usfarm")
US_BACK = Notice(-1, 2104, "Market data farm connection is OK:usfarm")
EU_BACK = Notice(-1, 2108, "Market data farm connection is inactive but should be available upon demand.eufarm")
WHOLE = [(1, 100.0), (2, 100.0), (3, 100.0), (4, 100.0)]


async def whole(market, gateway):
    """Every symbol is subscribed, and what was before it is fetched."""
    await market.bars.greet(gateway)
    await market.at(3, 30)
    await market.at(4, 6)
    assert market.volumes() == WHOLE


@pytest.mark.parametrize("other", [PAST_BACK, EU_BACK, Notice(-1, 2158, ""), Notice(-1, 2119, "connecting:usfarm")])
def test_trades_are_not_asked_for_before_the_farm_that_they_come_from_is_back(other):
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)

    async def play():
        await whole(market, gateway)
        for notice in (US_LOST, PAST_LOST, other):
            market.bars.notice(notice)
            await market.at(4, 10)
        assert gateway.number == 5
        market.bars.notice(US_BACK)
        await market.at(4, 20)
        assert gateway.taken == [6]

    run(play())


def test_bars_go_on_while_only_a_farm_of_history_is_broken():
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)

    async def play():
        await whole(market, gateway)
        market.trade(gateway, 5.0)
        market.bars.notice(PAST_LOST)
        await market.at(4, 30)
        market.trade(gateway, 6.0)
        await market.at(5, 6)

    run(play())
    assert (gateway.taken, market.volumes()) == ([5], [*WHOLE, (5, 11.0)])


def test_what_is_missing_is_asked_for_when_the_farm_of_history_is_back_and_others_go_on_before():
    market = Market("AAPL", "IBM", again_seconds=0.0)
    gateway = Gateway(market, lines=2)

    async def play():
        await whole(market, gateway)
        gateway.troubles = [AssertionError("nothing must be asked for")]
        market.bars.notice(PAST_LOST)
        market.bars.notice(Notice(gateway.taken[1], 10197, "IBM has no trades"))
        await asyncio.sleep(0.001)
        for second in (10, 20):
            await market.at(4, second)
        await market.at(5, 6)
        assert market.bars.horizon == START + timedelta(minutes=4)  # it may be back at once
        await market.at(5, 40)
        assert market.bars.horizon == market.now - market.terms.grace
        gateway.troubles = []
        market.bars.notice(PAST_BACK)
        await market.at(5, 50)

    run(play())
    assert market.volumes("IBM") == [*WHOLE, (5, 100.0)]


def test_a_request_that_failed_with_its_farm_is_no_attempt():
    market = Market("AAPL")
    gateway = Gateway(market, lines=1)

    async def play():
        await market.bars.greet(gateway)
        await market.at(3, 30)
        gateway.troubles = [TimeoutError()]
        market.now = START + timedelta(minutes=4, seconds=6)
        market.bars.on_time()
        market.bars.notice(PAST_LOST)
        await asyncio.sleep(0.01)
        assert gateway.troubles == []
        market.bars.notice(PAST_BACK)
        await market.at(4, 8)

    run(play())
    assert market.volumes() == WHOLE


@pytest.mark.parametrize("dead", [True, False], ids=["dead", "quiet"])
def test_a_line_that_died_without_a_word_is_replaced_and_one_without_trades_is_not(dead):
    market = Market("AAPL")
    gateway, traded = Gateway(market, lines=1), Gateway.history

    async def history(*rest):
        bars = await traded(gateway, *rest)
        return bars if dead else bars[:4]

    async def play():
        await whole(market, gateway)
        gateway.history = history
        await market.until(14)
        assert gateway.number == 5
        await market.until(17)
        assert gateway.taken == [6 if dead else 5]
        market.trade(gateway, 5.0)
        await market.until(18)

    run(play())
    assert market.volumes() == [*([(minute, 100.0) for minute in range(1, 17)] if dead else WHOLE), (18, 5.0)]


def test_what_is_built_is_given_before_anything_later_counts_as_given():
    market = Market("AAPL")
    gateway, horizons, answer = Gateway(market, lines=1), [], asyncio.Event()

    def give(row):
        if isinstance(row, RawBar):
            assert row.timestamp > max(horizons, default=START)
            horizons.append(market.bars.horizon)
            market.given.append(row)

    async def history(*rest):
        bars = await Gateway.history(gateway, *rest)
        await answer.wait()
        return bars

    async def play():
        gateway.history = history
        market.bars._give = give
        await market.bars.greet(gateway)
        await market.at(3, 30)
        for minute in (4, 5, 6):
            await market.at(minute, 6)
            market.trade(gateway, 5.0)
        await market.at(7, 6)
        answer.set()
        await asyncio.sleep(0.01)

    run(play())
    assert market.volumes() == [*WHOLE, (5, 5.0), (6, 5.0), (7, 5.0)]


@pytest.mark.parametrize(("lost", "asked"), [(False, []), (True, [5])])
def test_what_was_said_of_farms_before_bars_were_wanted_counts_unless_that_connection_is_lost(lost, asked):
    market, ears = Market("AAPL"), Ears()
    gateway = Gateway(market, lines=1)

    async def play():
        ears.notice(US_LOST)
        if lost:
            ears.lost()
        ears.add(market.bars)
        await market.bars.greet(gateway)
        assert gateway.taken == asked
        ears.notice(US_BACK)
        await market.at(3, 40)
        assert len(gateway.taken) == 1

    run(play())
