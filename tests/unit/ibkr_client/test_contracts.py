"""Symbols that are looked up ahead, and the one that an order waits for."""

import asyncio

from ibkr_client.contracts import Contracts
from ibkr_client.messages import ContractDetails

RULE, STEPS = 26, [(0.0, 0.0001), (1.0, 0.01)]


class Gateway:
    """Answers what is asked for an order; anything else once it is let."""

    def __init__(self):
        self.asked, self.let, self.rules_at_once = [], asyncio.Event(), 0

    async def contract_details(self, contract, *, order=False):
        self.asked.append((contract["symbol"], order))
        await asyncio.sleep(0)
        if not order:
            await self.let.wait()
        symbol = contract["symbol"]
        return [ContractDetails(sum(map(ord, symbol)), symbol, "SMART", "X", "USD", 0.01, 1.0, ("SMART",), (RULE,))]

    async def market_rule(self, rule, *, order=False):
        self.asked.append((rule, order))
        self.rules_at_once += 1
        assert self.rules_at_once == 1, "an answer does not say which of two questions it is for"
        await asyncio.sleep(0)
        self.rules_at_once -= 1
        return STEPS


async def ahead_of(symbols, orders):
    gateway, contracts = Gateway(), Contracts({})
    ahead = [asyncio.create_task(contracts.qualified(gateway, symbol)) for symbol in symbols]
    await asyncio.sleep(0.01)
    found = await asyncio.wait_for(
        asyncio.gather(*(contracts.qualified(gateway, symbol, order=True) for symbol in orders)), 5.0
    )
    asked = list(gateway.asked)
    gateway.let.set()
    await asyncio.gather(*ahead)
    return found, asked, gateway.asked


def test_an_order_waits_for_no_symbol_that_is_looked_up_ahead():
    symbols = [f"S{number}" for number in range(60)]
    found, before, after = asyncio.run(ahead_of(symbols, ["S59"]))
    assert [each.symbol for each in found] == ["S59"]
    assert before == [("S0", False), ("S59", True), (RULE, True)]
    assert [name for name, _ in after].count("S59") == 1
    assert len(after) == len(symbols) + 1


def test_orders_that_wait_ask_of_a_rule_once_and_never_two_at_a_time():
    found, before, _ = asyncio.run(ahead_of([], ["A", "B", "C"]))
    assert [each.price_down(2.019) for each in found] == [2.01] * 3
    assert before == [("A", True), ("B", True), ("C", True), (RULE, True)]
