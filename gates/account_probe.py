"""Stage 6: a look at the account over a connection from which no order can leave."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from gates.artifact import AccountConfig, AnyArtifact
from gates.context import Context, check
from ibkr_client.connection import Connection
from ibkr_client.library import OrdersForbidden, load_library
from ibkr_client.lifeline import Address
from ibkr_client.loop_thread import LoopThread
from ibkr_client.messages import AccountValue, Deaf, OrderState, Position
from ibkr_client.pacer import Pacer
from ibkr_client.terms import address_of
from ibkr_client.witness import Witness, source_of, witness
from order_plane.settings import OrderSettings

OWN_CLIENT = 100
"""Added to the order plane's client id, so that both can be connected."""
_SECONDS = 60.0
# Were it to leave in spite of everything, the gateway would only say what it would cost.
_HARMLESS = {
    "action": "BUY",
    "totalQuantity": 1.0,
    "orderType": "LMT",
    "lmtPrice": 0.01,
    "whatIf": True,
    "transmit": False,
}


class Seen(NamedTuple):
    """What the account looks like from outside of the order plane."""

    accounts: tuple[str, ...]
    next_order_id: int
    values: Sequence[AccountValue]
    positions: Sequence[Position]
    open_orders: Sequence[OrderState]
    refused: tuple[str, ...]
    witness: Witness

    def held(self, account: str) -> dict[str, float]:
        """Units that ``account`` holds, by instrument."""
        return {each.instrument: each.quantity for each in self.positions if each.account == account and each.quantity}


def look(order: OrderSettings, client: int = OWN_CLIENT) -> Seen:
    """Connect, look, try to send an order and a cancel in vain, and disconnect.

    Raises:
        ConnectionLost, RequestRefused, TimeoutError: when the gateway does not answer.
        LibraryMissing: when no client library is installed.
    """
    address = address_of(order.ibkr)
    own = Address(address.host, address.port, address.client_id + client, address.patience)
    thread = LoopThread("ibkr-probe")
    try:
        return thread.call(_look(own), _SECONDS)
    finally:
        thread.close()


async def _look(address: Address) -> Seen:
    heard: Counter[int] = Counter()
    connection = Connection(load_library(), Deaf(), Pacer(), address.patience, heard, read_only=True)
    hello = await connection.connect(address.host, address.port, address.client_id)
    try:
        seen = Seen(
            hello.accounts,
            hello.next_order_id,
            await connection.account_values(),
            await connection.positions(),
            await connection.open_orders(),
            await _refused(connection, hello.next_order_id),
            await witness(connection, hello.accounts, heard, address),
        )
        await asyncio.sleep(0)
        return seen
    finally:
        connection.close()


async def _refused(connection: Connection, number: int) -> tuple[str, ...]:
    """Which messages about orders did not leave."""
    tries = {
        "placeOrder": connection.place(number, {"symbol": "AAPL", "secType": "STK"}, _HARMLESS, {}),
        "cancelOrder": connection.cancel(number),
    }
    refused = []
    for name, attempt in tries.items():
        try:
            await attempt
        except OrdersForbidden:
            refused.append(name)
    return tuple(refused)


def run(context: Context) -> AnyArtifact:
    """Probe the account that the settings name; raises as `look` does."""
    seen, account = look(context.order), context.order.account
    money = {each.tag: each for each in seen.values if each.account == account}
    power = _amount(money.get("BuyingPower"))
    checks = [
        check("connected", bool(seen.accounts), "accounts are listed", f"{len(seen.accounts)} accounts"),
        check("the account is there", account in seen.accounts, account, ", ".join(seen.accounts)),
        check(
            "no order can leave", len(seen.refused) == 2, "placeOrder and cancelOrder refused", ", ".join(seen.refused)
        ),
        check("buying power", power > 0.0, "above 0", f"{power:g}"),
    ]
    found = AccountConfig(
        accounts=seen.accounts,
        buying_power=power,
        net_liquidation=_amount(money.get("NetLiquidation")),
        cash=_amount(money.get("TotalCashValue")),
        currency=money["BuyingPower"].currency if "BuyingPower" in money else "",
        positions=seen.held(account),
        next_order_id=seen.next_order_id,
        clock_gap_seconds=round(seen.witness.clock_gap, 3),
        refused_messages=seen.refused,
    )
    return context.finish(6, checks, found, source=source_of(seen.witness))


def _amount(value: AccountValue | None) -> float:
    try:
        return 0.0 if value is None else float(value.text)
    except ValueError:
        return 0.0
