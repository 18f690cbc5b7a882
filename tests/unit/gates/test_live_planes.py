from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.market import BarEvent, OFIEvent, SliceEvent, TickEvent
from data_plane.connectors.ibkr import Batch
from data_plane.connectors.port import RawBar, RawQuote
from data_plane.settings import IbkrSourceSettings, LiveBarsFrom
from gates import live_planes
from gates.live_planes import LivePlanes
from gates.paper_session import run
from gates.session_plan import NoPaperSession, SessionPlan
from ibkr_client.settings import ContractSettings
from kernel.ports import nothing_to_settle
from order_plane.composition import build_simulation

OPENED = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
"""Of a session of XNYS."""


class Source:
    """Gives what it was told to, and remembers what it was asked for."""

    def __init__(self, address, terms):
        self.address, self.terms = address, terms
        self.given = []
        self.at = OPENED

    def begin(self, newest):
        self.begun = newest

    def batches(self, timeout):
        given, self.given = self.given, []
        return iter(given)

    def now(self):
        return self.at


class Deciding:
    """Listens to order flow, too."""

    handlers = {kind: (lambda message: ()) for kind in (BarEvent, SliceEvent, OFIEvent)}  # noqa: RUF012
    settle = staticmethod(nothing_to_settle)

    def restore(self, message):
        pass


@pytest.fixture
def planes(context, monkeypatch):
    monkeypatch.setattr(live_planes, "LiveSource", Source)

    def made(**choices):
        data = context.data
        if choices:
            data = data.model_copy(update={"sources": (), "ibkr": IbkrSourceSettings(**choices)})
        return LivePlanes(data, context.order, OPENED, build_simulation(context.order), (Deciding(),))

    return made


def bars(symbols, minute):
    at = OPENED + timedelta(minutes=minute)
    return Batch(
        [RawBar(symbol, at, 10.0, 11.0, 9.0, 10.0 + minute / 100, 5.0, "1min", "", 0) for symbol in symbols], at
    )


def told(planes, at, *batches):
    planes.source.given, planes.source.at = [*batches], at
    planes.run(1.0, lambda: not planes.source.given)
    return [(each.timestamp, each.late) for each in planes.market if isinstance(each, SliceEvent)]


def test_bars_are_those_that_the_settings_choose(planes):
    contract = ContractSettings(primary_exchange="NASDAQ")
    chosen = {"bars": LiveBarsFrom.TRADES, "quotes": True, "contracts": {"MSFT": contract}}
    terms = planes(**chosen).source.terms
    assert terms.building is not None
    assert terms.quotes
    assert terms.contracts["MSFT"].primary_exchange == "NASDAQ"
    usual = planes().source.terms
    assert (usual.building, usual.quotes) == (None, False)


def test_of_moments_that_come_at_once_only_the_newest_is_decided_on(planes, context):
    symbols = context.data.symbols
    first, second = OPENED + timedelta(minutes=1), OPENED + timedelta(minutes=2)
    assert told(planes(), second, bars(symbols, 1), bars(symbols, 2)) == [(first, True), (second, False)]


@pytest.mark.parametrize(("seconds", "late"), [(30, False), (31, True)])
def test_a_moment_that_is_told_too_late_is_not_decided_on(planes, context, seconds, late):
    at = OPENED + timedelta(minutes=1)
    found = told(planes(decide_within_seconds=30.0), at + timedelta(seconds=seconds), bars(context.data.symbols, 1))
    assert found == [(at, late)]


def test_the_backtest_hears_of_order_flow_as_the_strategy_does_and_of_no_more(planes, context):
    symbol = context.data.symbols[0]
    quotes = [
        RawQuote(symbol, OPENED + timedelta(seconds=each), 9.0, 10.0 + each, 11.0, 10.0, "", 0) for each in (1, 2, 3)
    ]
    made = planes(quotes=True)
    told(made, OPENED + timedelta(minutes=1), Batch([*quotes], OPENED), bars(context.data.symbols, 1))
    kinds = {type(each) for each in made.market}
    assert OFIEvent in kinds
    assert TickEvent not in kinds


@pytest.mark.parametrize(
    ("choices", "control_port", "fix"),
    [
        ({"quotes": True, "delayed": True}, None, r"data\.ibkr\.delayed: .* set it to false"),
        ({"bars": LiveBarsFrom.TRADES}, 1, r"data\.ibkr\.bars: .* leave out --sim"),
    ],
)
def test_a_session_that_would_not_trade_on_what_the_settings_say_is_refused(context, choices, control_port, fix):
    data = context.data.model_copy(update={"sources": (), "ibkr": IbkrSourceSettings(**choices)})
    with pytest.raises(NoPaperSession, match=fix):
        run(replace(context, data=data), SessionPlan(), control_port)
