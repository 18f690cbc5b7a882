"""The workload on nautilus_trader, which fills at the close of the next bar and has no slippage in basis points."""

from decimal import Decimal
from pathlib import Path

from nautilus_trader.backtest.engine import BacktestEngine, BacktestEngineConfig
from nautilus_trader.backtest.models import FixedFeeModel
from nautilus_trader.config import LoggingConfig, StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Quantity
from nautilus_trader.persistence.wranglers import BarDataWrangler
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

import workload


class CrossConfig(StrategyConfig, frozen=True):
    """Which bars to trade."""

    bar_type: str


class Cross(Strategy):
    """Long or flat by two simple moving averages."""

    def __init__(self, config, counter):
        super().__init__(config)
        self.bar_type = BarType.from_str(config.bar_type)
        self.fast = SimpleMovingAverage(workload.FAST)
        self.slow = SimpleMovingAverage(workload.SLOW)
        self.held = False
        self.counter = counter

    def on_start(self):
        self.register_indicator_for_bars(self.bar_type, self.fast)
        self.register_indicator_for_bars(self.bar_type, self.slow)
        self.subscribe_bars(self.bar_type)

    def on_bar(self, bar):
        if not self.slow.initialized:
            return
        long = self.fast.value > self.slow.value
        if long != self.held:
            self.held = long
            side = OrderSide.BUY if long else OrderSide.SELL
            self.counter[0] += 1
            self.submit_order(
                self.order_factory.market(self.bar_type.instrument_id, side, Quantity.from_int(workload.QUANTITY))
            )


def run(files: list[Path]) -> tuple[int, int, float]:
    """Every file is one instrument on one simulated venue."""
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    venue = Venue("XNAS")
    engine.add_venue(
        venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(workload.CASH, USD)],
        default_leverage=Decimal(10),
        fee_model=FixedFeeModel(Money(workload.COMMISSION, USD)),
    )
    bars, counter = 0, [0]
    for path in files:
        instrument = TestInstrumentProvider.equity(symbol=path.stem, venue="XNAS")
        engine.add_instrument(instrument)
        name = f"{instrument.id}-1-MINUTE-LAST-EXTERNAL"
        frame = workload.read_frame(path)
        bars += len(frame)
        engine.add_data(BarDataWrangler(BarType.from_str(name), instrument).process(frame))
        engine.add_strategy(Cross(CrossConfig(bar_type=name, order_id_tag=path.stem), counter))
    with workload.timed():
        engine.run()
    equity = float(engine.trader.generate_account_report(venue)["total"].iloc[-1])
    return bars, counter[0], equity


if __name__ == "__main__":
    workload.measured(run)
