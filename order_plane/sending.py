"""Sends what was let through, one order after another, and looks between two whether trading has been stopped."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from contracts.base import Message
from contracts.control import KillSwitchCommand
from contracts.trading import OrderIntent
from kernel.clock import since_boot
from kernel.kafka_errors import BrokerUnavailable
from kernel.ports import Unprocessable
from order_plane.brokers.port import Broker
from order_plane.desk import Desk
from order_plane.dispatch import Dispatch
from order_plane.effects import SubmitOrder
from order_plane.journals.port import Journal, Past
from order_plane.router import Router
from order_plane.settlement import Settlement
from order_plane.supervision import Supervision

Urgent = Callable[[], Iterable[KillSwitchCommand]]
"""Tells which commands somebody waits for, each of which is carried out before the next one is asked for."""
_PAUSE_SECONDS = 1.0
"""After so long away even a journal of this process alone is asked whether it still is, and time counts for intents."""


class Sending:
    """A batch is judged before its first order leaves, and much can happen until the last one would.

    ``urgent`` says which commands somebody waits for, ``beside`` which of them come by other ways than Kafka, and
    ``obey`` carries one out. `begin` is to be called before the journal is asked who may send. A journal that another
    order plane can take over is asked again before each order: what was decided leaves only from the plane that holds
    it.

    When Kafka falls silent meanwhile, what closes a position leaves all the same, and the rest is withheld.

    Raises:
        JournalError: when another order plane has taken the journal over, or a shared one does not answer.
        BrokerUnavailable: when something was withheld because Kafka does not answer.
    """

    def __init__(
        self,
        desk: Desk,
        broker: Broker,
        router: Router,
        supervision: Supervision,
        journal: Journal,
        obey: Callable[[KillSwitchCommand], Sequence[Message]],
    ) -> None:
        self._desk = desk
        self._dispatch = Dispatch(desk, journal, broker, router, supervision)
        self._supervision = supervision
        self._journal = journal
        self._obey = obey
        self._shared = journal.shared
        self._ours_at = self._decided_at = since_boot()
        self.urgent: Urgent = tuple
        self.beside: Urgent = tuple

    def recall(self, past: Past) -> None:
        """Count what an earlier life has sent, or may have: it does not leave again."""
        self._dispatch.departures.recall(past)

    def begin(self) -> None:
        """The journal is asked now: what it answers holds for a moment."""
        self._ours_at = self._decided_at = since_boot()

    def send(
        self, orders: Iterable[SubmitOrder], closing: Sequence[SubmitOrder], settlement: Settlement, heard: int
    ) -> int:
        """Send each of ``orders``, unless what was said since they were let through forbids it.

        ``closing`` are those that close a position and that nothing holds back. The guards have heard so many of the
        outputs of ``settlement``; returns how many they have heard then.
        """
        desk, dispatch, watched = self._desk, self._dispatch, self._supervision.guards is not None
        exempt = {order.intent.intent_id for order in closing} if closing else ()
        silence: BrokerUnavailable | None = None
        withheld = False
        for order in orders:
            said = len(settlement.outputs)
            ready = dispatch.make_way(order, settlement)  # a venue may take long to say so
            heard = self._overhear(settlement, heard, said) if watched else heard
            ready = ready and (order.attempt == 1 or dispatch.is_absent(order, settlement))
            try:
                self.heed(settlement, silence is None)
            except BrokerUnavailable as away:
                silence = away  # once Kafka was silent it is not asked again
            closes = bool(exempt) and order.intent.intent_id in exempt
            held = silence is not None and not closes
            withheld = withheld or held
            if ready and held:
                dispatch.withhold(order, "KAFKA_AWAY: Kafka fell silent before it was sent", settlement)
            elif ready and self._is_late(order.intent):
                dispatch.withhold(order, "INTENT_EXPIRED: it was overdue before it could be sent", settlement)
            elif ready and (order.attempt > 1 or (desk.troubled and not closes)):
                dispatch.send_if_allowed(order, settlement)
            elif ready:
                dispatch.send(order, settlement)
            heard = self._overhear(settlement, heard) if watched else heard
        said = len(settlement.outputs)
        dispatch.conclude(settlement)
        heard = self._overhear(settlement, heard, said) if watched else heard
        if silence is not None and withheld:
            settlement.write_down(self._journal)
            raise silence
        return heard

    def _overhear(self, settlement: Settlement, heard: int, said: int = -1) -> int:
        """Let the guards judge, unless nothing was said since there were ``said`` outputs."""
        if said == len(settlement.outputs):
            return heard
        if self._supervision.overhear(settlement.outputs[heard:]):
            settlement.outputs += self._supervision.act(())
        return len(settlement.outputs)

    def heed(self, settlement: Settlement, ask: bool = True) -> None:
        """Carry out what somebody waits for; to be called before anything that makes the venue trade.

        When that cannot be known nothing more leaves, and what the venue has said so far is made durable.
        """
        try:
            now = since_boot()
            if self._shared or now - self._ours_at > _PAUSE_SECONDS:
                self._journal.affirm()
                self._ours_at = now
            for command in self.urgent() if ask else self.beside():
                with suppress(Unprocessable):  # a release that is refused is told so when its turn comes
                    settlement.outputs += self._obey(command)
        except Exception:
            self._dispatch.conclude(settlement)
            settlement.write_down(self._journal)
            raise

    def _is_late(self, intent: OrderIntent) -> bool:
        """Whether ``intent`` has expired while it waited: event time does not move while a batch is being sent.

        What took no time at all takes none here either, so that a backtest is the same on every machine.
        """
        until = intent.valid_until
        if until is None:
            return False
        waited = since_boot() - self._decided_at
        return waited >= _PAUSE_SECONDS and self._desk.now + timedelta(seconds=waited) > until
