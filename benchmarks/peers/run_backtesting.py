"""The workload on backtesting.py."""

import warnings
from pathlib import Path

import numpy as np
from backtesting import Backtest, Strategy

import workload


def _mean(closes, length):
    padded = np.concatenate([[0.0], np.cumsum(closes - closes[0])])
    means = np.full(len(closes), np.nan)
    means[length - 1 :] = (padded[length:] - padded[:-length]) / length
    return means


class Cross(Strategy):
    """Long or flat by two indicators computed ahead in numpy."""

    def init(self):
        self.fast = self.I(_mean, self.data.Close, workload.FAST)
        self.slow = self.I(_mean, self.data.Close, workload.SLOW)

    def next(self):
        long = self.fast[-1] > self.slow[-1]
        if long and not self.position:
            self.buy(size=workload.QUANTITY)
        elif not long and self.position:
            self.position.close()


def run(files: list[Path]) -> tuple[int, int, float]:
    """One symbol only: the engine has no portfolio."""
    frame = workload.read_frame(files[0]).rename(columns=str.capitalize)
    frame.index = frame.index.tz_localize(None)
    engine = Backtest(
        frame,
        Cross,
        cash=workload.CASH,
        spread=2 * workload.SLIPPAGE_BPS * 1e-4,  # the engine applies it to entries only
        commission=lambda size, price: workload.COMMISSION,
        finalize_trades=False,
    )
    with warnings.catch_warnings(), workload.timed():
        warnings.simplefilter("ignore")
        result = engine.run()
    open_trades = len(result._strategy.trades)
    return len(frame), 2 * len(result["_trades"]) + open_trades, float(result["Equity Final [$]"])


if __name__ == "__main__":
    workload.measured(run)
