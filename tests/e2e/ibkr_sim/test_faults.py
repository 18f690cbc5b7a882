"""Every fault of the script, seen by the real client libraries."""

import asyncio

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

FALSE_CANCELS = (103, 104, 106, 135, 161, 382, 463, 10147, 10148, 10149, 10268, 10311, 10349)


async def resting(ib, clients, until, **fields):
    """A limit order that works far from the market."""
    trade = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0, **fields))
    await until(lambda: trade.orderStatus.status == "Submitted")
    return trade


def test_an_error_on_a_live_order_fools_the_library_while_the_order_works(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            trades = []
            for code in FALSE_CANCELS:
                simulator.fault(do="order_error", code=code, text="order message")
                trade = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0))
                await until(lambda trade=trade, code=code: (trade.order.orderId, code) in clients.errors)
                trades.append(trade)
            assert {trade.orderStatus.status for trade in trades} == {"Cancelled"}
            assert {order["status"] for order in simulator.state()["orders"]} == {"Submitted"}
            alive = await ib.reqAllOpenOrdersAsync()
            assert {each.order.permId for each in alive} == {trade.order.permId for trade in trades}

    run(scenario())


def test_a_failed_modification_or_cancellation_leaves_the_order_as_it_was(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="order_error", on="modifyOrder", code=105)
        simulator.fault(do="order_error", on="cancelOrder", code=161)
        async with clients.connected(simulator) as ib:
            trade = await resting(ib, clients, until)
            trade.order.lmtPrice = 11.0
            ib.placeOrder(trade.contract, trade.order)
            await until(lambda: (trade.order.orderId, 105) in clients.errors)
            ib.client.cancelOrder(trade.order.orderId, "")
            await until(lambda: (trade.order.orderId, 161) in clients.errors)
            assert [order["status"] for order in simulator.state()["orders"]] == ["Submitted"]
            (alive,) = await ib.reqAllOpenOrdersAsync()
            assert alive.order.totalQuantity == 100

    run(scenario())


def test_a_dropped_link_loses_the_answer_but_not_the_order(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="drop_link", on="placeOrder", seconds=0.2)
        async with clients.connected(simulator) as ib:
            ended = []
            ib.disconnectedEvent += lambda: ended.append(True)
            ib.placeOrder(clients.stock(), clients.market("BUY", 100, orderRef="once"))
            await until(lambda: ended)
        await asyncio.sleep(0.3)
        async with clients.connected(simulator) as ib:
            assert [fill.execution.orderRef for fill in ib.fills()] == ["once"]
            assert [position.position for position in ib.positions()] == [100]

    run(scenario())


def test_while_the_gateway_is_down_nobody_connects(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            simulator.fault(do="drop_link", seconds=1.0)
            await until(lambda: not ib.isConnected())
            with pytest.raises((ConnectionError, TimeoutError)):
                async with clients.connected(simulator):
                    pass
        await asyncio.sleep(1.0)
        async with clients.connected(simulator) as ib:
            assert ib.isConnected()

    run(scenario())


def test_a_nightly_reset_warns_and_keeps_working_orders(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            await resting(ib, clients, until, tif="GTC")
            simulator.fault(do="nightly_reset", seconds=0.2)
            await until(lambda: not ib.isConnected())
            assert 1100 in clients.codes()
        await asyncio.sleep(0.4)
        async with clients.connected(simulator) as ib:
            assert [trade.order.tif for trade in ib.openTrades()] == ["GTC"]

    run(scenario())


@pytest.mark.parametrize(("data", "code", "quotes_go_on"), [("kept", 1102, True), ("lost", 1101, False)])
def test_what_fills_while_the_link_to_the_exchange_is_down_is_never_reported(
    clients, simulate, run, until, data, code, quotes_go_on
):
    async def scenario():
        simulator = simulate("--speed", "10")
        async with clients.connected(simulator) as ib:
            ticker = ib.reqMktData(await clients.qualified(ib, "MSFT"))
            await until(lambda: ticker.last == ticker.last)
            quote = ticker.ask
            trade = ib.placeOrder(clients.stock("MSFT"), clients.library.StopOrder("BUY", 100, round(quote + 0.02, 2)))
            await until(lambda: trade.orderStatus.status == "PreSubmitted")
            simulator.fault(do="connectivity", seconds=0.5, data=data)
            await until(lambda: 1100 in clients.codes())
            kept = ib.placeOrder(clients.stock(), clients.market("BUY", 10))
            await until(lambda: kept.orderStatus.status == "PendingSubmit")
            await until(lambda: code in clients.codes())
            await until(lambda: kept.orderStatus.status == "Filled")
            seen = ticker.time
            await asyncio.sleep(0.5)
            assert (ticker.time != seen) is quotes_go_on

    run(scenario())


def test_slow_answers_come_late_and_in_order(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            loop = asyncio.get_running_loop()
            simulator.fault(do="slow_answers", seconds=0.4)
            begin = loop.time()
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(trade.isDone)
            assert loop.time() - begin >= 0.4
            assert trade.fills

    run(scenario())


def test_a_silent_order_works_without_a_word(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="silent_ack")
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.limit("BUY", 100, 10.0))
            await until(lambda: simulator.state()["orders"])
            await asyncio.sleep(0.2)
            assert trade.orderStatus.status == "PendingSubmit"
            assert len(await ib.reqAllOpenOrdersAsync()) == 1

    run(scenario())


def test_a_lost_request_never_arrives(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="lose_request", on="placeOrder", symbol="MSFT")
        async with clients.connected(simulator) as ib:
            lost = ib.placeOrder(clients.stock("MSFT"), clients.market("BUY", 100))
            found = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(found.isDone)
            assert lost.orderStatus.status == "PendingSubmit"
            assert [order["symbol"] for order in simulator.state()["orders"]] == ["AAPL"]

    run(scenario())


def test_a_rejection_ends_the_order(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="reject", on="placeOrder", nth=2, code=203, text="not allowed")
        async with clients.connected(simulator) as ib:
            first = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            second = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(lambda: first.isDone() and (second.order.orderId, 203) in clients.errors)
            assert [order["status"] for order in simulator.state()["orders"]] == ["Filled", "Inactive"]

    run(scenario())


def test_executions_may_come_twice_corrected_or_after_their_commission(clients, simulator, run, until):
    async def scenario():
        seen = []
        async with clients.connected(simulator) as ib:
            ib.wrapper.execDetails = lambda _, __, execution: seen.append(("execution", execution.execId))
            ib.wrapper.commissionReport = lambda report: seen.append(("commission", report.execId))
            for fault in ("duplicate_execution", "correct_execution", "commission_first"):
                seen.clear()
                simulator.fault(do=fault)
                ib.placeOrder(clients.stock(), clients.market("BUY", 100))
                count = {"duplicate_execution": 3, "correct_execution": 4, "commission_first": 2}[fault]
                await until(lambda count=count: len(seen) == count)
                kinds = [kind for kind, _ in seen]
                names = [name for _, name in seen]
                if fault == "duplicate_execution":
                    assert kinds == ["execution", "execution", "commission"]
                    assert len(set(names)) == 1
                elif fault == "correct_execution":
                    assert kinds == ["execution", "commission"] * 2
                    assert (names[0][:-1], names[0][-1], names[2][-1]) == (names[2][:-1], "1", "2")
                else:
                    assert kinds == ["commission", "execution"]

    run(scenario())


def test_an_order_may_fill_in_a_hundred_pieces(clients, simulator, run, until):
    async def scenario():
        simulator.fault(do="shred", quantity=1)
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(trade.isDone)
            assert len(trade.fills) == 100

    run(scenario())


def test_a_halt_stops_fills_until_it_ends(clients, simulate, run, until):
    async def scenario():
        simulator = simulate("--speed", "10")
        async with clients.connected(simulator) as ib:
            ticker = ib.reqMktData(await clients.qualified(ib))
            await until(lambda: ticker.last == ticker.last)
            simulator.fault(do="halt", symbol="AAPL", seconds=0.6)
            await until(lambda: ticker.halted == 1)
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await asyncio.sleep(0.2)
            assert trade.orderStatus.status in ("PreSubmitted", "Submitted")
            await until(lambda: trade.isDone() and ticker.halted == 0)

    run(scenario())


def test_a_notice_reaches_every_client(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator, 1), clients.connected(simulator, 2):
            simulator.fault(do="notice", code=2103, text="Market data farm connection is broken:usfarm")
            await until(lambda: clients.errors.count((-1, 2103)) == 2)

    run(scenario())


def test_pacing_of_history_is_enforced_by_rule_and_on_request(clients, simulator, run):
    async def scenario():
        async with clients.connected(simulator) as ib:
            asked = (clients.stock(), "20240709 12:00:00 US/Eastern", "60 S", "5 secs", "TRADES", True, 2)
            simulator.fault(do="pacing_violation")
            with pytest.raises(clients.library.wrapper.RequestError, match="pacing") as refused:
                await ib.reqHistoricalDataAsync(*asked)
            assert refused.value.code == 162
            assert len(await ib.reqHistoricalDataAsync(*asked)) == 12
            with pytest.raises(clients.library.wrapper.RequestError, match="pacing") as refused:
                await ib.reqHistoricalDataAsync(*asked)
            assert refused.value.code == 162

    run(scenario())


def test_at_most_fifty_requests_for_history_are_open_those_kept_up_to_date_too(clients, simulate, run):
    simulator = simulate("--message-rate", "0")

    def ask(ib, *, keep=False):
        end = "" if keep else "20240709 12:00:00 US/Eastern"
        return ib.reqHistoricalDataAsync(clients.stock(), end, "600 S", "1 min", "TRADES", True, 2, keepUpToDate=keep)

    async def check_refused(ib, *, keep=False):
        with pytest.raises(clients.library.wrapper.RequestError, match="50 simultaneous") as refusal:
            await ask(ib, keep=keep)
        assert refusal.value.code == 322

    async def scenario():
        async with clients.connected(simulator) as ib:
            ib.client.MaxRequests = 0
            kept = [await ask(ib, keep=True) for _ in range(49)]
            simulator.fault(do="slow_answers", seconds=0.5)
            last = asyncio.ensure_future(ask(ib))  # open until it is answered
            await asyncio.sleep(0)
            await check_refused(ib)
            assert await last
            simulator.fault(do="slow_answers", seconds=0)
            kept.append(await ask(ib, keep=True))
            await check_refused(ib)
            await check_refused(ib, keep=True)
            ib.cancelHistoricalData(kept.pop())
            assert await ask(ib)
        async with clients.connected(simulator) as ib:  # those of a client that is gone are open no more
            await ask(ib, keep=True)
            assert await ask(ib)

    run(scenario())


def test_more_than_fifty_messages_in_a_second_are_an_error_and_the_third_time_the_end(clients, simulator, run, until):
    async def scenario():
        async with clients.connected(simulator) as ib:
            await asyncio.sleep(1.1)
            ib.client.MaxRequests = 0
            for _ in range(51):
                ib.client.reqCurrentTime()
            await until(lambda: (-1, 100) in clients.errors)
            assert simulator.state()["pacing_violations"] == 1
            for _ in range(2):
                ib.client.reqCurrentTime()
            await until(lambda: not ib.isConnected())

    run(scenario())


def test_faults_come_from_a_file_too(clients, simulate, run, until, tmp_path):
    script = tmp_path / "faults.yaml"
    script.write_text("faults:\n  - {at: 0.0, do: slow_answers, seconds: 0.0}\n  - {on: fill, nth: 1, do: drop_link}\n")

    async def scenario():
        simulator = simulate("--faults", str(script))
        async with clients.connected(simulator) as ib:
            trade = ib.placeOrder(clients.stock(), clients.market("BUY", 100))
            await until(lambda: not ib.isConnected())
            assert trade.fills == []
        assert simulator.state()["positions"]["DU1234567"]

    run(scenario())
