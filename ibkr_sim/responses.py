"""Every message the gateway may send: its number and its fields, named as in the TWS API."""

from ibkr_sim.layout import Part, Ready, Repeat, Values, fields, write
from ibkr_sim.order_layout import COMPLETED_ORDER, ECHOED_CONTRACT, OPEN_ORDER
from ibkr_sim.wire import join

_PORTFOLIO_CONTRACT = fields(
    "conId:int symbol secType lastTradeDateOrContractMonth strike:price right multiplier primaryExchange currency"
    " localSymbol tradingClass"
)
RESPONSES: dict[str, tuple[Part, ...]] = {
    "tickPrice": fields("=1 =6 reqId tickType price:price size:size mask:int"),
    "tickSize": fields("=2 =6 reqId tickType size:size"),
    "orderStatus": fields(
        "=3 orderId:int status filled:size remaining:size avgFillPrice:price permId:int parentId:int"
        " lastFillPrice:price clientId:int whyHeld mktCapPrice:price"
    ),
    "error": fields("=4 =2 id:int code:int text advancedOrderRejectJson>=166"),
    "openOrder": OPEN_ORDER,
    "updateAccountValue": fields("=6 =2 key value currency account"),
    "updatePortfolio": (
        *fields("=7 =8"),
        *_PORTFOLIO_CONTRACT,
        *fields(
            "position:size marketPrice:price marketValue:price averageCost:price unrealizedPNL:price realizedPNL:price"
            " account"
        ),
    ),
    "updateAccountTime": fields("=8 =1 time"),
    "nextValidId": fields("=9 =1 orderId:int"),
    "contractDetails": (
        *fields("=10 version:int<164 reqId symbol secType lastTradeDateOrContractMonth strike:price right exchange"),
        *fields("currency localSymbol marketName tradingClass conId:int minTick:price mdSizeMultiplier:int<164"),
        *fields("multiplier orderTypes validExchanges priceMagnifier:int underConId:int longName primaryExchange"),
        *fields("contractMonth industry category subcategory timeZoneId tradingHours liquidHours evRule"),
        *fields("evMultiplier:int =0 aggGroup:int underSymbol underSecType marketRuleIds realExpirationDate stockType"),
        *fields("sizeIncrement:size>=163<164 minSize:size>=164 sizeIncrement:size>=164"),
        *fields("suggestedSizeIncrement:size>=164"),
    ),
    "execDetails": (
        *fields("=11 reqId orderId:int"),
        *ECHOED_CONTRACT,
        *fields(
            "execId time acctNumber exchange side shares:size price:price permId:int clientId:int liquidation:int"
            " cumQty:size avgPrice:price orderRef evRule evMultiplier modelCode lastLiquidity:int"
            " pendingPriceRevision:bool>=178"
        ),
    ),
    "managedAccounts": fields("=15 =1 accounts"),
    "currentTime": fields("=49 =1 time:int"),
    "realtimeBar": fields(
        "=50 =3 reqId time:int open:price high:price low:price close:price volume:size wap:price count:int"
    ),
    "contractDetailsEnd": fields("=52 =1 reqId"),
    "openOrderEnd": fields("=53 =1"),
    "accountDownloadEnd": fields("=54 =1 account"),
    "execDetailsEnd": fields("=55 =1 reqId"),
    "tickSnapshotEnd": fields("=57 =1 reqId"),
    "marketDataType": fields("=58 =1 reqId type:int"),
    "commissionReport": fields("=59 =1 execId commission:price currency realizedPNL:double yield:double date"),
    "position": (*fields("=61 =3 account"), *ECHOED_CONTRACT, *fields("position:size avgCost:price")),
    "positionEnd": fields("=62 =1"),
    "accountSummary": fields("=63 =1 reqId account tag value currency"),
    "accountSummaryEnd": fields("=64 =1 reqId"),
    "positionMulti": (
        *fields("=71 =1 reqId account"),
        *ECHOED_CONTRACT,
        *fields("position:size avgCost:price modelCode"),
    ),
    "positionMultiEnd": fields("=72 =1 reqId"),
    "accountUpdateMulti": fields("=73 =1 reqId account modelCode key value currency"),
    "accountUpdateMultiEnd": fields("=74 =1 reqId"),
    "securityDefinitionOptionParameterEnd": fields("=76 reqId"),
    "softDollarTiers": fields("=77 reqId =0"),
    "familyCodes": (*fields("=78"), Repeat("accounts", fields("account familyCode"))),
    "symbolSamples": (
        *fields("=79 reqId"),
        Repeat("samples", fields("conId:int symbol secType primaryExchange currency =0 longName>=176 issuerId>=176")),
    ),
    "mktDepthExchanges": fields("=80 =0"),
    "tickReqParams": fields("=81 reqId minTick:price bboExchange snapshotPermissions:int"),
    "smartComponents": fields("=82 reqId =0"),
    "newsProviders": fields("=85 =0"),
    "headTimestamp": fields("=88 reqId time"),
    "historicalDataUpdate": fields(
        "=90 reqId count:int date open:price close:price high:price low:price wap:price volume:size"
    ),
    "historicalData": (*fields("=17 reqId start end count:int"), Ready("bars")),
    "marketRule": (*fields("=93 marketRuleId"), Repeat("increments", fields("lowEdge:price increment:price"))),
    "pnl": fields("=94 reqId dailyPnL:price unrealizedPnL:price realizedPnL:price"),
    "pnlSingle": fields("=95 reqId position:size dailyPnL:price unrealizedPnL:price realizedPnL:price value:price"),
    "historicalTicks": (
        *fields("=96 reqId"),
        Repeat("ticks", fields("time:int =0 price:price size:size")),
        *fields("done:bool"),
    ),
    "historicalTicksBidAsk": (
        *fields("=97 reqId"),
        Repeat("ticks", fields("time:int mask:int bid:price ask:price bidSize:size askSize:size")),
        *fields("done:bool"),
    ),
    "historicalTicksLast": (
        *fields("=98 reqId"),
        Repeat("ticks", fields("time:int mask:int price:price size:size exchange conditions")),
        *fields("done:bool"),
    ),
    "tickByTickAllLast": fields("=99 reqId tickType time:int price:price size:size mask:int exchange conditions"),
    "tickByTickBidAsk": fields("=99 reqId =3 time:int bid:price ask:price bidSize:size askSize:size mask:int"),
    "tickByTickMidPoint": fields("=99 reqId =4 time:int midPoint:price"),
    "tickGeneric": fields("=45 =6 reqId tickType value:price"),
    "tickString": fields("=46 =6 reqId tickType value"),
    "orderBound": fields("=100 permId:int clientId:int orderId:int"),
    "completedOrder": COMPLETED_ORDER,
    "completedOrdersEnd": fields("=102"),
    "userInfo": fields("=107 reqId whiteBrandingId"),
}


def message(name: str, values: Values, version: int) -> bytes:
    """Payload of the response ``name`` for a client of this server version."""
    return join(write(RESPONSES[name], values, version))
