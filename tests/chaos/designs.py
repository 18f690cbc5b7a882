"""Ways to send an intent once: the order plane's, and the common ones that do not."""

from collections.abc import Callable
from contextlib import suppress

from hostile_world import NOON, Interrupted, Line, OverlappingLine, World, consume

from contracts.base import Message
from contracts.trading import ExecutionReport, OrderIntent
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.desk import Desk
from order_plane.effects import SubmitOrder
from order_plane.execution import Execution
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, RowState, Verdict
from order_plane.risk.halt import not_halted, not_in_doubt
from order_plane.throttle import TokenBucket
from order_plane.unacceptable import NotInDoubt

Person = Callable[[Execution], list[Message]]
SIGNS = 0.3


def order_plane(world: World, journal: object, *, fenced: bool = True) -> Execution:
    """The real thing, on ``journal`` and its own line to the venue."""
    desk = Desk("ACC", (not_halted, not_in_doubt), TokenBucket(100.0, 100.0))
    line = OverlappingLine(world) if world.overlapping else Line(world)
    return Execution(desk, Interrupted(journal, world, fenced=fenced), line, "ACC")


def life(world: World, journal: object, *, fenced: bool = True, person: Person | None = None) -> None:
    """One life of the real order plane: recover, then consume, with a ``person`` who looks after each batch."""
    stage = order_plane(world, journal, fenced=fenced)
    said = stage.recover()
    world.point()
    world.reports += [each for each in said if isinstance(each, ExecutionReport)]

    def handle(batch: list[OrderIntent]) -> list[object]:
        for intent in batch:
            stage.handlers[OrderIntent](intent)
        said = [*stage.settle(), *(() if person is None else person(stage))]
        return [each for each in said if isinstance(each, ExecutionReport)]

    consume(world, handle)


def shared(world: World, journal: object) -> list[object]:
    """Two order planes on one journal, of which the newer one takes over."""
    return [lambda: life(world, journal)] * 2


def signing(world: World, journal: object) -> Person:
    """Signs now and then, rightly or not, whatever is in doubt by then: adopt it, not sent, or send it again.

    What was shown may be old when it is signed: he may have gone for lunch, and another plane may have taken over.
    """

    def look(stage: Execution) -> list[Message]:
        said: list[Message] = []
        for past in [] if world.calm else [*journal.pasts()]:
            if past.state is not RowState.IN_DOUBT or world.chance.random() >= SIGNS:
                continue
            verdict = world.chance.choice(list(Verdict))
            world.point()
            name = f"v-{past.intent.intent_id.int}" if verdict is Verdict.ADOPTED else ""
            decision = Resolution(past.intent.intent_id, past.attempt, verdict, "ann", "drill", NOON, name)
            with suppress(NotInDoubt):
                said += stage.resolve(decision)
            world.point()
        return said

    return look


def signed(world: World, journal: object) -> list[object]:
    """Two order planes on one journal, and a person at each who signs while they are killed and take over."""
    return [lambda: life(world, journal, person=signing(world, journal))] * 2


def unfenced(world: World, journal: object) -> list[object]:
    """Two order planes that write one journal at the same time, which no adapter allows."""
    return [lambda: life(world, journal, fenced=False)] * 2


def replicas(world: World, journal: object) -> list[object]:
    """Two order planes, each with a journal of its own."""
    own = MemoryJournal()
    return [lambda: life(world, journal, fenced=False), lambda: life(world, own, fenced=False)]


class Naive:
    """What the naive designs have in common: a record that survives, and one submission at a time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.record: dict[object, str] = {}

    def send(self, line: Line, intent: OrderIntent) -> str:
        try:
            line.submit(SubmitOrder(intent, "ACC"))
        except (BrokerRefused, BrokerUnavailable):
            return "REJECTED"
        except BrokerStateUnknown:
            return "UNKNOWN"
        return "DONE"

    def live(self) -> None:
        line = Line(self.world)
        self.recover(line)

        def handle(batch: list[OrderIntent]) -> list[object]:
            for intent in batch:
                self.world.point()
                self.wish(line, intent)
            return []

        consume(self.world, handle)

    def recover(self, line: Line) -> None:
        pass


class NoJournal(Naive):
    """Submit, then write down that it was done."""

    def wish(self, line: Line, intent: OrderIntent) -> None:
        if intent.intent_id not in self.record:
            self.send(line, intent)
            self.world.point()
            self.record[intent.intent_id] = "DONE"


class ResendAfterCrash(Naive):
    """Write down first; what has no answer after a restart is sent again."""

    def wish(self, line: Line, intent: OrderIntent) -> None:
        if intent.intent_id not in self.record:
            self.record[intent.intent_id] = "SENT"
            self.world.point()
            self.finish(line, intent)

    def recover(self, line: Line) -> None:
        for intent in self.world.intents:
            if self.record.get(intent.intent_id) == "SENT":
                self.world.point()
                self.finish(line, intent)

    def finish(self, line: Line, intent: OrderIntent) -> None:
        outcome = self.send(line, intent)
        self.world.point()
        if outcome != "UNKNOWN":
            self.record[intent.intent_id] = outcome


class QueryThenResend(ResendAfterCrash):
    """The same, but the venue is asked first; what it does not find is sent again."""

    def recover(self, line: Line) -> None:
        for intent in self.world.intents:
            if self.record.get(intent.intent_id) == "SENT":
                self.world.point()
                try:
                    found = line.lookup(intent.intent_id)
                except BrokerUnavailable:
                    continue
                if found:
                    self.record[intent.intent_id] = "DONE"
                else:
                    self.finish(line, intent)


def naive(design: type[Naive]) -> object:
    """Two planes of a naive design on one record."""
    return lambda world, journal: [design(world).live] * 2
