"""Make a kill hold, whatever is down: through the order plane, else in its journal, and by message."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import NamedTuple

from contracts.codec import encode
from contracts.control import KillScope, KillSwitchCommand
from contracts.topics import TOPIC_OF, qualified
from kernel.audit_log import AuditBroken
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from kernel.ports import DeliveryFailed
from kernel.settings import ConfigurationError
from launcher.kafka_options import state_directory
from launcher.open_orders_cli import history_with, is_open
from launcher.order_journal import JOURNAL, looked_at, place_of, settings_of
from launcher.order_socket import socket_of
from launcher.running import current
from order_plane.command_channel import Fields, NobodyListens, ask
from order_plane.composition import durable_journal
from order_plane.journals.port import JournalError, JournalHeld, Past
from order_plane.safety.kill_targets import unmet
from order_plane.settings import OrderSettings

Tell = Callable[[str], None]
"""Says to the operator how it goes, one line at a time."""
_ANSWER_SECONDS = 5.0
"""How long to wait for one answer before the journal is tried: a plane in a long batch obeys now and answers later."""
_SHORTEST_SECONDS = 1.0
_TOLD_EVERY_SECONDS = 5.0
_REACH_SECONDS = 3.0
_GUESSED = " (the newest one here: no run is alive; name another order plane with --state)"
_PAUSE = Event()


class Latch(StrEnum):
    """What became of a kill."""

    ANSWERED = "carried out by the order plane"
    WRITTEN = "latched in the journal; no order plane holds it, and the next one that starts on it begins with it"
    UNMET = "NOTHING THAT IS KNOWN IS STOPPED"
    PUBLISHED = "published; the order plane carries it out when it reads it"
    GUESSED = "NOT KNOWN TO HOLD: no order plane answers, and nobody said which one trades"
    SILENT = "NOT LATCHED: an order plane holds the journal and does not answer"
    NOWHERE = "NOT LATCHED: no order plane answers and no journal can be written"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a kill, and in ``text`` what a person should know and do."""

    latch: Latch
    text: str

    @property
    def holds(self) -> bool:
        """Whether nothing more can be sent: a plane said so, or the journal does before any plane can start."""
        return self.latch in (Latch.ANSWERED, Latch.WRITTEN)


@dataclass(frozen=True, slots=True)
class Plane:
    """An order plane as it can be reached: its ``socket``, and its journal in a file or a database, if it has one."""

    socket: Path
    directory: Path | None
    database: str | None
    guessed: bool = False
    """Nobody named it and no run is alive: its journal is merely the newest one here."""

    @property
    def settings(self) -> OrderSettings | None:
        """The settings that name its journal; None while there is none."""
        if self.directory is None or (self.database is None and not (self.directory / JOURNAL).exists()):
            return None
        return settings_of(self.directory, self.database)


def plane_of(state: Path | None, database: str | None) -> Plane:
    """The order plane of ``state``, else of the run that is alive, else the one whose journal is the newest."""
    guessed = state is None and database is None and current(state_directory()) is None
    try:
        return Plane(socket_of(state), place_of(state, database), database, guessed)
    except JournalError:
        return Plane(socket_of(state), None, database)


def latch(
    command: KillSwitchCommand,
    plane: Plane,
    kafka: Callable[[], KafkaSettings],
    wait_seconds: float,
    tell: Tell,
    *,
    insist: bool = False,
) -> Outcome:
    """Have ``command``, a kill, carried out by ``plane``; when it does not answer, write it into its journal.

    Whoever holds the journal and does not answer is asked again for ``wait_seconds``; with ``insist`` so is a plane of
    which nothing is to be seen yet. Unless the plane answers, the command goes to ``kafka`` too, once.

    Raises:
        CommandRefused: when the order plane refuses it.
    """
    began = monotonic()
    until, told_at, published = began + wait_seconds, 0.0, None
    while True:
        answer = _answered(command, plane.socket, until - monotonic())
        if answer is not None:
            doubt = answer.get("unmet")
            return _carried_out(answer) if doubt is None else _in_doubt(str(doubt))
        latched, detail = _written(command, plane, tell)
        published = published or _published(command, kafka)
        if latched is Latch.WRITTEN:
            if plane.guessed:
                return _of_guess(detail, published, plane)
            working, doubt = _by_journal(command, plane)
            text = f"{latched.value}: {detail}; {published.text}{working}"
            return Outcome(latched, text) if doubt is None else _in_doubt(f"{doubt} ({text})")
        now = monotonic()
        if now >= until or not (insist or latched is Latch.SILENT):
            return _in_vain(latched, detail, published, now - began)
        if now - told_at > _TOLD_EVERY_SECONDS and latched is Latch.SILENT:
            told_at = now
            tell(f"{detail}, and no order plane answers at {plane.socket}; trying on for {until - now:.0f} s")
        _PAUSE.wait(0.1)


def publish(command: KillSwitchCommand, kafka: KafkaSettings) -> None:
    """Make ``command`` durable in ``kafka``, where the order plane reads it, now or when it starts again.

    Raises:
        BrokerUnavailable, DeliveryFailed: when that could not be done.
    """
    producer = DurableProducer(kafka)
    try:
        producer.reach(_REACH_SECONDS)
        topic = qualified(TOPIC_OF[KillSwitchCommand].name, kafka.topic_prefix)
        producer.send(topic, encode(command), key=command.partition_key.encode(), headers=())
        producer.flush()
    finally:
        producer.close()


def _answered(command: KillSwitchCommand, socket: Path, left: float) -> Fields | None:
    try:
        message = {"message": encode(command).decode()}
        return ask(socket, "kill", message, min(max(left, _SHORTEST_SECONDS), _ANSWER_SECONDS))
    except NobodyListens:
        return None


def _written(command: KillSwitchCommand, plane: Plane, tell: Tell) -> tuple[Latch, str]:
    """Write ``command`` into the journal of ``plane`` if nobody holds it; what came of it and a word on that."""
    try:
        settings = plane.settings
        if settings is None:
            return Latch.NOWHERE, "there is no journal here (name its directory with --state)"
        try:
            _record(command, settings)
        except (AuditBroken, OSError) as error:  # a kill must hold, whatever is wrong with the record of it
            _record(command, settings.model_copy(update={"audit": False}))
            tell(f"the audit log does not have it: {error}")
    except JournalHeld as error:
        return Latch.SILENT, str(error).partition(";")[0]
    except JournalError as error:
        return Latch.NOWHERE, f"{error}; no order plane starts on it either"
    where = "the one in the database" if plane.database is not None else str(settings.journal_path)
    return Latch.WRITTEN, f"{where}{_GUESSED if plane.guessed else ''}"


def _record(command: KillSwitchCommand, settings: OrderSettings) -> None:
    journal = durable_journal(settings)
    try:
        journal.record_command(command)
    finally:
        journal.close()


class _Published(NamedTuple):
    done: bool
    text: str


def _published(command: KillSwitchCommand, kafka: Callable[[], KafkaSettings]) -> _Published:
    try:
        publish(command, kafka())
    except (BrokerUnavailable, DeliveryFailed, ConfigurationError, ValueError) as error:
        return _Published(False, f"Kafka could not be told ({error})")
    return _Published(True, "the command was published to Kafka, too")


def _by_journal(command: KillSwitchCommand, plane: Plane) -> tuple[str, str | None]:
    """What a person must know of the orders that nobody cancels now, and of a target that the journal does not know."""
    if plane.directory is None:
        return "", None
    try:
        journal = looked_at(plane.directory, plane.database)
    except JournalError:
        return "", None
    left, known = 0, set()
    try:
        for past in journal.pasts():
            left += is_open(past, history_with(past))
            known.add(_target_of(past, command))
    finally:
        journal.close()
    doubt = unmet(command, known)
    if not left:
        return "; by that journal no order is open", doubt
    working = "which WORK ON until it starts, or somebody cancels them at the venue"
    return f"; orders open by that journal: {left}, {working}", doubt


def _target_of(past: Past, command: KillSwitchCommand) -> str:
    """What a kill of the scope of ``command`` calls it that stops ``past``."""
    if command.scope is KillScope.STRATEGY:
        return past.intent.strategy_id
    return past.intent.symbol if command.scope is KillScope.SYMBOL else past.account


def _carried_out(answer: Fields) -> Outcome:
    """How many orders were to be cancelled, if any could be, and how many of them the venue has not ended."""
    due, left = answer.get("due"), answer.get("uncancelled")
    if due is None:
        return Outcome(Latch.ANSWERED, Latch.ANSWERED.value)
    counts = f"orders to cancel: {due}, not confirmed: {len(left) if isinstance(left, list) else 0}"
    return Outcome(Latch.ANSWERED, f"{Latch.ANSWERED.value}; {counts}")


def _in_doubt(why: str) -> Outcome:
    return Outcome(Latch.UNMET, f"{Latch.UNMET.value}: {why}")


def _of_guess(detail: str, published: _Published, plane: Plane) -> Outcome:
    """What is to be said when only a journal has it that may be nobody's: a plane elsewhere trades on unless told."""
    if published.done:
        return Outcome(Latch.PUBLISHED, f"{Latch.PUBLISHED.value}; it was also latched in {detail}")
    todo = "repeat this with --state (or --database) of the order plane that trades, or cancel at the venue"
    text = f"nobody listens at {plane.socket}, only {detail} has it; {published.text}"
    return Outcome(Latch.GUESSED, f"{Latch.GUESSED.value} ({text}); {todo}")


def _in_vain(latched: Latch, detail: str, published: _Published, seconds: float) -> Outcome:
    """What is to be said when neither a plane answered nor a journal could be written."""
    if latched is Latch.SILENT:
        todo = "end that process (`fuser` on the journal's lock file names it) and repeat this command"
        text = (
            f"{latched.value} ({detail}; asked for {seconds:.0f} s); {published.text}; {todo}, or cancel at the venue"
        )
        return Outcome(latched, text)
    if published.done:
        return Outcome(Latch.PUBLISHED, f"{Latch.PUBLISHED.value}; {detail}")
    return Outcome(latched, f"{latched.value}: {detail}; {published.text}; look after its orders at the broker")
