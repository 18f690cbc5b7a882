"""Where the strategy asks for what the data plane will not tell it."""

from collections.abc import Collection, Iterator

from data_plane.settings import DataSettings, RowKind
from domain.spelling import meant
from strategy_plane.limit_settings import LimitSettings
from strategy_plane.settings import (
    DualMomentumSettings,
    MomentumHoldingsSettings,
    SignalEnsembleSettings,
    StrategySettings,
)
from strategy_plane.signal_settings import (
    OrderFlowImbalanceSettings,
    QueueImbalanceSettings,
    SignalSettings,
    VolatilityPremiumSettings,
    tables_read,
)

_FLOW = "order_flow"


def disagreements(data: DataSettings, strategy: StrategySettings) -> list[str]:
    """Each with the field and the fix.

    Without ``data.symbols`` and ``strategy.universe`` only the data itself says which symbols there are.
    """
    said: list[str] = []
    if data.bar_size != strategy.bar_size:
        said.append(
            f"strategy.bar_size is {strategy.bar_size} and data.bar_size {data.bar_size}, so the strategy would see no "
            "bar: give both the same"
        )
    if data.symbols:
        said += [
            f"strategy.universe: {symbol} is not in data.symbols; add it there, or leave it out"
            for symbol in strategy.universe
            if symbol not in data.symbols
        ]
    traded = set(strategy.universe or data.symbols) - strategy.quoted.pairs
    if traded:
        said += [*strategy.strangers(traded), *_too_few(strategy, traded)]
    if isinstance(strategy.strategy, SignalEnsembleSettings):
        for name, signal in strategy.strategy.signals.items():
            said += _untold(f"strategy.strategy.signals.{name}", signal, data)
    return said


def _too_few(strategy: StrategySettings, traded: Collection[str]) -> Iterator[str]:
    chosen, count = strategy.strategy, len(traded)
    if isinstance(chosen, MomentumHoldingsSettings) and chosen.winners + chosen.losers > count:
        yield (
            f"strategy.strategy.winners and losers are {chosen.winners + chosen.losers} of {count} symbols, so nothing "
            "could ever be chosen: lower them"
        )
    if isinstance(chosen, DualMomentumSettings):
        for market, symbols in chosen.markets.items():
            if chosen.per_market > len(symbols):
                yield (
                    f"strategy.strategy.per_market is {chosen.per_market} and markets.{market} has {len(symbols)} "
                    "symbols: lower it, or name more"
                )
    limits = getattr(chosen, "limits", None)
    if isinstance(limits, LimitSettings) and (limits.net_floor or 0.0) > limits.box * count:
        yield (
            f"strategy.strategy.limits.net_floor is above box times {count} symbols, so it could never be reached: "
            "lower it, or raise box"
        )


def _untold(field: str, signal: SignalSettings, data: DataSettings) -> Iterator[str]:
    """What ``signal`` reads and nobody publishes."""
    for setting, table in tables_read(signal).items():
        if table not in data.tables:
            yield (
                f"{field}.{setting}: {table} is not in data.tables, so add it there or leave the signal out; "
                f"{meant(table, data.tables)}"
            )
    if isinstance(signal, OrderFlowImbalanceSettings | QueueImbalanceSettings) and not _has_flow(data):
        yield (
            f"{field} reads order flow, and there is no table {_FLOW} in data.tables and no source of quotes: "
            f"add one, or leave the signal out"
        )
    if isinstance(signal, VolatilityPremiumSettings) and signal.index and signal.table in data.tables and data.symbols:
        told = {*data.tables[signal.table].market, *data.symbols}
        if signal.index not in told:
            yield (
                f"{field}.index: {signal.index} is not in data.tables.{signal.table}.market, so add it there or take "
                f"index: null; {meant(signal.index, told)}"
            )


def _has_flow(data: DataSettings) -> bool:
    quoted = data.ibkr.quotes if data.ibkr else any(source.kind is RowKind.QUOTES for source in data.sources)
    return _FLOW in data.tables or (quoted and data.order_flow_interval is not None)
