"""The order plane as a process over Kafka."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from contracts.base import Message
from contracts.codec import FieldError
from contracts.control import KillScope, KillSwitchCommand, PlanDecision, RebalancePlan, RiskAlert
from contracts.market import BarEvent, TickEvent
from contracts.topics import TOPIC_OF
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent, OrderStatus
from ibkr_client.gateway_note import GatewayNote
from kernel import kafka_errors
from kernel.asides import Asides, Publish
from kernel.clock import SystemClock
from kernel.kafka_bus import KafkaBus
from kernel.kafka_history import Span
from kernel.kafka_lookahead import LookAhead
from kernel.kafka_settings import KafkaSettings
from kernel.metrics import PlaneMetrics
from kernel.plane import Recovery, Runtime, serve
from kernel.ports import Clock, Received
from order_plane.announcing import Announcer
from order_plane.brokers.port import BrokerUnavailable
from order_plane.checking import checking_of
from order_plane.claim_log import KafkaClaims, claim_of, intents_before, running_of
from order_plane.command_channel import SOCKET, CommandChannel, CommandHandler
from order_plane.composition import build_stage
from order_plane.departures import CAUSES as OVERRUNS
from order_plane.execution import Execution
from order_plane.gates import LiveTradingRefused
from order_plane.holding import Holding
from order_plane.last_start import Running
from order_plane.learning import CostLearner, Learning
from order_plane.operator_commands import operator_commands
from order_plane.outage import KafkaOutage
from order_plane.parting import part
from order_plane.retelling import AHEAD, OPENED, OVERHEARD, RECONCILED, obeyed_ahead, opened, overheard, told_of
from order_plane.safety import performance_guard, symbol_halts
from order_plane.settings import BrokerName, Mode, OrderSettings
from order_plane.urgent import ways_of

_REMEMBERED: tuple[type[Message], ...] = (BarEvent, TickEvent, KillSwitchCommand, OrderIntent)
"""What the journal does not tell: reference prices, commands that came meanwhile, prices at which intents arrived."""
_CAUSES = (*performance_guard.CAUSES, *symbol_halts.CAUSES, *OVERRUNS)
_SAID: tuple[type[Message], ...] = (ExecutionReport, RiskAlert, ExecutionCost, KillSwitchCommand)
_SPAN = Span(newest=50_000, to_end=True, whole=frozenset({TOPIC_OF[KillSwitchCommand].name}))
"""A price older than that many records is too old to trade on; a kill holds however old, and before the first order."""


def run(settings: OrderSettings, kafka: KafkaSettings, runtime: Runtime, stop: Event) -> None:
    """Trade until ``stop`` is set.

    What the journal and the broker know is settled before the first intent is read.

    Raises:
        LiveTradingRefused: in mode live, naming the gates that are shut.
        JournalError: when the journal cannot be trusted, or another journal sends for this Kafka.
        LogBroken: when nobody can tell which journal does.
        BrokerUnavailable: when the venue cannot be reached; one that was reached in an earlier life is waited for.
    """
    if kafka.embedded and settings.mode is Mode.LIVE:
        raise LiveTradingRefused("mode live is refused on the embedded broker, which forgets; use a real Apache Kafka")
    settings = _placed(settings, runtime.state_directory)
    stage = _stage(settings, runtime, stop)
    if stage is None:
        return
    metrics, announcer, asides = PlaneMetrics(runtime.plane.value), Announcer(), Asides()
    note = GatewayNote(runtime.state_directory, runtime.plane.value)
    kinds = (*_REMEMBERED, *((RebalancePlan, PlanDecision) if settings.verify_plans else ()))
    with ExitStack() as resources:
        resources.callback(stage.close)
        holding = _holding(settings, stage, kafka, resources)
        learning = Learning(stage, CostLearner()) if settings.learn_costs else stage
        with KafkaBus(kafka, runtime.plane.value, stage.handlers, _SAID, stamp=stage.stamp) as bus:
            ahead = LookAhead(kafka, KillSwitchCommand)  # before the history is read: nothing is between the two
            resources.callback(ahead.close)

            def publish(messages: Iterable[Message]) -> None:
                for message in announcer.said(messages):
                    if not outage.lasts:
                        bus.publish(message)

            channel = CommandChannel(runtime.state_directory / SOCKET, _commands(stage, publish, asides))
            resources.callback(channel.close)
            outage = KafkaOutage(stage, channel.poll, announcer.said, kafka)
            stage.heed(*map(asides.heeding, ways_of(channel, outage, holding, ahead)))
            stage.upkeep.confirm = lambda: _holds(outage, holding)
            stage.follow(lambda: bus.durable)
            checking = checking_of(settings.reconciliation, stage, asides.noting(RECONCILED, publish), channel.poll)
            recovery = Recovery(
                history=lambda: bus.history(kinds, (ExecutionReport,), span=_SPAN, others=_overhearing(stage, asides)),
                opening=lambda: announcer.said(_opened(stage, running_of(settings), holding, kafka, asides)),
                mark=lambda: stage.appended,
            )
            serve(
                learning,
                bus,
                runtime,
                stop,
                metrics,
                recovery=recovery,
                observers=[SubmitLatency(metrics.bar_close_to_submit_seconds.observe, SystemClock()), announcer],
                refresh=lambda: _show(stage, metrics, note),
                between=_in_turn(checking, stage.rest, _obeying(stage, ahead, asides, publish), holding.turn),
                checks={"reconciled": lambda: stage.upkeep.reconciled},
                asides=asides,
                outage=outage,
            )
            _leave(stage, bus, publish)


def _leave(stage: Execution, bus: KafkaBus, publish: Publish) -> None:
    publish(part(stage))
    bus.flush()


def _holding(settings: OrderSettings, stage: Execution, kafka: KafkaSettings, resources: ExitStack) -> Holding:
    """The right to send, which ``stage`` yields where intents are marked as handed over; nothing is claimed yet."""
    claims = KafkaClaims(kafka)
    resources.callback(claims.close)
    holding = Holding(claims, claim_of(settings, stage.journal_id))
    stage.yield_at(holding.on_mark)
    return holding


def _opened(
    stage: Execution, running: Running, holding: Holding, kafka: KafkaSettings, asides: Asides
) -> Sequence[Message]:
    """Come back once nobody else sends; what another journal left behind is kept from leaving again."""
    stage.published.accept(holding.begin().before)
    stage.published.refuse_others()
    standing = holding.claim()
    changed = stage.supervision.started(running)
    intents = () if standing.intents_from is None else intents_before(kafka, standing.intents_from)
    said = opened(stage, standing, intents)
    asides.note(OPENED, told_of(standing, intents), said)
    return [*changed, *said]


def _overhearing(stage: Execution, asides: Asides) -> Callable[[Message], None]:
    """Hears what was written beside this order plane; what another one wrote belongs to its recording."""

    def hear(message: Message) -> None:
        if isinstance(message, ExecutionReport) and message.journal_id != stage.journal_id:
            asides.note(OVERHEARD, overheard(message), ())
        stage.published.overhear(message)

    return hear


def _obeying(
    stage: Execution, ahead: LookAhead[KillSwitchCommand], asides: Asides, publish: Publish
) -> Callable[[], None]:
    """Obeys between two batches what came by Kafka: with orders at work it must not wait behind a backlog of bars."""

    def obey() -> None:
        for command in ahead.arrived():
            said = obeyed_ahead(stage, command)
            asides.note(AHEAD, overheard(command), said)
            publish(said)

    return obey


def _holds(outage: KafkaOutage, holding: Holding) -> bool:
    """Whether Kafka says now that this order plane may send what has no place among the intents."""
    if outage.lasts:
        return False
    try:
        holding.confirm()
    except kafka_errors.BrokerUnavailable:
        return False
    return True


def _commands(stage: Execution, publish: Publish, asides: Asides) -> dict[str, CommandHandler]:
    """What an operator can tell the plane by its socket, noted in a recording but for the one that only asks."""
    return asides.over(operator_commands(stage, asides.publishing(publish)), but="status")


def _stage(settings: OrderSettings, runtime: Runtime, stop: Event) -> Execution | None:
    """The stage, None when ``stop`` was set before its gateway was there."""
    if settings.broker is not BrokerName.IBKR:
        return build_stage(settings)
    from ibkr_client.first_contact import connected, marker_of  # noqa: PLC0415 - other brokers do without

    marker = marker_of(runtime.state_directory, runtime.plane.value)
    return connected(lambda: build_stage(settings), BrokerUnavailable, marker, settings.ibkr, stop, stop.wait)


class SubmitLatency:
    """Times each submitted order from when the newest bar of its symbol reached Kafka."""

    def __init__(self, observe: Callable[[float], None], clock: Clock) -> None:
        self._observe = observe
        self._clock = clock
        self._published_ms: dict[str, int] = {}

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """Remember when a bar was published."""
        if isinstance(received.message, BarEvent):
            self._published_ms[received.message.symbol] = received.timestamp_ms

    def refused(self, received: Received, error: FieldError) -> None:
        """A dead letter submits nothing."""

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """Time the first report of each order that was sent."""
        for output in outputs:
            if (
                isinstance(output, ExecutionReport)
                and output.sequence == 1
                and output.status is not OrderStatus.REJECTED
            ):
                published = self._published_ms.get(output.symbol)
                if published is not None:
                    self._observe(max(0.0, self._clock.now().timestamp() - published / 1000))


def _in_turn(*calls: Callable[[], None]) -> Callable[[], None]:
    def each() -> None:
        for call in calls:
            call()

    return each


def _show(stage: Execution, metrics: PlaneMetrics, gateway: GatewayNote) -> None:
    """Hand what monitoring must see to ``metrics``, and what the command must see that runs this to ``gateway``."""
    metrics.orders_in_doubt.set(stage.desk.in_doubt)
    if stage.upkeep.connected is not None:
        metrics.gateway(connected=stage.upkeep.connected)
        gateway(connected=stage.upkeep.connected)
    metrics.kill_switch_engaged.set(bool(stage.desk.switch.engaged))
    metrics.kill_switch_reduce_only.set(stage.desk.switch.reduces_only)
    guards, triggered = stage.supervision.guards, stage.supervision.triggered
    for guard in guards.all if guards is not None else ():
        if guard.scope is not KillScope.STRATEGY:  # strategies are no label: there may be any number of them
            metrics.guarded(guard.scope.value, guard.watch.profit, guard.watch.drawdown, guard.sharpe)
    for cause in triggered.elements():
        metrics.triggered(cause if cause in _CAUSES else "MANUAL")
    triggered.clear()


def _placed(settings: OrderSettings, directory: Path) -> OrderSettings:
    """Relative paths belong to the directory of the run."""
    key = settings.audit_key_path
    return settings.model_copy(
        update={
            "audit_key_path": None if key is None else directory / key,
            "ibkr": settings.ibkr.model_copy(update={"ids_path": directory / settings.ibkr.ids_path}),
            "journal_path": directory / settings.journal_path,
            "paper_store_path": directory / settings.paper_store_path,
        }
    )
