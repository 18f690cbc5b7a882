"""A venue behind a bad line, for drills: requests and answers get lost, reports repeat, overtake and come late."""

from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from contracts.market import BarEvent
from order_plane.brokers.port import (
    Broker,
    BrokerRefused,
    BrokerStateUnknown,
    BrokerUnavailable,
    KeyLife,
    Snapshot,
)
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact


class Faults(NamedTuple):
    """How often each thing goes wrong, as a fraction of calls.

    A request is ``unavailable`` (nothing was sent), ``refused``, ``lost`` (it times out and never arrives) or has its
    answer lost (``unanswered``: it times out and did arrive). A report is ``late`` (told by a later call) or
    ``repeated``; with ``shuffled`` the reports of one call come in any order.
    """

    unavailable: float = 0.0
    refused: float = 0.0
    lost: float = 0.0
    unanswered: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    shuffled: bool = False


class FaultyBroker:
    """The broker port around another broker; ``draw`` gives numbers from 0 up to 1, so a seed repeats a drill.

    Setting ``faults`` to no faults mends the line.
    """

    def __init__(self, broker: Broker, draw: Callable[[], float], faults: Faults) -> None:
        self._broker = broker
        self._draw = draw
        self.faults = faults
        self._kept: list[Fact] = []

    @property
    def key_life(self) -> KeyLife:
        """A drill takes nothing for granted."""
        return KeyLife.NONE

    @property
    def converts(self) -> bool:
        """As the venue behind the line."""
        return self._broker.converts

    @property
    def dormant(self) -> bool:
        """Never: a late report may come at any time."""
        return False

    def submit(self, order: SubmitOrder) -> Sequence[Fact]:
        """Send an order, if it gets through."""
        return self._asked(lambda: self._broker.submit(order))

    def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """Send a cancel, if it gets through."""
        return self._asked(lambda: self._broker.cancel(order))

    def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """Send a change, if it gets through."""
        return self._asked(lambda: self._broker.replace(order))

    def drain(self) -> Sequence[Fact]:
        """The reports that came through by now."""
        told, self._kept, faults = [*self._kept, *self._broker.drain()], [], self.faults
        heard: list[Fact] = []
        for fact in told:
            if self._draw() < faults.late:
                self._kept.append(fact)
                continue
            heard.append(fact)
            if self._draw() < faults.repeated:
                heard.append(fact)
        return sorted(heard, key=lambda fact: self._draw()) if faults.shuffled else heard

    def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of an order, if the question and the answer get through."""
        self._questioned()
        return self._broker.lookup(intent_id)

    def snapshot(self) -> Snapshot:
        """The account, if the question and the answer get through."""
        self._questioned()
        return self._broker.snapshot()

    def observe(self, bar: BarEvent) -> None:
        """The venue sees the market whatever the line does."""
        self._broker.observe(bar)

    def rest(self) -> None:
        """Let the venue rest."""
        self._broker.rest()

    def close(self) -> None:
        """Let go of the venue."""
        self._broker.close()

    def _asked(self, request: Callable[[], Sequence[Fact]]) -> Sequence[Fact]:
        luck, faults = self._draw(), self.faults
        if luck < faults.unavailable:
            raise BrokerUnavailable
        luck -= faults.unavailable
        if luck < faults.refused:
            raise BrokerRefused("DRILL: the venue says no")
        luck -= faults.refused
        if luck < faults.lost:
            raise BrokerStateUnknown("timeout")
        answer = request()
        if luck - faults.lost < faults.unanswered:
            raise BrokerStateUnknown("timeout")
        return answer

    def _questioned(self) -> None:
        luck, faults = self._draw(), self.faults
        if luck < faults.unavailable:
            raise BrokerUnavailable
        if luck - faults.unavailable < faults.lost + faults.unanswered:
            raise BrokerStateUnknown("timeout")
