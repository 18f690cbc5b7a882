"""The order plane as a stage: the desk's wishes carried out around a journal and a broker."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from uuid import UUID

from contracts.base import Message
from contracts.claims import IntentsHandedOver
from contracts.control import KillSwitchCommand
from contracts.market import BarEvent, TickEvent, TickType
from contracts.trading import ExecutionReport, OrderIntent
from domain.bar_run import newest
from kernel.crash_points import crash_point
from kernel.ports import Handler, Unprocessable
from order_plane.admission import Admission
from order_plane.brokers.port import Broker, KeyLife
from order_plane.decisions import book_fill, carry_out
from order_plane.desk import Desk
from order_plane.effects import CancelOrder, SubmitOrder
from order_plane.facts import Fact
from order_plane.inheritance import Inheritance
from order_plane.journals.port import Journal, Past, Recall, Resolution, Verdict
from order_plane.journals.published import PublishedReports
from order_plane.recovery import resume, take_up, unanswered
from order_plane.reports import stamped
from order_plane.router import Router
from order_plane.sending import Sending, Urgent
from order_plane.settlement import Settlement
from order_plane.supervision import Supervision
from order_plane.unacceptable import CONFLICTING_INTENT
from order_plane.upkeep import NO_UPKEEP, Options, Upkeep

_TRADES = (TickType.TRADE, TickType.LAST)
_NEW, _KNOWN = Recall.NEW, Recall.KNOWN  # looking a member up by name costs more than comparing it


class Execution:
    """Collects intents and market events, and carries a batch out in `settle`.

    The order of things is what makes it safe: what is decided is durable before the first order leaves, each
    order leaves once, and what the broker said is durable before anyone hears of it. `recover` must have run
    before the first intent.
    """

    def __init__(
        self,
        desk: Desk,
        journal: Journal,
        broker: Broker,
        account: str,
        supervision: Supervision | None = None,
        options: Options = NO_UPKEEP,
    ) -> None:
        self.desk = self._desk = desk
        self._journal, self.journal_id = journal, journal.journal_id
        self.published = PublishedReports(journal)
        self._broker, self._account, self._recovered = broker, account, False
        self._router = Router(desk, journal, broker)
        self.supervision = supervision = supervision or Supervision(desk, journal)
        supervision.unlatched = lambda: self._router.cancel_untold(desk.cancels.due())
        self._sending = Sending(desk, broker, self._router, supervision, journal, self._on_command)
        self.upkeep = Upkeep(desk, journal, broker, self._router, account, options)
        self.inheritance = Inheritance(desk, journal, self._router, self.published, self.upkeep, self._sending.recall)
        self._admission = Admission(desk, journal, account, self.upkeep, self.inheritance, self._sending.begin)
        self._pending: dict[UUID, OrderIntent] = {}
        self._repeated: dict[UUID, None] = {}
        self.uncancelled: dict[UUID, CancelOrder] = {}
        self._again: list[SubmitOrder] = []
        self._published: Callable[[], int] = lambda: journal.appended
        self._observe, self._mark, self._drain = broker.observe, desk.mark, broker.drain
        self.handlers: Mapping[type[Message], Handler] = {
            OrderIntent: self._on_intent,
            BarEvent: self._on_bar,
            TickEvent: self._on_tick,
            KillSwitchCommand: self._on_command,
            **supervision.handlers,
        }

    @property
    def key_life(self) -> KeyLife:
        """How long the venue knows an intent by its id: what its silence on one is worth."""
        return self._broker.key_life

    @property
    def appended(self) -> int:
        """How many reports the journal was ever given to publish."""
        return self._journal.appended

    def follow(self, published: Callable[[], int]) -> None:
        """Ask ``published`` how many reports have reached their readers; else those of earlier settlements count."""
        self._published = published

    def heed(self, urgent: Urgent, beside: Urgent = tuple) -> None:
        """Ask ``urgent`` before each order leaves which commands somebody waits for: a batch may take long to send.

        Of commands that come by one way it must tell all, in their order; they may be handled again in their turn.
        Once Kafka falls silent in a batch, ``beside`` is asked instead: which of them come by other ways.
        """
        self._sending.urgent, self._sending.beside = urgent, beside

    def yield_at(self, on_mark: Handler) -> None:
        """Hand marks of a hand-over among the intents to ``on_mark``, which raises when what follows is not ours."""
        self.handlers = {**self.handlers, IntentsHandedOver: on_mark}

    def recover(self) -> Sequence[Message]:
        """Come back from whatever ended the last run; what it returns must be published first.

        Loads the kill switch and every order, asks the broker about each one that is open, and returns the
        reports that may not have reached their readers. An order that was about to be sent is adopted when
        the broker has it; else its outcome is unknown and a person decides. Nothing is sent again by itself.

        Raises:
            JournalError: when the reports restored are of another journal, or of a newer copy of this one.
        """
        self.published.refuse_others()
        settlement = Settlement(published=0)
        settlement.outputs.extend(self.supervision.begin())
        settlement.outputs.extend(self._journal.unpublished())
        unbegun = take_up(self._desk, self._account, self._journal, self._router, settlement, self._adopt)
        resume(self.inheritance.unsent(unbegun, settlement), self._pending, self._again)
        self._collect(self._desk.cancels.due())
        settlement.conclude(self._journal)
        self.inheritance.settled()
        self.supervision.settled(settlement.reports).keep(self._journal)
        self._recovered = True
        return [*settlement.outputs, *self.reconcile()]

    def reconcile(self) -> Sequence[Message]:
        """Hold the account against the venue, if that is wanted; what it returns must be published."""
        said = [*self.upkeep.reconcile(), *self.supervision.latch()]
        self._collect(self._desk.cancels.of_found())
        self.supervision.settled(said).keep(self._journal)
        return said

    def restore(self, message: Message) -> None:
        """Take a market event as a reference price, and a kill switch command as given: before `recover`.

        Those handled before a restart, and those that arrived meanwhile: nothing is sent in ignorance of them. Of a
        report it is remembered how far the journal was that it came from, and of an intent what it wished for.
        """
        if isinstance(message, BarEvent):
            self._mark(message)
        elif isinstance(message, (ExecutionReport, OrderIntent)):
            self.published.remember(message)
        elif isinstance(message, TickEvent):
            self._on_tick(message)
        else:
            self.supervision.remember(message)

    def settle(self) -> Sequence[Message]:
        """Book what the broker did, cancel what must be cancelled, and send the intents collected.

        At most two durable transactions, however many intents there are, and one for each order that is replaced.
        """
        facts = self._drain()
        if self.upkeep.policed:
            self.upkeep.police(self._pending, self.uncancelled, facts)
        alert = self.supervision.alert
        idle = not (facts or self._pending or self.uncancelled or self._repeated or self._again)
        if idle and not (alert or self.upkeep.changes):
            return ()
        settlement = Settlement(self._published())
        for fact in facts:
            self._router.learn(fact, settlement)
        self._collect(self._desk.cancels.of_found())
        heard = self._supervise(settlement) if alert else 0
        if self.upkeep.changes or self.uncancelled:
            self._change_and_cancel(settlement)
        if self._pending or self._again or self.supervision.alert:
            heard = self._send(settlement, heard)
        if self.supervision.watches:
            settlement.measured = self.supervision.settled(settlement.outputs[heard:])
        if self._repeated:
            settlement.repeat([each for name in self._repeated for each in self._journal.reports_of(name)])
            self._repeated.clear()
        settlement.conclude(self._journal)
        settlement.outputs.extend(self.supervision.latch())
        crash_point("after_acked")
        return settlement.outputs

    @property
    def dormant(self) -> bool:
        """Whether no market event can make the plane say anything: it has no order, at the broker or in hand."""
        waits = self._pending or self._repeated or self.uncancelled or self._again or not self._broker.dormant
        return not (waits or self.upkeep.waits) and self.supervision.idle

    def sweep(self, messages: Sequence[Message], begin: int, end: int) -> tuple[int, Sequence[Message]]:
        """Hear market events while `dormant`: only the newest of each symbol leaves a trace then."""
        for message in newest(messages, begin, end):
            self.handlers[type(message)](message)
        return end, ()

    def resolve(self, resolution: Resolution) -> Sequence[Message]:
        """Carry out what a person signed about an order in doubt; what it returns must be published.

        Raises:
            NotInDoubt: when neither that attempt nor a change of it is in doubt, or not any more.
        """
        settlement = Settlement(published=0)
        again = carry_out(resolution, self._desk, self._journal, self._router, settlement)
        if resolution.verdict is Verdict.NOT_SENT and not self._desk.switch.engaged:
            self.uncancelled.pop(resolution.intent_id, None)  # a cancel that never arrived is not sent after all
        self._again += [] if again is None else [again]
        settlement.conclude(self._journal)
        self._collect(self._desk.cancels.of_found())
        return settlement.outputs

    def book(self, fill: Fact) -> Sequence[Message]:
        """Book an execution that a person told; what it returns must be published, and it raises NotBookable."""
        settlement = Settlement(published=0)
        book_fill(fill, self._broker, self._journal, self._router, settlement)
        settlement.conclude(self._journal)
        self._collect(self._desk.cancels.of_found())
        return settlement.outputs

    def cancel(self, intent_id: UUID, request_id: str, reason: str) -> None:
        """Ask in the next settlement for an open order to be cancelled; raises NotOpen when it is not open."""
        self._collect([self._desk.cancels.wished(intent_id, request_id, reason)])

    def hold(self, reason: str) -> None:
        """Send nothing new until the process ends, but what closes positions; intents in hand will be told again."""
        self._pending.clear()
        self._desk.halts.held = reason

    def stamp(self, message: Message) -> Message:
        """What leaves for other processes: a report says which journal it came from and how far that was."""
        return stamped(message, self._journal.journal_id, self._journal.sequence)

    def rest(self) -> None:
        """Everything said has left and nobody waits: let venue and journal do what has to be done at some time."""
        self._broker.rest()
        self._journal.rest()

    def close(self) -> None:
        """Let go of broker and journal."""
        self._broker.close()
        self._journal.close()

    def _on_bar(self, bar: BarEvent) -> tuple[()]:
        self._observe(bar)
        self._mark(bar)
        return ()

    def _on_tick(self, tick: TickEvent) -> tuple[()]:
        if tick.tick_type in _TRADES:
            self._mark(tick)
        return ()

    def _on_intent(self, intent: OrderIntent) -> tuple[()]:
        if not self._recovered:
            raise RuntimeError("recover() has not run: what the last run left open is unknown")
        recall = self._journal.recall(intent)
        if recall is _NEW:
            waiting = self._pending.setdefault(intent.intent_id, intent)
            if waiting is not intent and waiting.__dict__ != intent.__dict__:
                raise Unprocessable(CONFLICTING_INTENT)
        elif recall is _KNOWN:
            self._repeated[intent.intent_id] = None
        else:
            raise Unprocessable(CONFLICTING_INTENT)
        return ()

    def _on_command(self, command: KillSwitchCommand) -> Sequence[Message]:
        said = self.supervision.command(command)
        self._collect(self._desk.cancels.due())
        return said

    def _adopt(self, past: Past) -> None:
        self.supervision.learn(past)
        self._sending.recall(past)
        self._collect(unanswered(past) if self._desk.knows(past.intent.intent_id) else ())
        self.inheritance.recall(past)
        if self.upkeep.policed:
            self.upkeep.take_over(past, self._pending)

    def _collect(self, cancels: Iterable[CancelOrder]) -> None:
        for order in cancels:
            self.uncancelled[order.key] = order

    def _supervise(self, settlement: Settlement) -> int:
        """Let guards judge; returns how many of the outputs they have heard."""
        settlement.outputs.extend(self.supervision.act(settlement.outputs))
        self._collect(self._desk.cancels.due())
        return len(settlement.outputs)

    def _change_and_cancel(self, settlement: Settlement) -> None:
        if self.upkeep.changes:
            self.upkeep.change(settlement, self.uncancelled, self._sending.heed)
        self.uncancelled = self.upkeep.cancel(self.uncancelled, settlement)
        self._collect(self._desk.cancels.of_found())

    def _send(self, settlement: Settlement, heard: int) -> int:
        """Close what must be closed and send what may be sent; returns how many outputs the guards have heard."""
        closing = self.supervision.closing(self.upkeep.late.untold(settlement)) if self.supervision.alert else []
        again = closing
        if (closing or self._again) and self.upkeep.confirm():  # no answer stops nothing that closes a position
            again, self._again = [*closing, *self._again], []
        orders = self._admission.decide(self._pending, again, settlement) if self._pending or again else ()
        heard = self._sending.send(orders, closing, settlement, heard)
        self._collect(self._desk.cancels.due() if self._desk.troubled else ())
        return heard
