"""Hand dead letters in again, one at a time, past guards that protect the market from old wishes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache

from confluent_kafka import Message as Record

from contracts.base import Message
from contracts.codec import ContractViolation, decode
from contracts.control import KillSwitchCommand
from contracts.dead_letter import DeadLetter, FailureClass, redriven_headers
from contracts.topics import TOPIC_OF, TOPICS
from contracts.trading import OrderIntent
from kernel.audit_log import AuditLog
from kernel.dead_letter_writer import schema_name
from kernel.dead_letters import Entry
from kernel.kafka_admin import topic_states
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import DeliveryFailed

MAX_ATTEMPTS = 3
PARKED = "dlq_parked"


class Action(StrEnum):
    """What becomes of a dead letter."""

    REDRIVE = "REDRIVE"
    PARK = "PARK"
    REFUSE = "REFUSE"


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of ``entry`` and why; ``destination`` is a name of the table, empty for a refusal."""

    entry: Entry
    action: Action
    reason: str
    destination: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, since when the guards are judged, and with which program.

    ``approver`` is the second person that order intents and ``force_order`` need.
    """

    operator: str
    reason: str
    now: datetime
    app_version: str
    approver: str = ""
    force_order: bool = False

    @property
    def two_persons(self) -> bool:
        """Whether two different people stand behind it."""
        return bool(self.operator and self.approver and self.operator.casefold() != self.approver.casefold())


@dataclass(frozen=True, slots=True)
class Later:
    """What the logs say came after a dead letter."""

    is_there: Callable[[DeadLetter], bool]
    """Whether the partition that a letter came from is there."""
    same_key: Callable[[DeadLetter], bool]
    intents: Callable[[DeadLetter], Iterable[OrderIntent]]
    killed: Callable[[], bool]
    handed_in: frozenset[str] = frozenset()
    """Failures that were redriven or parked before."""


Guard = Callable[[Entry, DeadLetter, Request, Later], Decision | None]


def decide(entry: Entry, request: Request, later: Later) -> Decision:
    """The verdict of the first guard that has one; without any the letter goes back to its first source."""
    letter = entry.letter
    if letter is None:
        return Decision(entry, Action.REFUSE, "something else wrote this record; it has no recorded source")
    for guard in _GUARDS:
        verdict = guard(entry, letter, request, later)
        if verdict is not None:
            return verdict
    return Decision(entry, Action.REDRIVE, f"attempt {letter.redrive_count + 1}", entry.origin)


def _recorded(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    if _failure(letter) in later.handed_in:
        return Decision(entry, Action.REFUSE, "it was handed in before; see the audit log")
    if not letter.intact:
        return Decision(entry, Action.REFUSE, "its value is not the one that was refused (SHA-256 differs)")
    return None


def _destined(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    source = TOPICS.get(entry.origin)
    if source is None or not source.messages or source.dead_letter != entry.topic:
        return Decision(entry, Action.REFUSE, "its recorded source is not a topic whose dead letters come here")
    if not later.is_there(letter):
        return Decision(entry, Action.REFUSE, "its recorded source has no such partition")
    return None


def _attempts(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    if letter.redrive_count >= MAX_ATTEMPTS:
        return Decision(entry, Action.PARK, f"it failed after {letter.redrive_count} attempts", PARKED)
    return None


def _poison(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    expected = ",".join(map(schema_name, TOPICS[entry.origin].messages))
    changed = letter.app_version != request.app_version or (letter.schema_expected not in ("", expected))
    if letter.failure_class == FailureClass.POISON and not changed:
        return Decision(entry, Action.REFUSE, f"poison: it cannot work with version {request.app_version} either")
    return None


def _market_data(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    if entry.origin == "market_events":
        return Decision(entry, Action.REFUSE, "late market data never enters the live topic; backfill it at its source")
    return None


def _order_intent(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    if entry.origin != "order_intents":
        return None
    if not request.two_persons:
        return Decision(entry, Action.REFUSE, "an order intent needs two different persons: --operator and --approver")
    try:
        intent = decode(letter.value or b"", (OrderIntent,))
    except ContractViolation:
        return Decision(entry, Action.REFUSE, "it is no order intent of this version")
    assert isinstance(intent, OrderIntent)  # noqa: S101 - the only type that was accepted
    if intent.valid_until is not None and request.now >= intent.valid_until:
        return Decision(entry, Action.REFUSE, "its valid_until has passed")
    if later.killed():
        return Decision(entry, Action.REFUSE, "a kill switch is engaged")
    if any(_supersedes(other, intent) for other in later.intents(letter)):
        return Decision(entry, Action.REFUSE, "a newer intent of the same strategy and symbol exists")
    return None


def _in_order(entry: Entry, letter: DeadLetter, request: Request, later: Later) -> Decision | None:
    if entry.origin in ("execution_reports", "order_intents"):
        return None  # facts may come in any order; intents are judged by their content
    if later.same_key(letter) and not (request.force_order and request.two_persons):
        return Decision(entry, Action.REFUSE, "newer messages of its key exist; --force-order needs an --approver")
    return None


_GUARDS: Sequence[Guard] = (_recorded, _destined, _attempts, _poison, _market_data, _order_intent, _in_order)


def _supersedes(other: OrderIntent, intent: OrderIntent) -> bool:
    return (
        other.intent_id != intent.intent_id
        and other.timestamp >= intent.timestamp
        and (other.strategy_id, other.symbol) == (intent.strategy_id, intent.symbol)
    )


def look_later(settings: KafkaSettings, audit: AuditLog) -> Later:
    """What the logs of this broker and the audit log say now; reads each log at most when a guard asks.

    Raises:
        BrokerUnavailable: from the guards, when no broker answers.
        AuditBroken: when the audit log was tampered with.
    """
    outcomes = {entry["failure"]: entry["outcome"] for entry in audit.entries() if "failure" in entry}

    @cache
    def partitions() -> dict[str, int]:
        return {state.name: state.partitions for state in topic_states(settings)}

    return Later(
        is_there=lambda letter: 0 <= letter.origin_partition < partitions().get(letter.origin_topic, 0),
        same_key=lambda letter: any(True for _ in _after(settings, letter, letter.key)),
        intents=lambda letter: _intents(settings, letter),
        killed=lambda: _killed(settings),
        handed_in=frozenset(failure for failure, outcome in outcomes.items() if outcome != "FAILED"),
    )


def carry_out(
    decision: Decision, request: Request, settings: KafkaSettings, producer: DurableProducer, audit: AuditLog
) -> None:
    """Write ``decision`` to the audit log, then send the letter; refusals do nothing.

    Raises:
        DeliveryFailed: when it is not durable at its destination; the audit log says so too.
        AuditBroken: before anything is sent.
    """
    letter = decision.entry.letter
    if decision.action is Action.REFUSE or letter is None:
        return
    facts = _facts(decision, letter, request)
    audit.append({**facts, "outcome": "SENDING"})
    parked = decision.action is Action.PARK
    try:
        producer.send(
            settings.topic(decision.destination),
            letter.value,
            letter.key,
            decision.entry.headers if parked else redriven_headers(letter),
            partition=0 if parked else letter.origin_partition,  # a parked letter says where it came from
        )
        producer.flush()
    except DeliveryFailed:
        audit.append({**facts, "outcome": "FAILED"})
        raise
    audit.append({**facts, "outcome": "DURABLE"})


def _facts(decision: Decision, letter: DeadLetter, request: Request) -> dict[str, str]:
    return {
        "at": request.now.isoformat(),
        "operator": request.operator,
        "approver": request.approver,
        "why": request.reason,
        "action": decision.action.value,
        "dead_letter": decision.entry.place,
        "failure": _failure(letter),
        "destination": decision.destination,
        "attempt": str(letter.redrive_count + 1),
        "force_order": str(request.force_order).lower(),
    }


def _failure(letter: DeadLetter) -> str:
    """Names one failure for good; offsets alone come again when a topic is made anew."""
    return f"{letter.dlq_id}@{letter.failed_at}"


def _after(settings: KafkaSettings, letter: DeadLetter, key: bytes | None) -> Iterator[Record]:
    partition = (letter.origin_topic, letter.origin_partition)
    name = letter.origin_topic.removeprefix(settings.topic_prefix)
    _, end = watermarks(settings, [name])[partition]
    for record in read_logs(settings, {partition: (letter.origin_offset + 1, end)}):
        if record.key() == key:
            yield record


def _intents(settings: KafkaSettings, letter: DeadLetter) -> Iterator[OrderIntent]:
    for record in _after(settings, letter, letter.key):
        message = _decoded(record)
        if isinstance(message, OrderIntent):
            yield message


def _killed(settings: KafkaSettings) -> bool:
    engaged: dict[tuple[str, str], bool] = {}
    for record in read_logs(settings, watermarks(settings, [TOPIC_OF[KillSwitchCommand].name])):
        command = _decoded(record)
        if isinstance(command, KillSwitchCommand):
            engaged[command.scope.value, command.target] = command.engage
    return any(engaged.values())


def _decoded(record: Record) -> Message | None:
    try:
        return decode(record.value() or b"")
    except ContractViolation:
        return None
