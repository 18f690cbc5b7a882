"""The three long messages of an order: placeOrder, openOrder and completedOrder."""

from ibkr_sim.layout import Constant, Repeat, When, fields

CONTRACT = fields(
    "conId symbol secType lastTradeDateOrContractMonth strike right multiplier exchange primaryExchange currency"
    " localSymbol tradingClass"
)
ECHOED_CONTRACT = fields(
    "conId:int symbol secType lastTradeDateOrContractMonth strike:price right multiplier exchange currency localSymbol"
    " tradingClass"
)

_LEG = fields("conId:int ratio:int action exchange openClose:int shortSaleSlot:int designatedLocation exemptCode:int")
_TAG = fields("tag value")
_SCALE = When(
    "scalePriceIncrement",
    fields(
        "scalePriceAdjustValue:double scalePriceAdjustInterval:whole scaleProfitOffset:double scaleAutoReset:bool"
        " scaleInitPosition:whole scaleInitFillQty:whole scaleRandomPercent:bool"
    ),
)
_HEDGE = When("hedgeType", fields("hedgeParam"))
_PEGGED_TO_BENCHMARK = When(
    "orderType",
    fields(
        "referenceContractId:int isPeggedChangeAmountDecrease:bool peggedChangeAmount:price"
        " referenceChangeAmount:price referenceExchangeId"
    ),
    ("PEG BENCH",),
)
_ALGO = When("algoStrategy", (Repeat("algoParams", _TAG),))
_DELTA_NEUTRAL = When("deltaNeutral", fields("deltaNeutralContract delta price"))

# A condition has a layout of its own for each type: an order with conditions is refused, so its rest is not read.
_AFTER_CONDITIONS = When(
    "conditions",
    fields(
        "adjustedOrderType triggerPrice lmtPriceOffset adjustedStopPrice adjustedStopLimitPrice adjustedTrailingAmount"
        " adjustableTrailingUnit extOperator softDollarTier softDollarValue cashQty mifid2DecisionMaker"
        " mifid2DecisionAlgo mifid2ExecutionTrader mifid2ExecutionAlgo dontUseAutoPriceForHedge isOmsContainer"
        " discretionaryUpToLimitPrice usePriceMgmtAlgo duration>=158 postToAts>=160 autoCancelParent>=162"
        " advancedErrorOverride>=166 manualOrderTime>=169"
    ),
    ("0", ""),
)

PLACE_ORDER = (
    *fields("reqId"),
    *CONTRACT,
    *fields(
        "secIdType secId action totalQuantity orderType lmtPrice auxPrice tif ocaGroup account openClose origin"
        " orderRef transmit parentId blockOrder sweepToFill displaySize triggerMethod outsideRth hidden"
    ),
    When("secType", (Repeat("legs", _LEG), Repeat("legPrices", fields("price")), Repeat("smart", _TAG)), ("BAG",)),
    *fields(
        "sharesAllocation discretionaryAmt goodAfterTime goodTillDate faGroup faMethod faPercentage faProfile<177"
        " modelCode shortSaleSlot designatedLocation exemptCode ocaType rule80A settlingFirm allOrNone minQty"
        " percentOffset eTradeOnly firmQuoteOnly nbboPriceCap auctionStrategy startingPrice stockRefPrice delta"
        " stockRangeLower stockRangeUpper overridePercentageConstraints volatility volatilityType"
        " deltaNeutralOrderType deltaNeutralAuxPrice"
    ),
    When("deltaNeutralOrderType", fields("dn1 dn2 dn3 dn4 dn5 dn6 dn7 dn8")),
    *fields(
        "continuousUpdate referencePriceType trailStopPrice trailingPercent scaleInitLevelSize scaleSubsLevelSize"
        " scalePriceIncrement"
    ),
    _SCALE,
    *fields("scaleTable activeStartTime activeStopTime hedgeType"),
    _HEDGE,
    *fields("optOutSmartRouting clearingAccount clearingIntent notHeld deltaNeutral"),
    _DELTA_NEUTRAL,
    *fields("algoStrategy"),
    _ALGO,
    *fields("algoId whatIf orderMiscOptions solicited randomizeSize randomizePrice"),
    _PEGGED_TO_BENCHMARK,
    *fields("conditions"),
    _AFTER_CONDITIONS,
)

_PRICED = (
    "action totalQuantity:size orderType lmtPrice:price auxPrice:price tif ocaGroup account openClose origin:int"
    " orderRef"
)
_ALLOCATION = (
    "faGroup faMethod faPercentage faProfile<177 modelCode goodTillDate rule80A percentOffset:double settlingFirm"
)
_SHORT_SALE = "shortSaleSlot:int designatedLocation exemptCode:int"
_STOCK_REFERENCE = (
    "startingPrice:double stockRefPrice:double delta:double stockRangeLower:double stockRangeUpper:double"
)
_MIDDLE = (
    *fields("comboLegsDescrip =0 =0 =0 scaleInitLevelSize:whole scaleSubsLevelSize:whole scalePriceIncrement:double"),
    _SCALE,
)
_PEGGED_AFTER_170 = fields(
    "minTradeQty:whole>=170 minCompeteSize:whole>=170 competeAgainstBestOffset:double>=170 midOffsetAtWhole:double>=170"
    " midOffsetAtHalf:double>=170"
)

OPEN_ORDER = (
    *fields("=5 orderId:int"),
    *ECHOED_CONTRACT,
    *fields(f"{_PRICED} clientId:int permId:int outsideRth:bool hidden:bool discretionaryAmt:price goodAfterTime"),
    Constant(""),
    *fields(
        f"{_ALLOCATION} {_SHORT_SALE} auctionStrategy:int {_STOCK_REFERENCE} displaySize:whole blockOrder:bool"
        " sweepToFill:bool allOrNone:bool minQty:whole ocaType:int eTradeOnly:bool firmQuoteOnly:bool"
        " nbboPriceCap:double parentId:int triggerMethod:int volatility:double volatilityType:int"
    ),
    *fields("=None"),
    *fields("deltaNeutralAuxPrice:double =0"),
    *(Constant(""), Constant(""), Constant("")),
    *fields("=? =0 =0"),
    Constant(""),
    *fields(
        "continuousUpdate:bool referencePriceType:int trailStopPrice:double trailingPercent:double basisPoints:double"
        " basisPointsType:whole"
    ),
    *_MIDDLE,
    *fields("hedgeType"),
    _HEDGE,
    *fields("optOutSmartRouting:bool clearingAccount =IB notHeld:bool =0 algoStrategy"),
    _ALGO,
    *fields(
        "solicited:bool whatIf:bool status initMarginBefore:double maintMarginBefore:double"
        " equityWithLoanBefore:double initMarginChange:double maintMarginChange:double equityWithLoanChange:double"
        " initMarginAfter:double maintMarginAfter:double equityWithLoanAfter:double commission:double"
        " minCommission:double maxCommission:double commissionCurrency warningText randomizeSize:bool"
        " randomizePrice:bool"
    ),
    *fields(
        "=0 =None triggerPrice:double trailStopPrice:double lmtPriceOffset:double adjustedStopPrice:double"
        " adjustedStopLimitPrice:double adjustedTrailingAmount:double adjustableTrailingUnit:int softDollarTier"
        " softDollarValue softDollarDisplay cashQty:price dontUseAutoPriceForHedge:bool isOmsContainer:bool"
        " discretionaryUpToLimitPrice:bool usePriceMgmtAlgo:bool duration:whole>=158 postToAts:whole>=160"
        " autoCancelParent:bool>=162"
    ),
    *_PEGGED_AFTER_170,
)

COMPLETED_ORDER = (
    *fields("=101"),
    *ECHOED_CONTRACT,
    *fields(f"{_PRICED} permId:int outsideRth:bool hidden:bool discretionaryAmt:price goodAfterTime"),
    *fields(
        f"{_ALLOCATION} {_SHORT_SALE} {_STOCK_REFERENCE} displaySize:whole sweepToFill:bool allOrNone:bool minQty:whole"
        " ocaType:int triggerMethod:int volatility:double volatilityType:int"
    ),
    *fields("=None deltaNeutralAuxPrice:double =0 =0 =0"),
    Constant(""),
    *fields("continuousUpdate:bool referencePriceType:int trailStopPrice:double trailingPercent:double"),
    *_MIDDLE,
    *fields("hedgeType"),
    _HEDGE,
    *fields("clearingAccount =IB notHeld:bool =0 algoStrategy"),
    _ALGO,
    *fields("solicited:bool status randomizeSize:bool randomizePrice:bool"),
    *fields(
        "=0 trailStopPrice:double lmtPriceOffset:double cashQty:price dontUseAutoPriceForHedge:bool isOmsContainer:bool"
        " autoCancelDate filledQuantity:size refFuturesConId:int autoCancelParent:bool shareholder imbalanceOnly:bool"
        " routeMarketableToBbo:bool parentPermId:int completedTime completedStatus"
    ),
    *_PEGGED_AFTER_170,
)
