"""The strategy plane as a process over Kafka."""

from threading import Event

from contracts.base import Message
from contracts.control import PlanProgress, RebalancePlan
from contracts.trading import OrderIntent
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings
from kernel.metrics import PlaneMetrics
from kernel.plane import Runtime, serve
from strategy_plane.composition import build_stage
from strategy_plane.settings import StrategySettings


def run(settings: StrategySettings, kafka: KafkaSettings, runtime: Runtime, stop: Event) -> None:
    """Decide until ``stop`` is set; raises what makes a start or going on impossible."""
    stage = build_stage(settings)
    plans: list[type[Message]] = [RebalancePlan, PlanProgress] if settings.rebalancing else []
    with KafkaBus(kafka, runtime.plane.value, stage.handlers, [OrderIntent, *plans]) as bus:
        serve(stage, bus, runtime, stop, PlaneMetrics(runtime.plane.value))
