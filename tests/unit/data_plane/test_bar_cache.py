"""Bars that were fetched once: which windows are whole, and of which market they are."""

import asyncio
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from data_plane.connectors.ibkr import replay
from data_plane.connectors.ibkr_cache import BarCache, SeveralMarkets, folder, kept
from data_plane.connectors.ibkr_history import HistoryLoader, HistoryPacer, Wanted
from ibkr_client.connection import ConnectionLost, RequestRefused
from ibkr_client.contracts import Contracts
from ibkr_client.gateway_errors import GatewayUnavailable
from ibkr_client.messages import ContractDetails, HistoryBar

MONDAY = date(2024, 7, 8)  # begins a window of five days
DAY = timedelta(days=1)


class Gateway:
    """Answers with one bar at 15:00 UTC of each day that is over; counts what it was asked for."""

    def __init__(self, today=MONDAY):
        self.today, self.asked, self.silent, self.troubles = today, 0, set(), []

    async def contract_details(self, _, **__):
        return [ContractDetails(1, "AAPL", "SMART", "NASDAQ", "USD", 0.01, 1.0, ("SMART",), ())]

    async def history(self, contract_id, exchange, end, duration, bar_size):
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop()
        if end[:8] in self.silent:
            raise RequestRefused(162, "HMDS query returned no data")
        beyond = datetime.strptime(end, "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
        days = [beyond - number * DAY for number in range(int(duration.split()[0]), 0, -1)]
        return [
            HistoryBar(str(int(day.timestamp()) + 15 * 3_600), 1.0, 1.0, 1.0, 1.0, 1.0)
            for day in days
            if day.date() < self.today
        ]

    async def ready(self):
        return self


def wanted(today):
    return Wanted(("AAPL",), "1min", MONDAY, today - DAY, today)


def fetched(path, gateway, today):
    """Days of the bars that a run of that day has."""
    gateway.today, cache = today, BarCache(path, "1min")
    asyncio.run(HistoryLoader(Contracts({}), cache, HistoryPacer()).load(gateway, wanted(today), lambda step: None))
    return [row.timestamp.date() for row in replay(cache, wanted(today)).rows()]


def test_a_window_that_was_fetched_before_it_was_over_is_fetched_again_until_it_is_whole(tmp_path):
    gateway = Gateway()
    for after in (3, 4, 8, 12):
        today = MONDAY + after * DAY
        days = fetched(tmp_path, gateway, today)
        assert days == [MONDAY + number * DAY for number in range((today - MONDAY).days)]
    files = [path.name for path in sorted((tmp_path / "1min").glob("*.parquet"))]
    assert files == [f"AAPL.202407{first}-202407{end}.parquet" for first, end in (("08", 13), (13, 18), (18, 20))]


def test_a_second_run_of_one_day_asks_for_nothing(tmp_path):
    gateway = Gateway()
    today = MONDAY + 2 * DAY
    before = fetched(tmp_path, gateway, today)
    asked = gateway.asked
    assert fetched(tmp_path, gateway, today) == before
    assert gateway.asked == asked


def test_no_data_in_the_middle_of_the_data_is_not_taken_for_the_last_word(tmp_path):
    gateway, today = Gateway(), MONDAY + 15 * DAY
    gateway.silent = {"20240718"}
    days = fetched(tmp_path, gateway, today)
    assert days == [MONDAY + number * DAY for number in (*range(5), *range(10, 15))]
    gateway.silent, gateway.asked = set(), 0
    assert len(fetched(tmp_path, gateway, today)) == 15
    assert gateway.asked == 1


def test_no_data_before_the_first_bar_is_asked_for_once(tmp_path):
    gateway, today = Gateway(), MONDAY + 10 * DAY
    gateway.silent = {"20240713"}
    before = fetched(tmp_path, gateway, today)
    asked = gateway.asked
    assert fetched(tmp_path, gateway, today) == before == [MONDAY + number * DAY for number in range(5, 10)]
    assert gateway.asked == asked


def kept_days(path, *markets):
    for market in markets:
        fetched(folder(path, market), Gateway(), MONDAY + 2 * DAY)
    return kept(path, "1min")


def test_a_backtest_takes_the_bars_of_the_only_market_and_those_of_an_account_before_made_up_ones(tmp_path):
    with pytest.raises(FileNotFoundError, match="no 1min bars yet"):
        kept(tmp_path, "1min")
    assert kept_days(tmp_path, "aaaaaaaaaaaa") == folder(tmp_path, "aaaaaaaaaaaa") / "1min"
    assert kept_days(tmp_path, "") == folder(tmp_path, "") / "1min"
    assert kept_days(tmp_path, "bbbbbbbbbbbb") == folder(tmp_path, "") / "1min"


def test_bars_of_two_simulators_are_not_taken_for_one_market(tmp_path):
    with pytest.raises(SeveralMarkets, match="simulator-aaaaaaaaaaaa, simulator-bbbbbbbbbbbb"):
        kept_days(tmp_path, "aaaaaaaaaaaa", "bbbbbbbbbbbb")


def test_a_file_of_unknown_origin_is_of_no_market(tmp_path):
    fetched(tmp_path, Gateway(), MONDAY + 2 * DAY)
    with pytest.raises(FileNotFoundError):
        kept(tmp_path, "1min")


def back_filled(path, gateway, days):
    cache, told = BarCache(path, "1min"), []
    loader = HistoryLoader(Contracts({}), cache, HistoryPacer(), 0.0)
    asyncio.run(loader.until_complete(gateway.ready, wanted(MONDAY + days * DAY), told.append))
    return told


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr("data_plane.connectors.ibkr_history._BETWEEN_ROUNDS_SECONDS", 0.001)


def test_a_gateway_that_answers_for_no_window_is_not_asked_for_ever(tmp_path, impatient):
    gateway = Gateway(MONDAY + 5 * DAY)
    gateway.troubles = [TimeoutError()] * 100
    with capture_logs() as logs, pytest.raises(GatewayUnavailable, match="past bars"):
        back_filled(tmp_path, gateway, 5)
    assert [line["times"] for line in logs] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("times", "ends"), [(6, None), (100, GatewayUnavailable)])
def test_a_service_of_past_bars_that_is_being_connected_to_is_waited_for(tmp_path, impatient, times, ends):
    gateway = Gateway(MONDAY + 5 * DAY)
    gateway.troubles = [RequestRefused(162, "...error message:HMDS connection attempt failed.")] * times
    with pytest.raises(ends) if ends else nullcontext():
        assert back_filled(tmp_path, gateway, 5)[-1].done == 1


def test_a_gateway_that_answers_now_and_then_is_asked_until_all_is_there(tmp_path, impatient):
    gateway = Gateway(MONDAY + 20 * DAY)
    gateway.troubles = [TimeoutError(), ConnectionLost("")] * 4
    assert back_filled(tmp_path, gateway, 20)[-1].done == 4
    assert len(list((tmp_path / "1min").glob("*.parquet"))) == 4
