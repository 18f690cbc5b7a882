"""One backtest put together from the settings of the three planes."""

from collections import Counter
from dataclasses import dataclass

from backtest.engine import Observer, run
from backtest.run_record import RunRecord
from contracts.trading import ExecutionCost
from data_plane.composition import build_connector
from data_plane.composition import build_stage as build_data_stage
from data_plane.pipeline import FindingSink
from data_plane.settings import DataSettings
from kernel.ports import Stage
from order_plane.composition import build_simulation
from order_plane.learning import CostLearner, Learning
from order_plane.settings import OrderSettings
from strategy_plane.composition import build_stage as build_strategy_stage
from strategy_plane.settings import StrategySettings


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a backtest leaves besides its record: rows quarantined by reason."""

    quarantined: Counter[str]


def simulate(
    data: DataSettings,
    strategy: StrategySettings,
    order: OrderSettings,
    record: RunRecord,
    observers: tuple[Observer, ...] = (),
    quarantine_sink: FindingSink = lambda finding: None,
) -> Simulated:
    """Run the three planes over the whole source and fill ``record``; ``quarantine_sink`` is told every finding.

    The order plane comes first, so that fills at a bar are booked before the strategy decides on its moment. It learns
    what executions cost when the strategy asks for it.
    """
    source = build_data_stage(data, quarantine_sink)
    trading, deciding = build_simulation(order), build_strategy_stage(strategy)
    learns = order.learn_costs and ExecutionCost in deciding.handlers
    stages: tuple[Stage, Stage] = (Learning(trading, CostLearner()) if learns else trading, deciding)
    run(source.play(build_connector(data).blocks()), stages, (record, *observers))
    return Simulated(Counter({reason.value: count for reason, count in source.quarantined.items()}))
