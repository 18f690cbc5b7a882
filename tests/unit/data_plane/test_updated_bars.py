"""Bars that the gateway keeps up to date, when its messages come close together, late or not at all."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from virtual_time import run

from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_live import UpdatedBars
from data_plane.connectors.ibkr_terms import LiveTerms
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import HistoryBar, Notice

OPENED = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)


def bar(minute, volume):
    start = int((OPENED + timedelta(minutes=minute)).timestamp())
    return HistoryBar(str(start), 10.0, 11.0, 9.0, 10.0, volume)


class Gateway:
    """A connection whose updates arrive together with the answer to the request for them."""

    def __init__(self, market, answer, updates):
        self.market, self.answer, self.updates = market, answer, updates

    async def keep_bars(self, contract_id, exchange, duration, bar_size):
        for number, update in self.updates:
            self.market.bar_update(number, update)
        return 5, self.answer

    async def cancel_bars(self, number):
        pass


@pytest.fixture
def given():
    return []


@pytest.fixture
def market(given):
    contracts = Contracts({})
    contracts._found["AAPL"] = Qualified(1, "AAPL", ContractTerms(), ((0.0, 0.01),), 1.0)
    return UpdatedBars(LiveTerms(("AAPL",), "1min"), contracts, given.append, lambda: OPENED, HistoryPacer())


@pytest.mark.parametrize("updates", [[(5, bar(1, 100.0))], [(5, bar(1, 100.0)), (5, bar(2, 0.5)), (6, bar(3, 1.0))]])
def test_an_update_that_comes_with_the_answer_is_not_lost(market, given, updates):
    async def play():
        await market.greet(Gateway(market, [bar(0, 50.0), bar(1, 90.0)], updates))
        market.bar_update(5, bar(2, 1.0))

    run(play())
    assert [(row.timestamp, row.volume) for row in given] == [
        (OPENED + timedelta(minutes=1), 50.0),
        (OPENED + timedelta(minutes=2), 100.0),
    ]


def test_updates_of_subscriptions_that_ended_are_forgotten(market, given):
    async def play():
        await market.greet(Gateway(market, [bar(0, 50.0)], [(4, bar(7, 1.0))]))
        market.bar_update(4, bar(8, 1.0))
        market.bar_update(5, bar(1, 1.0))

    run(play())
    assert [row.volume for row in given] == [50.0]
    assert market._early == {}


class Service:
    """A connection that knows which requests it keeps up to date, and answers in its own time, or not at all."""

    def __init__(self):
        self.kept, self.number, self.seconds, self.troubles, self.at = [], 0, 0.0, [], []
        self.waiting, self.most = 0, 0

    async def keep_bars(self, *rest):
        self.number += 1
        number = self.number
        self.waiting += 1
        self.most = max(self.most, self.waiting + len(self.kept))
        try:
            return await self.answer(number)
        finally:
            self.waiting -= 1

    async def answer(self, number):
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        if self.troubles:
            raise self.troubles.pop()
        self.kept.append(number)
        return number, [bar(0, 50.0)]

    async def cancel_bars(self, number):
        await asyncio.sleep(0)
        self.kept.remove(number)


def of(symbols, bar_size="1min", pacer=None, **terms):
    contracts = Contracts({})
    for symbol in symbols:
        contracts._found[symbol] = Qualified(1, symbol, ContractTerms(), ((0.0, 0.01),), 1.0)
    live = LiveTerms(symbols, bar_size, **terms)
    return UpdatedBars(live, contracts, lambda row: None, lambda: OPENED, pacer or HistoryPacer())


def test_of_a_symbol_that_is_asked_for_in_vain_nothing_is_left_over():
    market, service = of(("AAPL",), stale_seconds=0.01, again_seconds=0.01), Service()

    async def play():
        await market.greet(service)
        assert service.kept == [1]
        service.troubles = [TimeoutError()] * 3
        for _ in range(3):
            await asyncio.sleep(0.02)
            market.on_time()
            await asyncio.sleep(0.001)
            market.on_time()
            await asyncio.sleep(0.001)
            assert service.kept == []
        await asyncio.sleep(0.02)
        market.on_time()
        await asyncio.sleep(0.001)

    run(play())
    assert service.kept == [5]


def test_a_symbol_whose_answer_is_waited_for_is_not_asked_for_again():
    market, service = of(("AAPL",), stale_seconds=0.001), Service()
    service.seconds = 0.05

    async def play():
        greeting = asyncio.ensure_future(market.greet(service))
        for _ in range(5):
            await asyncio.sleep(0.005)
            market.on_time()
        await greeting

    run(play())
    assert service.number == 1


@pytest.mark.parametrize("broken", [True, False], ids=["after a farm", "after a long silence"])
def test_what_was_kept_is_cancelled_before_more_is_asked_for_since_the_gateway_keeps_no_more_than_fifty(broken):
    symbols = ("AAPL", "MSFT", "IBM")
    market, service = of(symbols, stale_seconds=0.01), Service()
    service.seconds = 0.001

    async def play():
        await market.greet(service)
        if broken:
            market.notice(Notice(-1, 2103, ""))
            market.notice(Notice(-1, 2104, ""))
        else:
            await asyncio.sleep(0.02)
            market.on_time()
        await asyncio.sleep(0.01)

    run(play())
    assert service.number == 2 * len(symbols)
    assert service.most == len(symbols)


def test_of_cancels_that_were_interrupted_by_another_cut_none_is_forgotten():
    symbols = tuple("ABCDEFGHIJ")
    market, service = of(symbols), Service()

    async def slowly(number, cancel=service.cancel_bars):
        await asyncio.sleep(0.1)
        await cancel(number)

    async def play():
        await market.greet(service)
        service.cancel_bars = slowly
        for code, seconds in ((2103, 0.0), (2104, 0.05), (2103, 0.0), (2104, 5.0)):
            market.notice(Notice(-1, code, ""))
            await asyncio.sleep(seconds)

    run(play())
    assert sorted(service.kept) == sorted(market._by_number)
    assert service.most == len(symbols)


def test_cancels_that_the_end_of_a_connection_interrupts_are_not_those_of_the_next_one():
    market, service = of(("AAPL", "MSFT")), Service()

    async def play():
        await market.greet(service)
        cancelled, service.cancel_bars = [], lambda number: asyncio.sleep(0.1, cancelled.append(number))
        market.notice(Notice(-1, 2103, ""))
        market.notice(Notice(-1, 2104, ""))
        await asyncio.sleep(0.05)
        market.lost()
        await asyncio.sleep(0.2)
        cancelled.clear()
        await market.greet(service)
        market.on_time()
        await asyncio.sleep(0.2)
        assert cancelled == []

    run(play())


@pytest.mark.parametrize("back", [2106, 1102])
def test_after_a_cut_each_symbol_is_kept_once_even_when_it_was_being_asked_for(back):
    market, service = of(("AAPL", "MSFT")), Service()
    service.seconds = 0.01

    async def play():
        await market.greet(service)
        for meanwhile in (False, True):
            greeting = asyncio.ensure_future(market.greet(service)) if meanwhile else None
            await asyncio.sleep(0.001)
            market.notice(Notice(-1, 2105 if back == 2106 else 1100, ""))
            if back == 1102:
                await market.greet(service)
            market.notice(Notice(-1, 2106, ""))
            market.notice(Notice(-1, 2104, ""))
            await asyncio.sleep(0.05)
            if greeting:
                await greeting
            market.on_time()
            await asyncio.sleep(0.001)
            assert len(service.kept) == 2
            assert sorted(service.kept) == sorted(market._by_number)

    run(play())


@pytest.mark.parametrize(("broken", "back"), [(2103, 2104), (2103, 2108), (2105, 2107)])
def test_a_farm_that_is_inactive_after_it_was_broken_is_back(broken, back):
    market, service = of(("AAPL",)), Service()

    async def play():
        await market.greet(service)
        for code in (broken, 2119, back):
            market.notice(Notice(-1, code, ""))
            await asyncio.sleep(0.001)
            assert service.number == (2 if code == back else 1)  # 2119: it is being connected to

    run(play())


BROKEN_US, BROKEN_EU, BROKEN_PAST = (
    Notice(-1, 2103, "Market data farm connection is broken:usfarm"),
    Notice(-1, 2103, "Market data farm connection is broken:eufarm"),
    Notice(-1, 2105, "HMDS data farm connection is broken:ushmds"),
)
OK_US, OK_EU, OK_PAST = (
    Notice(-1, 2104, "Market data farm connection is OK:usfarm"),
    Notice(-1, 2108, "Market data farm connection is inactive but should be available upon demand.eufarm"),
    Notice(-1, 2107, "HMDS data farm connection is inactive but should be available upon demand.ushmds"),
)


@pytest.mark.parametrize(
    "notices",
    [(BROKEN_US, BROKEN_PAST, OK_PAST, OK_US), (BROKEN_US, BROKEN_PAST, OK_US, OK_PAST), (BROKEN_US, OK_EU, OK_US)],
    ids=["past first", "market first", "another one"],
)
@pytest.mark.parametrize("greeted", [False, True], ids=["", "greeted meanwhile"])
def test_bars_are_asked_for_when_the_last_farm_that_they_need_is_back_and_not_before(notices, greeted):
    market, service = of(("AAPL",)), Service()

    async def play():
        await market.greet(service)
        for notice in notices[:-1]:
            market.notice(notice)
            await asyncio.sleep(0.001)
        if greeted:
            await market.greet(service)
        assert service.number == 1
        market.notice(notices[-1])
        await asyncio.sleep(0.001)
        assert service.number == 2

    run(play())


def test_bars_are_not_asked_for_while_the_gateway_has_no_link():
    market, service = of(("AAPL",)), Service()

    async def play():
        await market.greet(service)
        for notice in (BROKEN_US, Notice(-1, 1100, ""), OK_US):
            market.notice(notice)
        await asyncio.sleep(0.001)
        assert service.number == 1
        market.notice(Notice(-1, 1102, ""))
        await market.greet(service)
        assert service.number == 2

    run(play())


def test_a_farm_of_which_no_more_is_said_is_waited_for_no_longer_than_silence():
    market, service = of(("AAPL",), stale_seconds=0.02), Service()

    async def play():
        await market.greet(service)
        market.notice(BROKEN_US)
        market.on_time()
        await asyncio.sleep(0.01)
        assert service.number == 1
        await asyncio.sleep(0.02)
        market.on_time()
        await asyncio.sleep(0.001)
        assert service.number == 2
        market.notice(OK_US)  # what was asked for before it was back may have holes
        await asyncio.sleep(0.001)
        assert service.number == 3

    run(play())


def test_farms_of_definitions_do_not_stop_bars():
    market, service = of(("AAPL",)), Service()

    async def play():
        await market.greet(service)
        market.notice(Notice(-1, 2157, "Sec-def data farm connection is broken:secdefil"))
        market.notice(Notice(-1, 2158, "Sec-def data farm connection is OK:secdefil"))
        await asyncio.sleep(0.001)
        assert list(market._by_number) == [1]

    run(play())


@pytest.mark.parametrize("waits", [0.0, 0.02], ids=["asked", "waiting for its turn"])
def test_what_is_asked_for_since_the_cut_is_not_asked_for_with_each_farm_that_is_back(waits):
    market, service = of(("AAPL",), "30s", HistoryPacer(apart=waits, same_apart=waits)), Service()
    service.seconds = 0.01

    async def play():
        await market.greet(service)
        for code in (2103, 2105, 2157, 2104, 2106, 2158):
            market.notice(Notice(-1, code, ""))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)

    run(play())
    assert service.kept == [2]
    assert len(market._pacer._sent) == 2


def test_a_turn_that_has_not_come_yet_is_not_taken_twice():
    pacer = HistoryPacer(most=2, within=600.0, apart=5.0, same_apart=15.0)

    async def play():
        assert pacer.due("30s", "AAPL") == 0.0
        return [pacer.due("30s", symbol) for symbol in ("AAPL", "AAPL", "MSFT")]

    again, same, other = run(play())
    assert same == pytest.approx(again, abs=0.1)
    assert (again, other) == pytest.approx((15.0, 600.0), abs=0.1)


def test_what_was_asked_for_before_a_cut_and_never_answered_holds_up_nothing_that_is_asked_for_after_it():
    symbols = tuple("ABCDEFGHIJKL")  # more than are asked for at the same time
    market, service = of(symbols), Service()
    service.seconds = 5.0

    async def play():
        greeting = asyncio.ensure_future(market.greet(service))
        await asyncio.sleep(0.005)
        service.seconds = 0.0
        market.notice(Notice(-1, 2105, ""))
        market.notice(Notice(-1, 2106, ""))
        await asyncio.sleep(0.02)
        assert len(service.kept) == len(symbols)
        await greeting

    run(play())
    assert not any(series.refused for series in market._series.values())


def test_small_bars_are_asked_for_in_their_turn_and_a_long_turn_keeps_no_other_symbol_waiting():
    market = of(("A", "B", "C", "D"), "30s", HistoryPacer(most=3, apart=0.02))
    service = Service()
    market.begin_after(dict.fromkeys(("A", "B", "C", "D"), OPENED - timedelta(minutes=5)))

    async def play():
        greeting = asyncio.ensure_future(market.greet(service))
        await asyncio.sleep(0.1)
        assert len(service.kept) == 3
        assert min(later - earlier for earlier, later in pairwise(service.at)) > 0.015
        assert market.horizon == OPENED - market._terms.grace
        greeting.cancel()

    run(play())


def test_a_symbol_whose_answer_takes_long_keeps_no_other_one_waiting(monkeypatch):
    monkeypatch.setattr("data_plane.connectors.ibkr_live.PATIENT_SECONDS", 0.02)
    market, service = of(("AAPL",)), Service()
    market.begin_after({"AAPL": OPENED - timedelta(minutes=5)})
    service.seconds = 0.05

    async def play():
        greeting = asyncio.ensure_future(market.greet(service))
        await asyncio.sleep(0.005)
        assert market.horizon == OPENED - timedelta(minutes=5)
        await asyncio.sleep(0.03)
        assert market.horizon == OPENED - market._terms.grace
        await greeting
        assert not market._series["AAPL"].refused
        assert service.kept == [1]

    run(play())


def test_a_symbol_that_others_are_asked_for_before_is_waited_for(monkeypatch):
    monkeypatch.setattr("data_plane.connectors.ibkr_live.PATIENT_SECONDS", 0.06)
    symbols = tuple("ABCDEFGHIJKLMNOPQRSTU")  # more than are asked for at the same time, twice
    market, service = of(symbols), Service()
    market.begin_after(dict.fromkeys(symbols, OPENED - timedelta(minutes=5)))
    service.seconds = 0.04

    async def play():
        greeting = asyncio.ensure_future(market.greet(service))
        await asyncio.sleep(0.1)
        assert len(service.kept) < len(symbols)
        assert market.horizon == OPENED - timedelta(minutes=5)
        await greeting

    run(play())


def test_the_same_small_bars_are_not_asked_for_twice_within_the_time_that_the_gateway_forbids():
    market, service = of(("A",), "30s", HistoryPacer(apart=0.0, same_apart=0.05)), Service()

    async def play():
        for _ in range(3):
            await market.greet(service)

    run(play())
    assert min(later - earlier for earlier, later in pairwise(service.at)) >= 0.045


def test_the_same_small_bars_are_apart_as_they_leave_and_not_as_their_turns_come():
    market, service = of(("A",), "30s", HistoryPacer(apart=0.0, same_apart=0.05)), Service()
    qualified = market._contracts.qualified

    async def slowly(*rest):
        await asyncio.sleep(0.03 if not service.at else 0.0)
        return await qualified(*rest)

    market._contracts.qualified = slowly

    async def play():
        await market.greet(service)
        await market.greet(service)

    run(play())
    assert service.at[1] - service.at[0] >= 0.045


def test_updates_of_an_answer_that_came_too_late_are_cancelled():
    market, service = of(("AAPL",)), Service()

    async def play():
        await market.greet(service)
        service.kept.append(9)
        for _ in range(2):
            market.bar_update(9, bar(1, 1.0))
        market.on_time()
        await asyncio.sleep(0.001)

    run(play())
    assert service.kept == [1]
