"""Answers that need no subscription: contracts, market rules, time, names."""

from ibkr_sim.layout import integer
from ibkr_sim.listing import MARKET_RULES
from ibkr_sim.market import Market
from ibkr_sim.market_time import ZONE_NAME, local
from ibkr_sim.requests import Received
from ibkr_sim.switchboard import Session, Switchboard

_MOST_SAMPLES = 16


class ReferenceDesk:
    """Answers about what is listed."""

    def __init__(self, board: Switchboard, market: Market, accounts: list[str]) -> None:
        self._board = board
        self._market = market
        self._accounts = accounts

    def contract_details(self, session: Session, request: Received) -> None:
        """The one contract that fits the description, or error 200."""
        listing = self._market.listings.find(request.values)
        if listing is None:
            text = "No security definition has been found for the request"
            self._board.error(session, request.request_id, 200, text)
            return
        hours = self._market.hours(listing, self._board.market_now)
        details = listing.details(request.values["exchange"] or "SMART", hours)
        self._board.send_values(session, "contractDetails", details | {"reqId": request.values["reqId"]})
        self._board.send(session, "contractDetailsEnd", reqId=request.values["reqId"])

    def market_rule(self, session: Session, request: Received) -> None:
        """The price increments of a rule, or error 321."""
        rule = MARKET_RULES.get(integer(request.values["marketRuleId"]))
        if rule is None:
            self._board.error(session, -1, 321, "Error validating request: the market rule is unknown")
            return
        increments = [{"lowEdge": edge, "increment": increment} for edge, increment in rule]
        number = request.values["marketRuleId"]
        self._board.send(session, "marketRule", marketRuleId=number, increments=increments)

    def current_time(self, session: Session, _: Received) -> None:
        """The market's time, in whole epoch seconds; none when it was told within a second, as of a real gateway."""
        if session.clock.admit(self._board.now):
            self._board.send(session, "currentTime", time=int(self._board.market_now))

    def managed_accounts(self, session: Session, _: Received) -> None:
        """The names of the accounts."""
        self._board.send(session, "managedAccounts", accounts=",".join(self._accounts))

    def matching_symbols(self, session: Session, request: Received) -> None:
        """Contracts whose symbol holds the pattern."""
        found = self._market.listings.matching(request.values["pattern"])[:_MOST_SAMPLES]
        samples = [listing.values() | {"longName": f"{listing.symbol} INC"} for listing in found]
        self._board.send(session, "symbolSamples", reqId=request.values["reqId"], samples=samples)

    def option_chain(self, session: Session, request: Received) -> None:
        """No options are listed."""
        self._board.send(session, "securityDefinitionOptionParameterEnd", reqId=request.values["reqId"])

    def family_codes(self, session: Session, _: Received) -> None:
        """The accounts belong to no family."""
        self._board.send(session, "familyCodes", accounts=[{"account": name} for name in self._accounts])

    def nothing(self, session: Session, request: Received) -> None:
        """Empty answers, so that no client waits."""
        name = {
            "reqSoftDollarTiers": "softDollarTiers",
            "reqMktDepthExchanges": "mktDepthExchanges",
            "reqSmartComponents": "smartComponents",
            "reqNewsProviders": "newsProviders",
            "reqUserInfo": "userInfo",
        }[request.name]
        self._board.send(session, name, reqId=request.values.get("reqId", ""))

    def no_depth(self, session: Session, request: Received) -> None:
        """Market depth is not simulated."""
        text = "Deep market data is not supported for this combination of security type/exchange"
        self._board.error(session, request.request_id, 10092, text)


def greeting_time(moment: float) -> str:
    """The time in the handshake's answer."""
    return f"{local(moment):%Y%m%d %H:%M:%S} {ZONE_NAME}"
