"""The workload on backtrader."""

from pathlib import Path

import backtrader as bt

import workload


class Fixed(bt.CommInfoBase):
    """A flat fee for each order."""

    params = (("commission", workload.COMMISSION), ("stocklike", True), ("commtype", bt.CommInfoBase.COMM_FIXED))

    def _getcommission(self, size, price, pseudoexec):
        return self.p.commission


class Cross(bt.Strategy):
    """Long or flat by two simple moving averages."""

    def __init__(self):
        self.orders = 0
        self.pairs = [
            (feed, bt.ind.SMA(feed.close, period=workload.FAST), bt.ind.SMA(feed.close, period=workload.SLOW))
            for feed in self.datas
        ]

    def next(self):
        for feed, fast, slow in self.pairs:
            held = self.getposition(feed).size
            long = fast[0] > slow[0]
            if long and not held:
                self.buy(data=feed, size=workload.QUANTITY)
                self.orders += 1
            elif not long and held:
                self.sell(data=feed, size=held)
                self.orders += 1


def run(files: list[Path]) -> tuple[int, int, float]:
    """Every file is one data feed."""
    cerebro = bt.Cerebro(stdstats=False)
    bars = 0
    for path in files:
        frame = workload.read_frame(path)
        frame.index = frame.index.tz_localize(None)
        bars += len(frame)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Cross)
    cerebro.broker.setcash(workload.CASH)
    cerebro.broker.addcommissioninfo(Fixed())
    cerebro.broker.set_slippage_perc(workload.SLIPPAGE_BPS * 1e-4, slip_open=True, slip_match=True)
    with workload.timed():
        (strategy,) = cerebro.run()
    return bars, strategy.orders, float(cerebro.broker.getvalue())


if __name__ == "__main__":
    workload.measured(run)
