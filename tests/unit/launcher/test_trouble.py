"""What keeps a run from trading, as the line of `up` says it."""

import io
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rich.console import Console

from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import ExecutionReport, OrderStatus
from ibkr_client.gateway_note import GatewayNote, planes_without_gateway
from launcher.progress import Counts, shown
from launcher.trouble import Trouble

AT = datetime(2024, 7, 10, 16, tzinfo=UTC)
FINE = Counts(bars=10, intents=3, fills=1, dead_letters=0, equity=1_000_000.0)


def rejected(number, reason="TRADING_HALTED: the symbol is halted"):
    names = {"intent_id": UUID(int=number), "order_id": "o", "symbol": "AAPL"}
    return ExecutionReport(
        **names, status=OrderStatus.REJECTED, filled_quantity=0.0, timestamp=AT, reject_reason=reason
    )


def halt(symbol, number, *, engage=True, scope=KillScope.SYMBOL):
    return KillSwitchCommand(
        command_id=UUID(int=number), timestamp=AT, engage=engage, scope=scope, target=symbol, operator="x", reason="y"
    )


def test_each_intent_that_was_refused_counts_once_under_the_first_word_of_its_reason():
    trouble = Trouble()
    for each in (rejected(1), rejected(1), rejected(2), rejected(3, "MAX_ORDER_VALUE: too much")):
        trouble.take(each)
    assert trouble.rejected == {"TRADING_HALTED": 2, "MAX_ORDER_VALUE": 1}


def test_symbols_that_are_halted_are_counted_until_they_are_released():
    trouble = Trouble()
    for each in (halt("AAPL", 1), halt("AAPL", 2), halt("IBM", 3), halt("*", 4, scope=KillScope.GLOBAL)):
        trouble.take(each)
    assert trouble.halted == ("AAPL", "IBM")
    trouble.take(halt("AAPL", 5, engage=False))
    assert trouble.halted == ("IBM",)


def test_a_plane_says_whether_it_has_its_gateway_when_that_changes(tmp_path):
    data, order = GatewayNote(tmp_path, "data"), GatewayNote(tmp_path, "order")
    assert planes_without_gateway(tmp_path) == ()
    data(connected=False)
    order(connected=True)
    assert planes_without_gateway(tmp_path) == ("data",)
    (tmp_path / "gateway_gone.data").unlink()
    data(connected=False)  # nothing new, so nothing is written
    assert planes_without_gateway(tmp_path) == ()
    order(connected=False)
    data(connected=True)
    assert planes_without_gateway(tmp_path) == ("order",)
    GatewayNote(tmp_path, "order")(connected=True)  # the next life
    assert planes_without_gateway(tmp_path) == ()


@pytest.mark.parametrize("terminal", [True, False])
def test_trouble_stands_behind_the_counts_or_below_them_and_only_while_there_is_any(terminal):
    trouble = Trouble()
    for each in (rejected(1), rejected(2), halt("AAPL", 1)):
        trouble.take(each)
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None)
    bad = replace(FINE, rejected=trouble.rejected, halted=trouble.halted, without_gateway=("data", "order"))
    with shown(console, None) as show:
        show(bad)
    assert "2 refused (TRADING_HALTED)  1 halted (AAPL)  no gateway: data, order" in out.getvalue()
    assert str(FINE) in out.getvalue()
    assert FINE.trouble == ""


def test_a_rejection_of_the_gateway_does_not_hide_behind_more_frequent_ones():
    counts = Counts(0, 0, 0, 0, 1.0, rejected=Counter({"BROKER_UNAVAILABLE": 5, "IBKR_201": 1}))
    assert counts.trouble == "6 refused (BROKER_UNAVAILABLE, IBKR_201)"
