"""Takes the calls of the library's decoder and hands on plain facts."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from ibkr_client.error_policy import CLIENT_ID_IN_USE, SIMULATOR, answers_cancel, ends_request
from ibkr_client.messages import (
    AccountValue,
    Commission,
    ContractDetails,
    Execution,
    HistoryBar,
    Listener,
    Notice,
    OrderProgress,
    OrderState,
    Position,
    QuoteChange,
    Trade,
)

OPEN_ORDERS, COMPLETED_ORDERS, POSITIONS, CONNECT = "open orders", "completed orders", "positions", "connect"
TIME = "time"
_BAR_FIELDS = 8
"""Those of a `HistoryBar`, their average price and how many trades they had."""
_MARKET = re.compile(r"Market ([0-9a-f]{12})$")
"""How a simulator names its market when it says that it is one."""
_UNSET = 1e300
"""The libraries say the largest number there is for a price that is none."""
_QUOTE_FIELDS = {
    **{0: "bid_size", 1: "bid", 2: "ask", 3: "ask_size"},
    **{69: "bid_size", 66: "bid", 67: "ask", 70: "ask_size"},  # the same, delayed
}


class RequestRefused(Exception):
    """The gateway answered a request with an error."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text
        super().__init__(f"error {code}: {text}")


class ConnectionLost(Exception):
    """The connection ended before the answer came."""


class Inbox:
    """The wrapper that the library's client calls: it keeps answers until they are complete, and nothing else.

    A callback that is not in its table is ignored. Errors that name a pending request end it; all others go to the
    listener.
    """

    def __init__(self, listener: Listener, heard: Counter[int] | None = None) -> None:
        self._listener = listener
        self._heard: Counter[int] = Counter() if heard is None else heard
        self._pending: dict[Hashable, tuple[asyncio.Future[list[Any]], list[Any]]] = {}
        self._closed = False
        self.first_order_id = 0
        self.accounts: tuple[str, ...] = ()
        self.market = ""
        self.ib = SimpleNamespace(TimezoneTWS="US/Eastern")  # the decoder's zone for times that name none
        self.defaultTimezone = UTC
        self._calls: dict[str, Callable[..., None]] = {
            "nextValidId": self._on_next_order_id,
            "managedAccounts": self._on_accounts,
            "error": self._on_error,
            "connectionClosed": self.close,
            "setEventsDone": self._on_socket_closed,
            "openOrder": self._on_open_order,
            "openOrderEnd": lambda: self._end(OPEN_ORDERS),
            "orderStatus": self._on_order_status,
            "completedOrder": self._on_completed_order,
            "completedOrdersEnd": lambda: self._end(COMPLETED_ORDERS),
            "execDetails": self._on_execution,
            "execDetailsEnd": self._end,
            "commissionReport": self._on_commission,
            "position": self._on_position,
            "positionEnd": lambda: self._end(POSITIONS),
            "accountSummary": self._on_account_value,
            "accountSummaryEnd": self._end,
            "contractDetails": self._on_contract,
            "contractDetailsEnd": self._end,
            "marketRule": self._on_market_rule,
            "currentTime": lambda seconds: self._end(TIME, [seconds]),
            "historicalDataUpdate": self._on_bar_update,
            "priceSizeTick": self._on_price,
            "tickSize": self._on_size,
            "tickByTickAllLast": self._on_trade,
        }
        vars(self).update(self._calls)  # looked up for every bar of an answer of thousands

    def __getattr__(self, name: str) -> Callable[..., None]:
        # The client asks whether these exist, and then calls them for every packet.
        if name.startswith("_") or name in {"tcpDataArrived", "tcpDataProcessed"}:
            raise AttributeError(name)
        return _ignore

    def expect(self, key: Hashable) -> asyncio.Future[list[Any]]:
        """The answer to a request; a second request with the same key must wait for the first."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._pending[key] = (future, [])
        return future

    def bars(self, fields: Sequence[str]) -> None:
        """The answer to a request for history, as it was sent: its number, two dates, a count, and each bar."""
        number, count = int(fields[1]), int(fields[4])
        told = fields[5 : 5 + count * _BAR_FIELDS]
        if len(told) < count * _BAR_FIELDS:
            raise ValueError("an answer has fewer bars than it says")
        prices = (map(float, told[place::_BAR_FIELDS]) for place in range(1, len(HistoryBar._fields)))
        self._end(number, list(map(HistoryBar._make, zip(told[::_BAR_FIELDS], *prices, strict=True))))

    def forget(self, key: Hashable) -> None:
        """Wait for an answer no longer."""
        self._pending.pop(key, None)

    def close(self) -> None:
        """The connection is gone: every pending request fails, and the listener hears of it, once.

        A library may say so long after it was told to hang up, when the listener waits for the answers of the next one.
        """
        if self._closed:
            return
        self._closed = True
        pending, self._pending = self._pending, {}
        for future, _ in pending.values():
            if not future.done():
                future.set_exception(ConnectionLost("the connection ended before the answer came"))
        self._listener.lost()

    def _end(self, key: Hashable, more: list[Any] | None = None) -> None:
        future, found = self._pending.pop(key, (None, []))
        if future is not None and not future.done():
            future.set_result(found if more is None else more)

    def _add(self, key: Hashable, item: object) -> None:
        pending = self._pending.get(key)
        if pending is not None:
            pending[1].append(item)

    def _on_socket_closed(self) -> None:
        """A gateway that hangs up during the handshake: the library itself would wait for its whole timeout."""
        future, _ = self._pending.pop(CONNECT, (None, None))
        if future is not None and not future.done():
            future.set_exception(ConnectionLost("the gateway closed the connection during the handshake"))

    def _on_next_order_id(self, number: int) -> None:
        self.first_order_id = max(self.first_order_id, number)

    def _on_accounts(self, names: str) -> None:
        self.accounts = tuple(name for name in names.split(",") if name)

    def _on_error(self, number: int, code: int, text: str, *_: str) -> None:
        if not answers_cancel(code, text):
            self._heard[code] += 1
        if code == SIMULATOR:
            self.market = (*_MARKET.findall(text), "unnamed")[0]
        key: Hashable = CONNECT if code == CLIENT_ID_IN_USE else number
        if key in self._pending and ends_request(code):
            future, _found = self._pending.pop(key)
            if not future.done():
                future.set_exception(RequestRefused(code, text))
            return
        self._listener.notice(Notice(number, code, text))

    def _on_open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None:  # noqa: ANN401
        if order.whatIf:
            return
        told = _order_state(order_id, contract, order, state)
        self._add(OPEN_ORDERS, told)
        self._listener.order_state(told)

    def _on_completed_order(self, contract: Any, order: Any, state: Any) -> None:  # noqa: ANN401
        told = _order_state(0, contract, order, state)
        # One that filled may be listed without its size.
        self._add(COMPLETED_ORDERS, told if told.quantity else told._replace(quantity=_price(order.filledQuantity)))

    def _on_order_status(
        self, order_id: int, status: str, filled: float, _left: float, _average: float, permanent_id: int, *rest: object
    ) -> None:
        client_id = int(str(rest[2]))
        self._listener.order_progress(OrderProgress(order_id, permanent_id, client_id, status, filled))

    def _on_execution(self, number: int, contract: Any, execution: Any) -> None:  # noqa: ANN401
        told = Execution(
            execution.execId,
            execution.orderId,
            execution.permId,
            execution.clientId,
            execution.orderRef,
            execution.acctNumber,
            contract.conId,
            contract.symbol,
            execution.side,
            float(execution.shares),
            float(execution.price),
            execution.time,
            contract.secType,
            contract.currency,
        )
        self._add(number, told)
        self._listener.execution(told)

    def _on_commission(self, report: Any) -> None:  # noqa: ANN401
        if abs(report.commission) < _UNSET:
            self._listener.commission(Commission(report.execId, float(report.commission), report.currency))

    def _on_position(self, account: str, contract: Any, quantity: float, cost: float) -> None:  # noqa: ANN401
        what = contract.secType, contract.currency
        self._add(POSITIONS, Position(account, contract.conId, contract.symbol, float(quantity), float(cost), *what))

    def _on_account_value(self, number: int, account: str, tag: str, text: str, currency: str) -> None:
        self._add(number, AccountValue(account, tag, text, currency))

    def _on_contract(self, number: int, details: Any) -> None:  # noqa: ANN401
        contract = details.contract
        self._add(
            number,
            ContractDetails(
                contract.conId,
                contract.symbol,
                contract.exchange,
                contract.primaryExchange,
                contract.currency,
                float(details.minTick),
                float(getattr(details, "sizeIncrement", 0.0) or 0.0),
                tuple(details.validExchanges.split(",")),
                tuple(int(each) for each in details.marketRuleIds.split(",") if each),
            ),
        )

    def _on_market_rule(self, number: int, increments: Any) -> None:  # noqa: ANN401
        self._end(("rule", number), [(float(each.lowEdge), float(each.increment)) for each in increments])

    def _on_bar_update(self, number: int, bar: Any) -> None:  # noqa: ANN401
        self._listener.bar_update(number, HistoryBar(bar.date, bar.open, bar.high, bar.low, bar.close, bar.volume))

    def _on_price(self, number: int, kind: int, price: float, size: float) -> None:
        """A price of a quote, with its size behind it."""
        field = _QUOTE_FIELDS.get(kind)
        if field is not None:
            self._listener.quote(QuoteChange(number, field, float(price)))
            self._listener.quote(QuoteChange(number, f"{field}_size", float(size)))

    def _on_size(self, number: int, kind: int, size: float) -> None:
        field = _QUOTE_FIELDS.get(kind)
        if field is not None:
            self._listener.quote(QuoteChange(number, field, float(size)))

    def _on_trade(self, number: int, _: int, seconds: int, price: float, size: float, *rest: object) -> None:
        self._listener.trade(Trade(number, datetime.fromtimestamp(int(seconds), UTC), float(price), float(size)))


def _order_state(order_id: int, contract: Any, order: Any, state: Any) -> OrderState:  # noqa: ANN401
    return OrderState(
        order_id,
        order.permId,
        order.clientId,
        order.orderRef,
        order.account,
        contract.conId,
        contract.symbol,
        order.action,
        float(order.totalQuantity),
        state.status,
        _price(order.lmtPrice),
        _price(order.auxPrice),
        order.tif,
        contract.secType,
        contract.currency,
    )


def _price(told: float) -> float:
    return float(told) if told < _UNSET else 0.0


def _ignore(*_: object) -> None:
    """A callback that nobody here needs."""
