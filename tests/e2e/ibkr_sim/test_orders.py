"""Orders through the real client libraries: placed, modified, cancelled, filled, refused, and found again."""

import asyncio

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_start_up_answers_every_request(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            assert ib.client.serverVersion() == {"ib_insync": 176, "ib_async": 178}[clients.library.__name__]
            assert ib.managedAccounts() == ["DU1234567"]
            assert {value.tag for value in ib.accountValues()} >= {"NetLiquidation", "BuyingPower"}
            assert ib.positions() == ib.openTrades() == ib.fills() == []
            assert {2104, 2106, 2158} <= clients.codes()

    run(scenario())


def test_a_market_order_fills_with_execution_commission_and_position(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            contract = clients.stock()
            await ib.qualifyContractsAsync(contract)
            trade = ib.placeOrder(contract, clients.market("BUY", 100, orderRef="ref-1"))
            await until(lambda: trade.fills and trade.fills[0].commissionReport.execId)
            await until(lambda: trade.orderStatus.status == "Filled")
            (fill,) = trade.fills
            assert (fill.execution.shares, fill.execution.side, fill.execution.orderRef) == (100, "BOT", "ref-1")
            assert fill.commissionReport.commission == 1.0
            assert trade.orderStatus.avgFillPrice == fill.execution.price > 0
            await until(ib.positions)
            (position,) = ib.positions()
            assert (position.contract.symbol, position.position) == ("AAPL", 100)
            assert position.avgCost == pytest.approx(fill.execution.price + 0.01)
            await until(ib.portfolio)
            cash = next(value for value in ib.accountValues() if value.tag == "TotalCashValue")
            assert float(cash.value) == pytest.approx(1_000_000 - 100 * fill.execution.price - 1)

    run(scenario())


def test_a_round_trip_realises_its_profit(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            bought = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(bought.isDone)
            sold = ib.placeOrder(clients.stock(), clients.market("SELL", 100))
            await until(lambda: sold.fills and sold.fills[0].commissionReport.execId)
            prices = [trade.orderStatus.avgFillPrice for trade in (bought, sold)]
            realised = sold.fills[0].commissionReport.realizedPNL
            assert realised == pytest.approx(100 * (prices[1] - prices[0]) - 2)

    run(scenario())


def test_a_large_order_fills_in_parts(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "20")
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 2500))
            await until(lambda: trade.orderStatus.status == "Filled")
            assert len(trade.fills) > 1
            assert sum(fill.execution.shares for fill in trade.fills) == 2500
            assert trade.fills[-1].execution.cumQty == 2500

    run(scenario())


def test_a_resting_limit_order_is_modified_until_it_fills(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            await ib.reqOpenOrdersAsync()
            assert len(ib.openTrades()) == 1
            trade.order.lmtPrice = 500.0
            ib.placeOrder(trade.contract, trade.order)
            await until(lambda: trade.orderStatus.status == "Filled")
            assert trade.orderStatus.avgFillPrice < 500.0

    run(scenario())


def test_a_cancelled_order_says_so_once(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            ib.cancelOrder(trade.order)
            await until(lambda: (trade.order.orderId, 202) in clients.errors)
            assert trade.orderStatus.status == "Cancelled"
            ib.client.cancelOrder(trade.order.orderId, "")
            await until(lambda: (trade.order.orderId, 10148) in clients.errors)
            ib.client.cancelOrder(9999, "")
            await until(lambda: (9999, 10147) in clients.errors)

    run(scenario())


WRONG = (
    ({"lmtPrice": 10.005}, 110),
    ({"lmtPrice": -1.0}, 109),
    ({"orderType": "REL"}, 387),
    ({"totalQuantity": 0}, 434),
    ({"totalQuantity": 1.5}, 10243),
    ({"totalQuantity": 900_000}, 383),
    ({"tif": "XYZ"}, 321),
    ({"account": "DU9"}, 321),
    ({"algoStrategy": "Vwap"}, 321),
    ({"tif": "GTD", "goodTillDate": "soon"}, 321),
)


def test_a_wrong_order_is_refused_with_its_code_and_never_exists(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            for fields, code in WRONG:
                order = clients.limit("BUY", 100, 10.0)
                for name, value in fields.items():
                    setattr(order, name, value)
                trade = ib.placeOrder(clients.stock(), order)
                await until(lambda number=trade.order.orderId, code=code: (number, code) in clients.errors)
            assert simulator.state()["orders"] == []

    run(scenario())


def test_an_order_beyond_the_margin_is_rejected(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 400_000))
            await until(lambda: (trade.order.orderId, 201) in clients.errors)
            assert [order["status"] for order in simulator.state()["orders"]] == ["Inactive"]
            assert simulator.state()["positions"] == {"DU1234567": {}}

    run(scenario())


def test_a_used_order_id_is_refused(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(trade.isDone)
            ib.placeOrder(clients.stock(), clients.market("BUY", 100, orderId=1))
            await until(lambda: (1, 103) in clients.errors)

    run(scenario())


def test_a_what_if_shows_margin_and_commission_and_trades_nothing(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            state = await asyncio.wait_for(ib.whatIfOrderAsync(clients.stock(), clients.market("BUY", 100)), 5)
            assert float(state.initMarginChange) > float(state.maintMarginChange) > 0
            assert float(state.initMarginAfter) == pytest.approx(float(state.initMarginChange))
            assert state.commission == 1.0
            assert simulator.state()["orders"] == []

    run(scenario())


def test_an_adaptive_order_keeps_its_parameters(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            tag = clients.library.TagValue("adaptivePriority", "Patient")
            order = clients.limit("BUY", 100, 10.0, algoStrategy="Adaptive", algoParams=[tag])
            trade = ib.placeOrder(clients.stock(), order)
            await until(lambda: trade.orderStatus.status == "Submitted")
        async with clients.connected(simulator) as ib:
            (found,) = ib.openTrades()
            assert found.order.algoStrategy == "Adaptive"
            assert [(each.tag, each.value) for each in found.order.algoParams] == [("adaptivePriority", "Patient")]

    run(scenario())


def test_a_stop_waits_for_its_price(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            waiting = ib.placeOrder(clients.stock(), clients.library.StopOrder("BUY", 100, 500.0))
            through = ib.placeOrder(clients.stock(), clients.library.StopOrder("BUY", 100, 10.0))
            await until(lambda: through.orderStatus.status == "Filled")
            assert waiting.orderStatus.status == "PreSubmitted"
            assert waiting.orderStatus.whyHeld == "trigger"

    run(scenario())


def test_a_bracket_waits_for_its_parent_and_one_side_ends_the_other(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            parent, profit, loss = ib.bracketOrder("BUY", 100, 500.0, 5.0, 4.0)
            trades = [ib.placeOrder(clients.stock(), order) for order in (parent, profit, loss)]
            # The profit taker's limit of 5 is below the market: it sells as soon as the parent has bought.
            await until(lambda: all(trade.isDone() for trade in trades))
            assert [trade.orderStatus.status for trade in trades] == ["Filled", "Filled", "Cancelled"]
            assert simulator.state()["positions"] == {"DU1234567": {}}

    run(scenario())


def test_cancel_all_reaches_the_orders_of_every_client(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator, 1) as one, clients.connected(simulator, 2) as two:
            trades = [ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0)) for ib in (one, two)]
            await until(lambda: all(trade.orderStatus.status == "Submitted" for trade in trades))
            two.reqGlobalCancel()
            await until(lambda: all(trade.orderStatus.status == "Cancelled" for trade in trades))

    run(scenario())


def test_each_client_sees_its_own_orders_and_may_ask_for_all(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator, 1) as one:
            trade = one.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0))
            await until(lambda: trade.orderStatus.status == "Submitted")
            async with clients.connected(simulator, 2) as two:
                assert two.openTrades() == []
                (other,) = await two.reqAllOpenOrdersAsync()
                assert (other.order.clientId, other.order.permId) == (1, trade.order.permId)

    run(scenario())


def test_a_client_id_in_use_is_refused_and_the_first_client_stays(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator, 5) as ib:
            second = clients.library.IB()
            codes = []
            second.errorEvent += lambda _, code, *__: codes.append(code)
            with pytest.raises((TimeoutError, ConnectionError)):
                await second.connectAsync("127.0.0.1", simulator.port, clientId=5, timeout=0.5)
            assert 326 in codes
            assert await ib.reqCurrentTimeAsync()

    run(scenario())


def test_after_a_reconnect_orders_executions_and_ids_are_all_there(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            done = ib.placeOrder(clients.stock(), clients.market("BUY", 100, orderRef="done"))
            resting = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0, orderRef="resting"))
            await until(lambda: done.isDone() and resting.orderStatus.status == "Submitted")
        async with clients.connected(simulator) as ib:
            assert [trade.order.orderRef for trade in ib.openTrades()] == ["resting"]
            assert [fill.execution.orderRef for fill in ib.fills()] == ["done"]
            completed = await ib.reqCompletedOrdersAsync(False)
            assert [(trade.order.orderRef, trade.orderStatus.status) for trade in completed] == [("done", "Filled")]
            assert [position.position for position in ib.positions()] == [100]
            assert ib.client.getReqId() > resting.order.orderId
            ib.cancelOrder(ib.openTrades()[0].order)
            await until(lambda: not ib.openTrades())

    run(scenario())


def test_a_read_only_gateway_refuses_orders_and_answers_the_rest(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--read-only")
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(lambda: (trade.order.orderId, 321) in clients.errors)
            assert len(await ib.accountSummaryAsync()) > 5

    run(scenario())


def test_at_most_twenty_orders_work_per_contract_and_side(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trades = [ib.placeOrder(clients.stock(), clients.limit("BUY", 1, 10.0)) for _ in range(21)]
            await until(lambda: (trades[-1].order.orderId, 201) in clients.errors)
            assert sum(trade.orderStatus.status == "Submitted" for trade in trades) == 20

    run(scenario())
