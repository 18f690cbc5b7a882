"""What the gateway says of orders and executions, as the fields of its messages."""

from ibkr_sim.account import INITIAL_MARGIN, MAINTENANCE_MARGIN, Account, Price, commission
from ibkr_sim.market_time import stamp
from ibkr_sim.order import Execution, Order


def open_order(order: Order) -> dict[str, object]:
    """Fields of openOrder: the client's own placeOrder echoed, with the gateway's ids and status."""
    form: dict[str, object] = dict(order.form)
    return (
        form
        | order.listing.values(order.form.get("exchange") or "SMART")
        | {
            "orderId": order.order_id,
            "clientId": order.client_id,
            "permId": order.permanent_id,
            "totalQuantity": order.quantity,
            "lmtPrice": order.limit,
            "auxPrice": order.stop,
            "tif": order.time_in_force,
            "account": order.account,
            "status": order.status.value,
            "warningText": order.warning,
            "algoParams": _algo_parameters(order.form),
        }
    )


def completed_order(order: Order) -> dict[str, object]:
    """Fields of completedOrder, which carries no order id."""
    return open_order(order) | {
        "filledQuantity": order.filled,
        "completedTime": stamp(order.ended_at),
        "completedStatus": order.ending,
    }


def order_status(order: Order) -> dict[str, object]:
    """Fields of orderStatus."""
    return {
        "orderId": order.order_id,
        "status": order.status.value,
        "filled": order.filled,
        "remaining": order.remaining,
        "avgFillPrice": order.average_price,
        "permId": order.permanent_id,
        "parentId": order.parent_id,
        "lastFillPrice": order.last_price,
        "clientId": order.client_id,
        "whyHeld": order.held,
    }


def execution_details(execution: Execution, request_id: int = -1) -> dict[str, object]:
    """Fields of execDetails; request id -1 for a live one."""
    order = execution.order
    return order.listing.values(order.listing.primary_exchange) | {
        "reqId": request_id,
        "orderId": order.order_id,
        "execId": execution.exec_id,
        "time": stamp(execution.time),
        "acctNumber": order.account,
        "side": "BOT" if order.buys else "SLD",
        "shares": execution.shares,
        "price": execution.price,
        "permId": order.permanent_id,
        "clientId": order.client_id,
        "cumQty": execution.cumulative,
        "avgPrice": execution.average,
        "orderRef": order.form.get("orderRef", ""),
        "lastLiquidity": 1 if execution.adds_liquidity else 2,
    }


def commission_report(execution: Execution) -> dict[str, object]:
    """Fields of commissionReport; the realised profit is unset for an execution that closes nothing."""
    return {
        "execId": execution.exec_id,
        "commission": execution.commission,
        "currency": execution.order.listing.currency,
        "realizedPNL": execution.realized or None,
    }


def what_if(order: Order, account: Account, price: Price) -> dict[str, object]:
    """Fields of the openOrder that answers a what-if: margins before and after, and the commission."""
    values = account.values(price)
    at = price(order.listing.contract_id)
    signed = order.quantity if order.buys else -order.quantity
    held = account.quantity(order.listing.contract_id)
    change = (abs(held + signed) - abs(held)) * at
    fee = commission(order.quantity, at)
    equity, initial, maintenance = (values[name] for name in ("EquityWithLoanValue", "InitMarginReq", "MaintMarginReq"))
    figures = {
        "initMarginBefore": initial,
        "maintMarginBefore": maintenance,
        "equityWithLoanBefore": equity,
        "initMarginChange": change * INITIAL_MARGIN,
        "maintMarginChange": change * MAINTENANCE_MARGIN,
        "equityWithLoanChange": -fee,
        "initMarginAfter": initial + change * INITIAL_MARGIN,
        "maintMarginAfter": maintenance + change * MAINTENANCE_MARGIN,
        "equityWithLoanAfter": equity - fee,
        "commission": fee,
        "minCommission": fee,
        "maxCommission": fee,
    }
    named = {"whatIf": True, "status": "PreSubmitted", "commissionCurrency": order.listing.currency}
    return open_order(order) | {name: round(figure, 2) for name, figure in figures.items()} | named


def _algo_parameters(form: dict[str, str]) -> list[dict[str, str]]:
    count = int(form.get("algoParams") or 0)
    return [
        {"tag": form[f"algoParams.{number}.tag"], "value": form[f"algoParams.{number}.value"]}
        for number in range(count)
    ]
