"""Every message a client may send: its number, its name in the TWS API and its fields."""

from collections.abc import Sequence
from dataclasses import dataclass

from ibkr_sim.layout import MalformedMessageError, Part, fields, integer, read
from ibkr_sim.order_layout import CONTRACT, PLACE_ORDER


@dataclass(frozen=True, slots=True)
class Request:
    """A message of a client: ``name`` of the method that sends it, and what it holds."""

    name: str
    layout: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it arrived: its name and its fields as text."""

    name: str
    values: dict[str, str]

    @property
    def request_id(self) -> int:
        """The id that answers and errors carry; -1 where the message has none."""
        return integer(self.values["reqId"]) if "reqId" in self.values else -1


def _simple(name: str, text: str = "") -> Request:
    return Request(name, fields(text))


def _about(name: str, before: str, after: str = "", contract: tuple[Part, ...] = CONTRACT) -> Request:
    return Request(name, fields(before) + contract + fields(after))


REQUESTS: dict[int, Request] = {
    1: _about("reqMktData", "=11 reqId", "deltaNeutral genericTicks snapshot regulatorySnapshot options"),
    2: _simple("cancelMktData", "=2 reqId"),
    3: Request("placeOrder", PLACE_ORDER),
    4: _simple("cancelOrder", "=1 reqId manualTime>=169"),
    5: _simple("reqOpenOrders", "=1"),
    6: _simple("reqAccountUpdates", "=2 subscribe account"),
    7: _simple("reqExecutions", "=3 reqId clientId account time symbol secType exchange side"),
    8: _simple("reqIds", "=1 count"),
    9: _about("reqContractDetails", "=8 reqId", "includeExpired secIdType secId issuerId>=176"),
    10: _simple("reqMktDepth", "=5 reqId"),
    11: _simple("cancelMktDepth", "=1 reqId"),
    12: _simple("reqNewsBulletins", "=1 all"),
    13: _simple("cancelNewsBulletins", "=1"),
    14: _simple("setServerLogLevel", "=1 level"),
    15: _simple("reqAutoOpenOrders", "=1 bind"),
    16: _simple("reqAllOpenOrders", "=1"),
    17: _simple("reqManagedAccts", "=1"),
    20: _about(
        "reqHistoricalData",
        "reqId",
        "includeExpired endDateTime barSize duration useRTH whatToShow formatDate keepUpToDate options",
    ),
    25: _simple("cancelHistoricalData", "=1 reqId"),
    49: _simple("reqCurrentTime", "=1"),
    50: _about("reqRealTimeBars", "=3 reqId", "barSize whatToShow useRTH options"),
    51: _simple("cancelRealTimeBars", "=1 reqId"),
    58: _simple("reqGlobalCancel", "=1"),
    59: _simple("reqMarketDataType", "=1 type"),
    61: _simple("reqPositions", "=1"),
    62: _simple("reqAccountSummary", "=1 reqId group tags"),
    63: _simple("cancelAccountSummary", "=1 reqId"),
    64: _simple("cancelPositions", "=1"),
    71: _simple("startApi", "=2 clientId optionalCapabilities"),
    74: _simple("reqPositionsMulti", "=1 reqId account modelCode"),
    75: _simple("cancelPositionsMulti", "=1 reqId"),
    76: _simple("reqAccountUpdatesMulti", "=1 reqId account modelCode ledgerAndNLV"),
    77: _simple("cancelAccountUpdatesMulti", "=1 reqId"),
    78: _simple("reqSecDefOptParams", "reqId symbol futFopExchange secType conId"),
    79: _simple("reqSoftDollarTiers", "reqId"),
    80: _simple("reqFamilyCodes"),
    81: _simple("reqMatchingSymbols", "reqId pattern"),
    82: _simple("reqMktDepthExchanges"),
    83: _simple("reqSmartComponents", "reqId bboExchange"),
    85: _simple("reqNewsProviders"),
    87: _about("reqHeadTimeStamp", "reqId", "includeExpired useRTH whatToShow formatDate"),
    90: _simple("cancelHeadTimeStamp", "reqId"),
    91: _simple("reqMarketRule", "marketRuleId"),
    92: _simple("reqPnL", "reqId account modelCode"),
    93: _simple("cancelPnL", "reqId"),
    94: _simple("reqPnLSingle", "reqId account modelCode conId"),
    95: _simple("cancelPnLSingle", "reqId"),
    96: _about(
        "reqHistoricalTicks",
        "reqId",
        "includeExpired startDateTime endDateTime numberOfTicks whatToShow useRTH ignoreSize options",
    ),
    97: _about("reqTickByTickData", "reqId", "tickType numberOfTicks ignoreSize"),
    98: _simple("cancelTickByTickData", "reqId"),
    99: _simple("reqCompletedOrders", "apiOnly"),
    104: _simple("reqUserInfo", "reqId"),
}


def parse(texts: Sequence[str], version: int) -> Received:
    """The request that a client of this server version sent.

    Raises:
        MalformedMessageError: when it has no number that is known here, or lacks fields.
    """
    if not texts:
        raise MalformedMessageError("the message is empty")
    known = REQUESTS.get(integer(texts[0]))
    if known is None:
        raise MalformedMessageError("the message has a number that is not simulated")
    return Received(known.name, read(known.layout, iter(texts[1:]), version))
