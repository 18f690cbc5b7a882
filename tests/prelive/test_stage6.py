"""Stage 6: the account is looked at over a connection from which no order can leave."""

import asyncio
import json
from collections import Counter

import pytest
from jsonschema import validate

from domain.go_live import Evidence
from gates.schema_export import SCHEMAS
from ibkr_client.connection import Connection
from ibkr_client.library import ORDER_MESSAGES, OrdersForbidden, load_library
from ibkr_client.messages import Deaf
from ibkr_client.pacer import Pacer

pytestmark = [
    pytest.mark.stage6,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
ORDER = {"action": "BUY", "totalQuantity": 1.0, "orderType": "MKT"}


def test_the_account_is_connected_and_has_buying_power(ladder):
    made = ladder.stage(6)
    assert [(each.name, each.found) for each in made.checks if not each.passed] == []
    assert made.findings.buying_power > 0
    written = json.loads((ladder.directory / "ACCOUNT_CONFIG.json").read_text("utf-8"))
    validate(written, json.loads((SCHEMAS / "account_config.schema.json").read_text("utf-8")))
    assert written["evidence"] in {each.value for each in Evidence}
    if ladder.choices.sim:
        assert made.evidence is Evidence.SIMULATED
        assert "simulator" in made.evidence_why[0]


def test_no_order_leaves_a_connection_that_only_reads(library, simulator):
    async def tried() -> list[str]:
        refused = []
        connection = Connection(load_library(), Deaf(), Pacer(), 5.0, Counter(), read_only=True)
        hello = await connection.connect("127.0.0.1", simulator.port, 1)
        contract = {"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
        attempts = {
            "place": connection.place(hello.next_order_id, contract, ORDER, {}),
            "cancel": connection.cancel(hello.next_order_id),
        }
        for name, attempt in attempts.items():
            with pytest.raises(OrdersForbidden):
                await attempt
            refused.append(name)
        raw = connection._raw
        for call in (raw.reqGlobalCancel, *(lambda number=number: raw.send(number, "") for number in ORDER_MESSAGES)):
            with pytest.raises(OrdersForbidden):
                call()
            refused.append("raw")
        assert await connection.open_orders() == []
        assert await connection.server_time() > 0
        connection.close()
        return refused

    assert len(asyncio.run(tried())) == 3 + len(ORDER_MESSAGES)
    assert simulator.state()["orders"] == []


def test_the_same_order_leaves_a_connection_that_may_trade(library, simulator):
    async def sent() -> None:
        connection = Connection(load_library(), Deaf(), Pacer(), 5.0)
        hello = await connection.connect("127.0.0.1", simulator.port, 1)
        contract = {"symbol": "AAPL", "secType": "STK", "exchange": "SMART", "currency": "USD"}
        await connection.place(hello.next_order_id, contract, ORDER, {})
        await connection.open_orders()
        connection.close()

    asyncio.run(sent())
    assert len(simulator.state()["orders"]) == 1
