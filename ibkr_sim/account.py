"""One brokerage account: cash, positions at average cost, profit and loss, margin."""

from collections.abc import Callable
from dataclasses import dataclass, field

INITIAL_MARGIN = 0.5
MAINTENANCE_MARGIN = 0.25
"""Shares of a stock position's value: Regulation T for the initial margin, FINRA 4210 for the maintenance."""

_LEVERAGE = 1 / MAINTENANCE_MARGIN
_PER_SHARE, _LEAST, _MOST_OF_VALUE = 0.005, 1.0, 0.01

Price = Callable[[int], float]
"""The market price of a contract, by its number."""


@dataclass(slots=True)
class Position:
    """Holding of one contract; ``average_cost`` includes commissions, as IBKR counts it."""

    contract_id: int
    quantity: float = 0.0
    average_cost: float = 0.0
    realized: float = 0.0
    day_value: float = 0.0
    day_flow: float = 0.0

    def trade(self, signed: float, price: float, commission: float) -> float:
        """Book an execution of ``signed`` shares; returns the profit realised, after commission."""
        realized = 0.0
        kept = self.quantity
        closing = min(abs(signed), abs(kept)) if kept * signed < 0 else 0.0
        per_share = commission / abs(signed)
        if closing:
            direction = 1.0 if kept > 0 else -1.0
            realized = closing * ((price - self.average_cost) * direction - per_share)
        opening = abs(signed) - closing
        self.quantity = round(kept + signed, 8)
        if opening:
            cost = price + per_share if signed > 0 else price - per_share
            held = abs(self.quantity) - opening
            self.average_cost = (self.average_cost * held + cost * opening) / abs(self.quantity)
        if self.quantity == 0:
            self.average_cost = 0.0
        self.realized += realized
        self.day_flow += signed * price + commission
        return realized

    def unrealized(self, price: float) -> float:
        """Profit that closing at ``price`` would realise."""
        return self.quantity * (price - self.average_cost)

    def daily(self, price: float) -> float:
        """Profit since the day began."""
        return self.quantity * price - self.day_value - self.day_flow


@dataclass(slots=True)
class Account:
    """``name`` starts with DU on paper and with U live; ``cash`` in dollars."""

    name: str
    cash: float
    positions: dict[int, Position] = field(default_factory=dict)

    def trade(self, contract_id: int, signed: float, price: float, commission: float) -> float:
        """Book an execution; returns the profit realised."""
        position = self.positions.setdefault(contract_id, Position(contract_id))
        self.cash -= signed * price + commission
        return position.trade(signed, price, commission)

    def quantity(self, contract_id: int) -> float:
        """Shares held, negative when short."""
        position = self.positions.get(contract_id)
        return 0.0 if position is None else position.quantity

    def begin_day(self, price: Price) -> None:
        """Start the daily profit and loss anew."""
        for position in self.positions.values():
            position.day_value = position.quantity * price(position.contract_id)
            position.day_flow = position.realized = 0.0

    def realized(self) -> float:
        """Profit realised today."""
        return sum(position.realized for position in self.positions.values())

    def unrealized(self, price: Price) -> float:
        """Profit on what is held."""
        return sum(each.unrealized(price(each.contract_id)) for each in self.positions.values())

    def daily(self, price: Price) -> float:
        """Profit since the day began."""
        return sum(each.daily(price(each.contract_id)) for each in self.positions.values())

    def values(self, price: Price) -> dict[str, float]:
        """The account's figures under the tags of the API, in dollars."""
        held = [each.quantity * price(each.contract_id) for each in self.positions.values()]
        gross, market_value = sum(map(abs, held)), sum(held)
        equity = self.cash + market_value
        initial, maintenance = gross * INITIAL_MARGIN, gross * MAINTENANCE_MARGIN
        available = equity - initial
        return {
            "NetLiquidation": equity,
            "TotalCashValue": self.cash,
            "SettledCash": self.cash,
            "TotalCashBalance": self.cash,
            "CashBalance": self.cash,
            "AccruedCash": 0.0,
            "BuyingPower": max(0.0, available * _LEVERAGE),
            "EquityWithLoanValue": equity,
            "GrossPositionValue": gross,
            "StockMarketValue": market_value,
            "InitMarginReq": initial,
            "MaintMarginReq": maintenance,
            "FullInitMarginReq": initial,
            "FullMaintMarginReq": maintenance,
            "AvailableFunds": available,
            "FullAvailableFunds": available,
            "ExcessLiquidity": equity - maintenance,
            "FullExcessLiquidity": equity - maintenance,
            "Cushion": (equity - maintenance) / equity if equity else 0.0,
            "RealizedPnL": self.realized(),
            "UnrealizedPnL": self.unrealized(price),
        }

    def available_after(self, contract_id: int, signed: float, price: Price) -> float:
        """Funds that would remain above the initial margin after trading ``signed`` shares at the market."""
        at = price(contract_id)
        before = abs(self.quantity(contract_id)) * at
        after = abs(self.quantity(contract_id) + signed) * at
        return self.values(price)["AvailableFunds"] - (after - before) * INITIAL_MARGIN


def commission(quantity: float, price: float, first_of_order: bool = True) -> float:
    """Fixed pricing for US stocks: 0.005 a share, at least 1.00 an order, at most 1 % of its value."""
    least = _LEAST if first_of_order else 0.0
    return round(min(max(quantity * _PER_SHARE, least), max(quantity * price * _MOST_OF_VALUE, 0.0001)), 6)
