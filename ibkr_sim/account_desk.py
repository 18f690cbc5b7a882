"""Accounts as clients see them: values, summaries, positions, and profit and loss, asked once or kept up to date."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ibkr_sim.account import Account, Position
from ibkr_sim.layout import flag, integer
from ibkr_sim.market import Market
from ibkr_sim.market_time import local, trading_day
from ibkr_sim.order import Order
from ibkr_sim.requests import Received
from ibkr_sim.switchboard import Session, Switchboard

_REFRESH_SECONDS, _PROFIT_SECONDS = 180.0, 1.0
_MOST_SUMMARIES = 2
_TEXT_TAGS = {"AccountType": "INDIVIDUAL", "AccountReady": "true", "Currency": "USD", "Leverage": "1.00"}


@dataclass(frozen=True, slots=True)
class _Subscription:
    kind: str
    account: str
    tags: frozenset[str] = frozenset()
    contract_id: int = 0


class AccountDesk:
    """Answers about ``accounts`` by name, valued at the market."""

    def __init__(self, board: Switchboard, market: Market, accounts: dict[str, Account]) -> None:
        self._board = board
        self._market = market
        self._accounts = accounts
        self._subscribed: dict[tuple[int, str], _Subscription] = {}
        self._day = trading_day(board.market_now)

    def forget(self, session: Session) -> None:
        """End the subscriptions of a session that is gone."""
        self._subscribed = {key: each for key, each in self._subscribed.items() if key[0] != session.link}

    def traded(self, order: Order) -> None:
        """Tell subscribers of the position that an execution changed."""
        account = self._accounts[order.account]
        position = account.positions[order.listing.contract_id]
        for (link, number), each in list(self._subscribed.items()):
            session = self._board.sessions.get(link)
            if session is None or each.account not in ("", order.account):
                continue
            if each.kind == "positions":
                self._board.send_values(session, "position", self._position(account, position))
            elif each.kind == "updates":
                self._send_updates(session, account)
            elif each.kind in ("pnl", "pnlSingle"):
                self._send_profit(session, number, each)

    def positions(self, session: Session, _: Received) -> None:
        """All positions, and from then on each that changes."""
        self._subscribed[session.link, "positions"] = _Subscription("positions", "")
        for account in self._accounts.values():
            for position in account.positions.values():
                if position.quantity:
                    self._board.send_values(session, "position", self._position(account, position))
        self._board.send(session, "positionEnd")

    def cancel_positions(self, session: Session, _: Received) -> None:
        """No more positions."""
        self._subscribed.pop((session.link, "positions"), None)

    def positions_multi(self, session: Session, request: Received) -> None:
        """Positions of one account."""
        number = request.values["reqId"]
        for account in self._wanted(request.values["account"]):
            for position in account.positions.values():
                values = self._position(account, position) | {"reqId": number}
                self._board.send_values(session, "positionMulti", values)
        self._board.send(session, "positionMultiEnd", reqId=number)

    def updates(self, session: Session, request: Received) -> None:
        """Values and portfolio of one account, and from then on every three minutes and at each execution."""
        key = session.link, "updates"
        if not flag(request.values["subscribe"]):
            self._subscribed.pop(key, None)
            return
        account = next(iter(self._wanted(request.values["account"])), None)
        if account is None:
            self._board.error(session, -1, 321, "Error validating request.-'bS' : cause - Invalid account code")
            return
        self._subscribed[key] = _Subscription("updates", account.name)
        self._send_updates(session, account)
        self._repeat(session, "updates", _REFRESH_SECONDS, partial(self._send_updates, session, account))

    def updates_multi(self, session: Session, request: Received) -> None:
        """Values of one account, once."""
        number = request.values["reqId"]
        accounts = self._wanted(request.values["account"])
        if not accounts:
            text = "Error validating request.-'cg' : cause - Invalid account code"
            self._board.error(session, request.request_id, 321, text)
            return
        for account in accounts:
            for key, value, currency in self._values(account):
                fields = {"reqId": number, "account": account.name, "key": key, "value": value, "currency": currency}
                self._board.send_values(session, "accountUpdateMulti", fields)
        self._board.send(session, "accountUpdateMultiEnd", reqId=number)

    def summary(self, session: Session, request: Received) -> None:
        """The wanted tags of all accounts, and from then on every three minutes; two at once."""
        number = request.values["reqId"]
        active = [each for (link, _), each in self._subscribed.items() if link == session.link]
        if sum(each.kind == "summary" for each in active) >= _MOST_SUMMARIES:
            text = "Error processing request.-'cf' : cause - Maximum number of account summary requests exceeded"
            self._board.error(session, request.request_id, 322, text)
            return
        tags = frozenset(tag.strip() for tag in request.values["tags"].split(",") if not tag.startswith("$"))
        self._subscribed[session.link, number] = _Subscription("summary", "", tags)
        self._send_summary(session, number, tags)
        self._repeat(session, number, _REFRESH_SECONDS, partial(self._send_summary, session, number, tags))

    def profit(self, session: Session, request: Received) -> None:
        """Profit and loss of an account or, with a contract, of one position, once a second."""
        number, account = request.values["reqId"], request.values["account"]
        contract = integer(request.values.get("conId", ""))
        if account not in self._accounts:
            self._board.error(session, request.request_id, 321, "Error validating request: Invalid account code")
            return
        kind = "pnlSingle" if "conId" in request.values else "pnl"
        subscription = _Subscription(kind, account, contract_id=contract)
        self._subscribed[session.link, number] = subscription
        send = partial(self._send_profit, session, number, subscription)
        send()
        self._repeat(session, number, _PROFIT_SECONDS, send)

    def cancel(self, session: Session, request: Received) -> None:
        """End the subscription of a request id."""
        self._subscribed.pop((session.link, request.values["reqId"]), None)

    def _repeat(self, session: Session, number: str, seconds: float, action: Callable[[], None]) -> None:
        subscription = self._subscribed[session.link, number]

        def again() -> None:
            if self._subscribed.get((session.link, number)) is subscription:
                action()
                self._board.at(self._board.now + seconds, again)

        self._board.at(self._board.now + seconds, again)

    def _send_profit(self, session: Session, number: str, subscription: _Subscription) -> None:
        account = self._account_today(subscription.account)
        if subscription.kind == "pnl":
            figures = {
                "dailyPnL": account.daily(self._price),
                "unrealizedPnL": account.unrealized(self._price),
                "realizedPnL": account.realized(),
            }
            self._board.send_values(session, "pnl", {"reqId": number} | _cents(figures))
            return
        contract = subscription.contract_id
        position = account.positions.get(contract) or Position(contract)
        price = self._price(contract)
        figures = {
            "dailyPnL": position.daily(price),
            "unrealizedPnL": position.unrealized(price),
            "realizedPnL": position.realized,
            "value": position.quantity * price,
        }
        fields: dict[str, object] = {"reqId": number, "position": position.quantity}
        self._board.send_values(session, "pnlSingle", fields | _cents(figures))

    def _account_today(self, name: str) -> Account:
        today = trading_day(self._board.market_now)
        if today != self._day:
            self._day = today
            for account in self._accounts.values():
                account.begin_day(self._price)
        return self._accounts[name]

    def _send_summary(self, session: Session, number: str, tags: frozenset[str]) -> None:
        for account in self._accounts.values():
            for key, value, currency in self._values(account):
                if key in tags:
                    fields = {"reqId": number, "account": account.name, "tag": key, "value": value}
                    self._board.send_values(session, "accountSummary", fields | {"currency": currency})
        self._board.send(session, "accountSummaryEnd", reqId=number)

    def _send_updates(self, session: Session, account: Account) -> None:
        for key, value, currency in self._values(account):
            fields = {"key": key, "value": value, "currency": currency, "account": account.name}
            self._board.send_values(session, "updateAccountValue", fields)
        for position in account.positions.values():
            self._board.send_values(session, "updatePortfolio", self._portfolio(account, position))
        self._board.send(session, "updateAccountTime", time=f"{local(self._board.market_now):%H:%M}")
        self._board.send(session, "accountDownloadEnd", account=account.name)

    def _values(self, account: Account) -> list[tuple[str, str, str]]:
        """Tag, value and currency of each figure of the account."""
        texts = [("AccountCode", account.name, ""), *((tag, text, "") for tag, text in _TEXT_TAGS.items())]
        figures = self._account_today(account.name).values(self._price)
        return texts + [(tag, f"{value:.2f}", "" if tag == "Cushion" else "USD") for tag, value in figures.items()]

    def _position(self, account: Account, position: Position) -> dict[str, object]:
        listing = self._market.listings.by_id(position.contract_id)
        contract: dict[str, object] = {} if listing is None else listing.values("")
        figures = {"position": position.quantity, "avgCost": round(position.average_cost, 8)}
        return contract | {"account": account.name} | figures

    def _portfolio(self, account: Account, position: Position) -> dict[str, object]:
        price = self._price(position.contract_id)
        return self._position(account, position) | {
            "marketPrice": price,
            "marketValue": round(position.quantity * price, 2),
            "averageCost": round(position.average_cost, 8),
            "unrealizedPNL": round(position.unrealized(price), 2),
            "realizedPNL": round(position.realized, 2),
        }

    def _wanted(self, name: str) -> list[Account]:
        return [account for account in self._accounts.values() if name in ("", "All", account.name)]

    def _price(self, contract_id: int) -> float:
        return self._market.price_of(contract_id, self._board.market_now)


def _cents(figures: dict[str, float]) -> dict[str, object]:
    return {name: round(figure, 2) for name, figure in figures.items()}
