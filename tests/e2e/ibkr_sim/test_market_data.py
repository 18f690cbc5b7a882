"""Contracts and market data through the real client libraries."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def history(ib, contract, **wanted):
    """Bars of the last days up to now, in epoch time."""
    asked = {
        "endDateTime": "",
        "durationStr": "2 D",
        "barSizeSetting": "1 min",
        "whatToShow": "TRADES",
        "useRTH": True,
        "formatDate": 2,
    }
    return await asyncio.wait_for(ib.reqHistoricalDataAsync(contract, **(asked | wanted)), 10)


def test_contracts_are_found_by_symbol_number_and_local_symbol(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            described = [
                clients.stock("MSFT"),
                clients.library.Contract(conId=272093),
                clients.library.Contract(secType="STK", localSymbol="MSFT", exchange="SMART"),
            ]
            for contract in described:
                (details,) = await ib.reqContractDetailsAsync(contract)
                assert (details.contract.conId, details.contract.symbol) == (272093, "MSFT")
                assert details.validExchanges.count(",") == details.marketRuleIds.count(",")
                assert details.timeZoneId == "US/Eastern"
            with pytest.raises(clients.library.wrapper.RequestError) as refused:
                await ib.reqContractDetailsAsync(clients.stock("NOSUCH"))
            assert refused.value.code == 200

    run(scenario())


def test_a_market_rule_has_a_finer_step_below_a_dollar(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            rule = await ib.reqMarketRuleAsync(26)
            assert [(step.lowEdge, step.increment) for step in rule] == [(0.0, 0.0001), (1.0, 0.01)]

    run(scenario())


def test_historical_bars_of_every_size_tell_the_same_story(clients, simulate, run):
    async def scenario():
        simulator = simulate("--start", "20240710 12:00:00")
        async with clients.connected(simulator) as ib:
            end = "20240710 12:00:00 US/Eastern"
            minutes = await history(ib, clients.stock(), endDateTime=end, durationStr="1 D")
            assert len(minutes) == 150
            assert minutes[0].date == datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
            assert {after.date - before.date for before, after in pairwise(minutes)} == {timedelta(minutes=1)}
            for size in ("5 secs", "30 secs", "5 mins", "1 hour", "1 day"):
                asked = {"endDateTime": end, "durationStr": "1 D", "barSizeSetting": size}
                bars = await history(ib, clients.stock(), **asked)
                assert (bars[0].open, bars[-1].close) == (minutes[0].open, minutes[-1].close), size
                assert max(bar.high for bar in bars) == max(bar.high for bar in minutes), size
                assert min(bar.low for bar in bars) == min(bar.low for bar in minutes), size
                assert sum(bar.volume for bar in bars) == sum(bar.volume for bar in minutes), size

    run(scenario())


def test_no_history_before_the_first_bar_is_an_error(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            with pytest.raises(clients.library.wrapper.RequestError) as refused:
                await history(ib, clients.stock(), endDateTime="20200101 10:00:00 US/Eastern", durationStr="60 S")
            assert refused.value.code == 162
            # ib_async takes 321 for a warning and would wait on.
            asked = asyncio.ensure_future(history(ib, clients.stock(), barSizeSetting="7 mins"))
            await until(lambda: 321 in clients.codes())
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    run(scenario())


def test_bars_kept_up_to_date_equal_the_history_asked_later(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--start", "20240710 10:00:30", "--speed", "60")
        async with clients.connected(simulator) as ib:
            bars = await history(ib, clients.stock(), durationStr="1 D", keepUpToDate=True)
            await until(lambda: len(bars) > 33)
            complete = bars[:-1]
            later = await history(ib, clients.stock(), durationStr="1 D")
            assert later[: len(complete)] == complete

    run(scenario())


def test_five_second_bars_follow_each_other(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "20")
        async with clients.connected(simulator) as ib:
            bars = ib.reqRealTimeBars(clients.stock(), 5, "TRADES", True)
            await until(lambda: len(bars) >= 4)
            assert {after.time - before.time for before, after in pairwise(bars)} == {timedelta(seconds=5)}
            assert all(bar.low <= min(bar.open_, bar.close) <= bar.high and bar.volume > 0 for bar in bars)

    run(scenario())


def test_a_market_data_line_shows_quotes_and_ends_when_cancelled(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "10", "--start", "20240710 10:00:00")
        async with clients.connected(simulator) as ib:
            ticker = ib.reqMktData(await clients.qualified(ib), "233")
            await until(lambda: ticker.bid == ticker.bid and ticker.rtVolume == ticker.rtVolume)
            assert 0 < ticker.bid < ticker.ask
            assert ticker.marketDataType == 1
            seen = ticker.volume
            await until(lambda: ticker.volume > seen)
            ib.cancelMktData(ticker.contract)
            await asyncio.sleep(0.3)
            ib.client.cancelMktData(4321)
            await until(lambda: (4321, 300) in clients.errors)

    run(scenario())


def test_ticks_by_tick_are_the_quotes_and_trades(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "10")
        async with clients.connected(simulator) as ib:
            seen = {"Last": [], "BidAsk": [], "MidPoint": []}
            for kind, found in seen.items():
                symbol = {"Last": "AAPL", "BidAsk": "MSFT", "MidPoint": "IBM"}[kind]
                ticker = ib.reqTickByTickData(await clients.qualified(ib, symbol), kind)
                ticker.updateEvent += lambda each, found=found: found.extend(each.tickByTicks)
            await until(lambda: all(len(found) >= 3 for found in seen.values()))
            assert all(tick.bidPrice < tick.askPrice for tick in seen["BidAsk"] if hasattr(tick, "bidPrice"))

    run(scenario())


def test_without_a_subscription_data_is_delayed_if_asked_for(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--market-data", "delayed", "--start", "20240710 12:00:00")
        async with clients.connected(simulator) as ib:
            ib.reqMktData(await clients.qualified(ib))
            await until(lambda: 354 in clients.codes())
            ib.reqMarketDataType(3)
            ticker = ib.reqMktData(await clients.qualified(ib, "MSFT"))
            await until(lambda: ticker.last == ticker.last)
            assert ticker.marketDataType == 3
            assert 10167 in clients.codes()

    run(scenario())


def test_profit_and_loss_follows_the_market(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "30")
        async with clients.connected(simulator) as ib:
            contract = clients.stock()
            await ib.qualifyContractsAsync(contract)
            trade = ib.placeOrder(contract, clients.market("BUY", 100))
            await until(trade.isDone)
            whole, single = ib.reqPnL("DU1234567"), ib.reqPnLSingle("DU1234567", "", contract.conId)
            await until(lambda: single.position == 100 and whole.dailyPnL == whole.dailyPnL)
            first = single.unrealizedPnL
            await until(lambda: single.unrealizedPnL != first)
            assert single.value == pytest.approx(100 * (single.value / 100))
            assert single.unrealizedPnL == pytest.approx(
                single.value - 100 * trade.orderStatus.avgFillPrice - 1, abs=0.02
            )

    run(scenario())


def test_small_questions_are_answered(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            head = await ib.reqHeadTimeStampAsync(clients.stock(), "TRADES", True, 1)
            assert (head.year, head.month, head.day) == (2024, 7, 8)
            assert (await ib.reqCurrentTimeAsync()).year == 2024
            assert [found.contract.symbol for found in await ib.reqMatchingSymbolsAsync("AAP")] == ["AAPL"]
            assert await ib.reqSecDefOptParamsAsync("AAPL", "", "STK", 265598) == []
            ticks = await ib.reqHistoricalTicksAsync(clients.stock(), "20240709 10:00:00", "", 20, "TRADES", True)
            assert len(ticks) == 20

    run(scenario())
