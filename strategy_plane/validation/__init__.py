"""Whether a backtest shows skill or the luck of many tries."""
