"""Every row of the error policy has a script here that makes the gateway say it, and what must follow.

A code that is added to the policy without a script fails the last test.
"""

import asyncio
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest
from ibkr_codes import CERTAIN, FALSE_CANCELS, NOTICES, REFUSED, UNCHANGED, UNKNOWN

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr import LiveSource, SourceTerms
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.ibkr_trades import Building
from data_plane.connectors.port import RawBar
from data_plane.session_grid import SessionGrid
from domain.exchange_sessions import load_calendar
from ibkr_client import error_policy
from ibkr_client.error_policy import ORDER_POLICY, OnOrder
from ibkr_client.lifeline import Address
from order_plane.brokers.ibkr_ids import OrderIds
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.facts import FactKind

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
    pytest.mark.slow,
]

OPENED = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
SUBSCRIPTIONS = (101, 102, 162, 200, 321, 322, 354, 420, 10089, 10186, 10189, 10190, 10197)
"""What may be said of a subscription that there will be nothing of."""
ON_ORDERS = {
    OnOrder.REFUSED: REFUSED,
    OnOrder.CANCELLED: (202,),
    OnOrder.NOTICE: (*NOTICES, 2100, 2109, 2161, 2198),
    OnOrder.UNCHANGED: UNCHANGED,
    OnOrder.UNKNOWN: UNKNOWN,
}
NEVER_A_REFUSAL = sorted({*NOTICES, *UNCHANGED, *UNKNOWN, *FALSE_CANCELS} - {382})


def works(broker, simulator, count):
    """Every order lives, here and there."""
    assert len(broker.snapshot().open_orders) == count
    assert {order["status"] for order in simulator.state()["orders"]} == {"Submitted"}


@pytest.fixture
def orders(desk, simulate):
    """A broker that has little patience, at a gateway without a limit on orders."""
    simulator = simulate("--active-orders", "0")
    return desk.broker(simulator, answer_seconds=3.0), simulator


def test_refused_ends_an_order_that_was_never_seen_alive(desk, orders):
    broker, simulator = orders
    for number, code in enumerate(ON_ORDERS[OnOrder.REFUSED], start=1):
        simulator.fault(do="reject", code=code, text="no")
        with pytest.raises(BrokerRefused, match=f"IBKR_{code}: no"):
            broker.submit(desk.order(number))
    assert list(broker.drain()) == []
    assert {order["status"] for order in simulator.state()["orders"]} == {"Inactive"}


@pytest.mark.parametrize("verdict", [OnOrder.REFUSED, OnOrder.NOTICE, OnOrder.UNCHANGED, OnOrder.UNKNOWN])
def test_nothing_but_the_gateways_own_list_ends_an_order_that_works(desk, orders, told, verdict):
    broker, simulator = orders
    facts, codes = told(broker), ON_ORDERS[verdict]
    for number, code in enumerate(codes, start=1):
        simulator.fault(do="order_error", code=code, text="order message")
        facts.facts += broker.submit(desk.resting(number))
    works(broker, simulator, len(codes))
    assert facts.kinds() == ["ACK"] * len(codes)


@pytest.mark.parametrize("more", [[], [{"do": "silent_ack"}]], ids=["then it is seen", "and nothing more is said"])
def test_what_is_no_refusal_never_ends_an_order_that_was_not_seen_alive_yet(desk, simulate, told, more):
    simulator = simulate("--active-orders", "0")
    broker = desk.broker(simulator, answer_seconds=0.3)
    facts = told(broker)
    for number, code in enumerate(NEVER_A_REFUSAL, start=1):
        for fault in ({"do": "early_error", "code": code, "text": "order message"}, *more):
            simulator.fault(**fault)
        facts.facts += broker.submit(desk.resting(number))
    works(broker, simulator, len(NEVER_A_REFUSAL))
    assert facts.kinds() == ["ACK"] * len(NEVER_A_REFUSAL)


def test_an_order_that_ended_for_an_unknown_reason_is_refused_with_that_reason(desk, simulator):
    simulator.fault(do="reject", code=463, text="no such thing")
    with pytest.raises(BrokerRefused, match="IBKR_463: no such thing"):
        desk.broker(simulator).submit(desk.order())


def test_what_is_no_refusal_leaves_an_order_that_is_nowhere_in_doubt(desk, simulate):
    simulator = simulate()
    broker = desk.broker(simulator, answer_seconds=0.3)
    for number, code in enumerate(NEVER_A_REFUSAL, start=1):
        simulator.fault(do="request_error", on="placeOrder", code=code, text="order message")
        with pytest.raises(BrokerStateUnknown):
            broker.submit(desk.resting(number))
        with pytest.raises(BrokerStateUnknown, match="never sent twice"):
            broker.submit(desk.resting(number))
    assert list(broker.drain()) == []
    assert simulator.state()["orders"] == []


def test_a_number_that_another_order_had_leaves_the_new_order_in_doubt(desk, simulator, monkeypatch):
    first = desk.broker(simulator)
    first.submit(desk.resting(1))
    first.cancel(desk.a_cancel(1))
    first.close()
    desk.path = desk.path.with_name("lost.sqlite")
    monkeypatch.setattr(OrderIds, "begin_at", lambda ids, order_id: None)  # a gateway that tells too low a number
    second = desk.broker(simulator)
    with pytest.raises(BrokerStateUnknown):
        second.submit(desk.resting(2))
    assert second.heard[103] == 1
    assert second.lookup(desk.order(2).intent.intent_id) is None
    assert list(second.drain()) == []
    assert [order["status"] for order in simulator.state()["orders"]] == ["Cancelled"]


def test_unchanged_is_the_answer_to_a_cancel_that_was_refused(desk, orders):
    broker, simulator = orders
    for number, code in enumerate(ON_ORDERS[OnOrder.UNCHANGED], start=1):
        broker.submit(desk.resting(number))
        simulator.fault(do="order_error", on="cancelOrder", code=code)
        with pytest.raises(BrokerRefused, match=f"IBKR_{code}"):
            broker.cancel(desk.a_cancel(number))
    works(broker, simulator, len(ON_ORDERS[OnOrder.UNCHANGED]))


def test_cancelled_ends_an_order_whether_it_was_seen_alive_or_not(desk, orders, told):
    broker, simulator = orders
    facts = told(broker, broker.submit(desk.resting(1)))
    facts.facts += broker.cancel(desk.a_cancel(1))
    facts.wait("ACK", "CANCELLED")
    simulator.fault(do="reject", code=202, text="price check")
    facts.facts += broker.submit(desk.order(2))
    assert [fact.kind for fact in facts.facts[2:]] == [FactKind.ACK, FactKind.CANCELLED]


def too_many_messages(desk, simulator, until):
    broker = desk.broker(simulator)
    simulator.fault(do="notice", code=error_policy.PACING, text="Max rate of messages per second has been exceeded")
    assert [fact.kind for fact in broker.submit(desk.resting())] == [FactKind.ACK]


def client_id_in_use(desk, simulator, until):
    desk.broker(simulator)
    with pytest.raises(BrokerUnavailable, match="client id 1 is in use"):
        desk.broker(simulator)


def link_down_and_up(code, up):
    def case(desk, simulator, until):
        broker = desk.broker(simulator)
        broker.submit(desk.resting(1))
        simulator.fault(do="notice", code=code, text="the link is down")
        until(lambda: not broker.ready)
        with pytest.raises(BrokerUnavailable):
            broker.submit(desk.resting(2))
        simulator.fault(do="notice", code=up, text="the link is back") if up else simulator.fault(do="drop_link")
        until(lambda: broker.ready)
        assert len(broker.snapshot().open_orders) == 1
        assert broker.connects == (1 if up else 2)

    return case


def bars_are_asked_for_again(*faults):
    def case(desk, simulator, until):
        live = LiveTerms(("AAPL",), "1min")
        address = Address("127.0.0.1", simulator.port, 7, first_wait=0.05, patience=3.0)
        with closing(LiveSource(address, SourceTerms(live, desk.path.parent / "cache"), desk.library)) as source:
            source.begin({"AAPL": OPENED})
            rows = []

            def come(count):
                rows.extend(row for batch in source.batches(0.1) for row in batch.rows if isinstance(row, RawBar))
                return len(rows) >= count

            until(lambda: come(1), 30)
            for fault in faults:
                simulator.fault(**fault)
            goal = len(rows) + 3
            until(lambda: come(goal), 30)
            assert source.heard[error_policy.HISTORY] == 0  # cancelled as asked is no complaint
        assert [row.timestamp for row in rows] == [OPENED + timedelta(minutes=1 + place) for place in range(len(rows))]

    return case


def every_symbol(simulate, codes):
    """A gateway with MSFT and a symbol for each code, the code by its symbol."""
    by_symbol = {f"X{code}": code for code in codes}
    words = [word for symbol in ("MSFT", *by_symbol) for word in ("--symbol", symbol)]
    return simulate("--speed", "60", "--message-rate", "0", *words), by_symbol


def subscribed(desk, simulator, by_symbol, **changes):
    """Bars of all symbols, of which what ended or was refused is soon asked for again."""
    live = LiveTerms(("MSFT", *by_symbol), "1min", again_seconds=1.0, apart_seconds=1.0)
    address = Address("127.0.0.1", simulator.port, 7, first_wait=0.05, patience=3.0)
    source = LiveSource(address, SourceTerms(live, desk.path.parent / "cache", **changes), desk.library)
    source.begin(dict.fromkeys(live.symbols, OPENED))
    return source


def come(source, rows, symbols, count):
    """Whether ``count`` bars of each symbol are among the ``rows`` that came."""
    rows.extend(row for batch in source.batches(0.1) for row in batch.rows if isinstance(row, RawBar))
    counted = Counter(row.symbol for row in rows)
    return all(counted[symbol] >= count for symbol in symbols)


def check_undisturbed(rows):
    """No bar of the symbol that nothing was said of is missing, and none came twice."""
    mine = [row.timestamp for row in rows if row.symbol == "MSFT"]
    assert mine == [OPENED + timedelta(minutes=1 + place) for place in range(len(mine))]


@pytest.mark.parametrize("codes", [SUBSCRIPTIONS[place : place + 4] for place in range(0, len(SUBSCRIPTIONS), 4)])
def test_a_symbol_whose_trades_are_refused_holds_no_other_up_and_is_asked_for_again(desk, simulate, until, codes):
    (simulator, by_symbol), rows = every_symbol(simulate, codes), []
    for symbol, code in by_symbol.items():
        simulator.fault(do="request_error", on="reqTickByTickData", symbol=symbol, code=code, text="not now")
    grid = SessionGrid(load_calendar("XNYS", date(2024, 7, 1), date(2024, 7, 31)), "1min")
    with closing(
        subscribed(desk, simulator, by_symbol, building=Building(grid, TickAggregator(grid, "1min")))
    ) as source:
        until(lambda: come(source, rows, ["MSFT"], 2), 30)
        until(lambda: come(source, rows, by_symbol, 2), 30)
        assert {code: source.heard[code] for code in codes} == dict.fromkeys(codes, 1)
        assert source.connects == 1
    check_undisturbed(rows)


def test_bars_that_are_refused_hold_no_other_up_and_are_asked_for_again(desk, simulate, until):
    (simulator, by_symbol), rows = every_symbol(simulate, SUBSCRIPTIONS), []
    for symbol, code in by_symbol.items():
        simulator.fault(do="request_error", on="reqHistoricalData", symbol=symbol, code=code, text="not now")
    with closing(subscribed(desk, simulator, by_symbol)) as source:
        until(lambda: come(source, rows, ["MSFT"], 1), 30)
        until(lambda: come(source, rows, by_symbol, 2), 30)
        assert source.connects == 1
    check_undisturbed(rows)


def ended(simulator, source, code):
    """End all bars with ``code``; those asked for again a moment ago may not have begun, and end the next time."""
    simulator.fault(do="end_bars", code=code, text="no more")
    time.sleep(1.0)
    return source.heard[code]


def test_bars_that_end_with_an_error_are_asked_for_again(desk, simulate, until):
    (simulator, by_symbol), rows = every_symbol(simulate, ()), []
    with closing(subscribed(desk, simulator, by_symbol)) as source:
        for number, code in enumerate(SUBSCRIPTIONS, start=1):
            until(lambda number=number: come(source, rows, ["MSFT"], number), 30)
            until(lambda code=code: ended(simulator, source, code), 30)
            rows_before = len(rows)
            until(lambda before=rows_before: come(source, rows, ["MSFT"], before + 1), 30)
        assert source.connects == 1
    check_undisturbed(rows)


def test_quotes_that_are_refused_stop_neither_bars_nor_orders(desk, simulate, until):
    codes = (354, 10089, 10090, 10167, 10168, 10186, 10197)
    (simulator, by_symbol), rows = every_symbol(simulate, codes), []
    for symbol, code in by_symbol.items():
        simulator.fault(do="request_error", on="reqMktData", symbol=symbol, code=code, text="not subscribed")
    with closing(subscribed(desk, simulator, by_symbol, quotes=True)) as source:
        until(lambda: come(source, rows, ["MSFT", *by_symbol], 2), 30)
        order = desk.resting(symbol="MSFT")
        assert [fact.kind for fact in desk.broker(simulator).submit(order)] == [FactKind.ACK]
        assert {code: source.heard[code] for code in codes} == dict.fromkeys(codes, 1)
    check_undisturbed(rows)


def test_a_cancel_of_what_has_ended_by_itself_disturbs_nothing(desk, simulate, until):
    simulator, rows = simulate("--speed", "60", "--message-rate", "0", "--symbol", "MSFT"), []
    with closing(subscribed(desk, simulator, (), quotes=True)) as source:
        until(lambda: come(source, rows, ["MSFT"], 1), 30)
        simulator.fault(do="connectivity", seconds=0.5, data="lost")
        until(lambda: come(source, rows, ["MSFT"], 2) and source.heard[300], 30)
        simulator.fault(do="end_bars")
        until(lambda: come(source, rows, ["MSFT"], 3) and source.heard[366], 30)
        goal = len(rows) + 2
        until(lambda: come(source, rows, ["MSFT"], goal), 30)
        assert source.connects == 1
    check_undisturbed(rows)


def farm(code, name):
    says = {2103: "broken:", 2105: "broken:", 2157: "broken:", 2107: "inactive, available upon demand."}
    return {"do": "notice", "code": code, "text": f"The farm connection is {says.get(code, 'OK:')}{name}"}


HISTORY_FARM = bars_are_asked_for_again(farm(2105, "ushmds"), farm(2106, "euhmds"), farm(2106, "ushmds"))
DEFINITIONS_FARM = bars_are_asked_for_again(farm(2157, "secdefil"), farm(2158, "secdefil"))
INACTIVE_HISTORY_FARM = bars_are_asked_for_again(farm(2105, "ushmds"), farm(2107, "ushmds"))
INACTIVE_MARKET_FARM = bars_are_asked_for_again(farm(2103, "usfarm"), farm(2108, ""))
BOTH_FARMS = bars_are_asked_for_again(
    farm(2103, "usfarm"), farm(2105, "ushmds"), farm(2107, "ushmds"), farm(2104, "usfarm")
)
KEPT = link_down_and_up(1100, 1102)
ON_LINKS = {
    error_policy.PACING: too_many_messages,
    error_policy.CLIENT_ID_IN_USE: client_id_in_use,
    1100: KEPT,
    1101: link_down_and_up(1100, 1101),
    1102: KEPT,
    2110: link_down_and_up(2110, 1102),
    error_policy.PORT_RESET: link_down_and_up(error_policy.PORT_RESET, None),
    **dict.fromkeys((2103, 2104), BOTH_FARMS),
    **dict.fromkeys((error_policy.HISTORY, 2105, 2106), HISTORY_FARM),
    **dict.fromkeys((2157, 2158), DEFINITIONS_FARM),
    2107: INACTIVE_HISTORY_FARM,
    2108: INACTIVE_MARKET_FARM,
    10182: bars_are_asked_for_again({"do": "end_bars", "code": 10182}),
    10225: bars_are_asked_for_again({"do": "end_bars", "code": 10225}),
}


def test_a_client_id_that_was_taken_during_a_cut_is_waited_for(desk, simulator, ibkr_library, until):
    broker = desk.broker(simulator, first_wait=2.0, longest_wait=2.0)
    broker.submit(desk.resting(1))

    async def take():
        simulator.fault(do="drop_link", seconds=1.0)
        await asyncio.sleep(1.05)  # before the broker tries again
        other = ibkr_library.IB()
        await other.connectAsync("127.0.0.1", simulator.port, clientId=1, timeout=5)
        while not broker.heard[error_policy.CLIENT_ID_IN_USE]:
            await asyncio.sleep(0.01)
        with pytest.raises(BrokerUnavailable):
            broker.submit(desk.resting(2))
        other.disconnect()

    asyncio.run(asyncio.wait_for(take(), 15.0))
    until(lambda: broker.ready)
    assert [fact.kind for fact in broker.submit(desk.resting(2))] == [FactKind.ACK]
    works(broker, simulator, 2)
    assert simulator.state()["clients"] == [1]


@pytest.mark.parametrize("case", dict.fromkeys(ON_LINKS.values()))
def test_what_a_code_says_of_the_connection_is_acted_upon(desk, simulate, until, case):
    case(desk, simulate("--speed", "60"), until)


def test_every_row_has_a_script():
    assert ORDER_POLICY == CERTAIN
    assert {code for codes in ON_ORDERS.values() for code in codes} >= set(CERTAIN)
    farms = [error_policy.FARM_BROKEN, error_policy.FARM_BACK]
    tables = [*farms, *(value for name, value in vars(error_policy).items() if isinstance(value, frozenset))]
    single = {value for name, value in vars(error_policy).items() if name.isupper() and isinstance(value, int)}
    told_elsewhere = {error_policy.SIMULATOR}  # test_witness.py
    assert set(ON_LINKS) == single.union(*tables) - told_elsewhere
