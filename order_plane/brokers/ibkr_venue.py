"""The gateway as the order plane sees it: what it says becomes facts, and after every gap it is asked for the rest."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import fsum
from types import ModuleType
from uuid import UUID

import structlog

from ibkr_client.connection import Connection, ConnectionLost
from ibkr_client.contracts import Contracts, ContractTerms
from ibkr_client.error_policy import OnOrder, on_order
from ibkr_client.lifeline import Address, Lifeline
from ibkr_client.messages import Commission, Execution, Hello, Listener, Notice, OrderProgress, OrderState
from order_plane.brokers.ibkr_account import Account
from order_plane.brokers.ibkr_answers import NO_ANSWER, Change, SharedQuestion, clear, named
from order_plane.brokers.ibkr_book import Book
from order_plane.brokers.ibkr_ids import OrderIds
from order_plane.brokers.ibkr_tracked import ENDS, Tracked, reason_of
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable
from order_plane.facts import Fact, FactKind

_LOG = structlog.get_logger()
_COMMISSION_GRACE = 0.5
_CANCEL_GRACE = 0.25
_FRESH_SECONDS = 1.0
LAPSING = frozenset({"DAY", "GTD"})
"""Times in force that end an order without a cancel."""
CANCEL_TAKEN_UP = frozenset({"PendingCancel", "Cancelled", "ApiCancelled", "Filled"})
"""Statuses of an order after which nobody need wait for its cancel to be taken up."""
Waiting = dict[UUID, "asyncio.Future[None]"]


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose account, how long an answer may take (seconds), how symbols are found, and how patient ADAPTIVE is."""

    account: str
    answer_seconds: float
    contracts: Mapping[str, ContractTerms]
    adaptive_priority: str = "Normal"


class Venue(Listener):
    """Lives in one event loop. Facts go to ``news``, which another thread may empty.

    Nothing may be sent until the gateway was asked for open orders, completed orders and executions, after each
    connection and each loss of the gateway's own link. ``sending`` and ``cancelling`` hold who waits for an answer.
    """

    def __init__(
        self,
        library: ModuleType,
        address: Address,
        terms: Terms,
        ids: OrderIds,
        admit: Callable[[Sequence[str]], None],
        seen: Callable[[str], datetime | None],
    ) -> None:
        self._terms = terms
        self._ids = ids
        self._admit = admit
        self._client_id = address.client_id
        self.contracts = Contracts(terms.contracts)
        self.book = Book(address.client_id, ids.find, self._say, self._on_question, seen)
        self.lifeline = Lifeline(library, address, self, self._greet)
        self.sending: dict[int, asyncio.Future[None]] = {}  # by order id: an intent may have two attempts
        self.cancelling: Waiting = {}
        self.changing: dict[UUID, Change] = {}
        self.question = SharedQuestion(self._inquire)
        self._working: list[OrderState] = []
        self._questions = self._answered = 0
        self._moved: dict[UUID, int] = {}  # by intent, how many questions had been asked when its order last moved
        self._tasks: set[asyncio.Task[None]] = set()
        self.news: deque[Fact] = deque()

    def connected(self) -> Connection:
        """The connection that may be used; BrokerUnavailable when there is none."""
        if self.lifeline.unusable is not None:
            raise BrokerUnavailable(str(self.lifeline.unusable))
        if self.lifeline.connection is None:
            raise BrokerUnavailable("there is no connection to Interactive Brokers")
        return self.lifeline.connection

    def moves(self, intent_id: UUID) -> None:
        """Something is sent of the order of an intent, or it ended: older answers of the gateway say nothing of it."""
        self._moved[intent_id] = self._questions

    async def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of the order of an intent; None when the gateway lists nothing of it.

        Raises:
            BrokerUnavailable: when the gateway could not be asked.
            BrokerStateUnknown: when it gave no clear answer.
        """
        connection = self.connected()
        now = asyncio.get_running_loop().time()
        if now - self.question.asked_at > _FRESH_SECONDS or self._moved.get(intent_id, -1) >= self._answered:
            await clear(self.inquire(connection))
        tracked = self.order_of(intent_id)
        if tracked is None:
            if (str(intent_id), self._terms.account) in ((each.reference, each.account) for each in self._working):
                raise BrokerStateUnknown("an order with the label of the intent works under another client id")
            return None
        self.book.release_all(tracked)
        return list(tracked.facts.values()) or None

    async def account(self) -> Account:
        """What the gateway lists; raises as `lookup` does."""
        connection = self.connected()
        working, completed = await clear(self.inquire(connection))
        positions = await clear(connection.positions())
        values = await clear(connection.account_values())
        mine = self._terms.account
        self.book.release_all()  # the positions have them already
        return Account(
            [each for each in working if each.account == mine],
            [each for each in completed if each.account == mine],
            [each for each in positions if each.account == mine and each.quantity],
            [each for each in values if each.account == mine],
        )

    async def inquire(self, connection: Connection) -> tuple[list[OrderState], list[OrderState]]:
        """Ask for everything that may be ours; open orders and executions come through the listener too."""
        begun = asyncio.get_running_loop().time()
        self._questions += 1
        question = self._questions
        working = await connection.open_orders()
        completed = await connection.completed_orders()
        await connection.executions(self._terms.account)
        for order in completed:
            self.book.completed(order)
        self.question.asked_at, self._working = begun, working
        self._answered = max(self._answered, question)
        return working, completed

    async def _inquire(self) -> None:
        connection = self.lifeline.connection
        if connection is None:
            raise ConnectionLost("there is no connection to Interactive Brokers")
        await self.inquire(connection)

    def take(self, intent_id: UUID) -> list[Fact]:
        """The news of one intent, which are then news no more."""
        news = list(self.news)
        mine = [fact for fact in news if fact.intent_id == intent_id]
        self.news.clear()
        if len(mine) < len(news):
            self.news.extend(fact for fact in news if fact.intent_id != intent_id)
        return mine

    def order_of(self, intent_id: UUID) -> Tracked | None:
        """The order of an intent of ours, from whatever is known of it here or was told by the gateway."""
        return self.book.of_intent(intent_id) or self._claimed(intent_id)

    def _claimed(self, intent_id: UUID) -> Tracked | None:
        """The order of an intent of ours that only the gateway knows: its row was lost, with the power or the file.

        What the gateway has of it counts as what was wished, from the moment it is found.
        """
        told = [each for each in self.book.unclaimed(intent_id) if each.account == self._terms.account]
        if not told:
            return None
        orders = [each for each in told if isinstance(each, OrderState)]
        traded = fsum(each.quantity for each in told if isinstance(each, Execution))
        quantity = max(traded, *(each.quantity for each in orders), 0.0)
        found = Tracked(
            intent_id,
            1,
            max(each.order_id for each in told),
            self.contracts.symbol_of(told[0].contract_id, told[0].symbol, told[0].security_type, told[0].currency),
            quantity,
            quantity,
            self.lifeline.clock.now(),
            lapses=any(each.time_in_force in LAPSING for each in orders),
        )
        _LOG.warning("an order of ours is known to the gateway only", intent_id=str(intent_id), order_id=found.order_id)
        self.book.claim(found)
        return found

    def order_state(self, order: OrderState) -> None:
        """An order was listed or changed."""
        self.book.order_state(order)
        twin_of = self.book.twin_of.get(order.permanent_id)
        if twin_of is not None:
            _LOG.error("two orders of one intent", intent_id=order.reference, order_id=order.order_id)
            self._twin_cancel_heard(twin_of, order.status)
            return
        tracked = self.book.labelled(order.reference)
        change = None if tracked is None else self.changing.get(tracked.intent_id)
        if change is not None and change.shows(order) and not change.answer.done():
            change.answer.set_result(None)
        if order.status == "PendingCancel":
            self._cancel_heard(self.book.labelled(order.reference))

    def order_progress(self, progress: OrderProgress) -> None:
        """An order's status was told."""
        self.book.order_progress(progress)
        twin_of = self.book.twin_of.get(progress.permanent_id)
        if twin_of is not None:
            self._twin_cancel_heard(twin_of, progress.status)
        elif progress.status == "PendingCancel" and progress.client_id == self._client_id:
            self._cancel_heard(self.book.of_order(progress.order_id))

    def execution(self, execution: Execution) -> None:
        """Something traded: it is told with its commission, or without when that is late."""
        self.book.execution(execution)
        loop = asyncio.get_running_loop()
        loop.call_later(_COMMISSION_GRACE, self.book.release, execution.execution_id)

    def commission(self, commission: Commission) -> None:
        """What an execution cost."""
        self.book.commission(commission)

    def notice(self, notice: Notice) -> None:
        """An error or notice that answers no request."""
        order = self.book.of_order(notice.number)
        if order is None:
            _LOG.info("the gateway says", code=notice.code, text=notice.text)
            return
        _LOG.warning("the gateway says of an order", order_id=notice.number, code=notice.code, text=notice.text)
        self.book.error(order, notice)

    def lost(self) -> None:
        """Whoever waits for an answer does not get it."""
        changes = (change.answer for change in self.changing.values())
        for future in (*self.sending.values(), *self.cancelling.values(), *changes):
            if not future.done():
                future.set_exception(ConnectionLost("the connection was lost before the answer came"))

    async def _greet(self, connection: Connection, hello: Hello) -> None:
        """Make sure that it is the right gateway, and learn everything that happened without us."""
        self._admit(hello.accounts)
        self._ids.begin_at(hello.next_order_id)
        await self.inquire(connection)

    def _say(self, order: Tracked, fact: Fact) -> None:
        self.news.append(fact)
        if fact.kind is FactKind.SECOND_ORDER:  # it says nothing of the order that somebody waits for
            return
        answer = self.sending.get(order.order_id)
        if answer is not None and not answer.done():
            answer.set_result(None)
        if fact.kind in ENDS:
            self.moves(order.intent_id)
        if fact.kind in ENDS or order.ended:
            self._cancel_heard(order)
            self._change_heard(order, BrokerRefused("ENDED: the order ended before it could be changed"))

    def _on_question(self, order: Tracked, notice: Notice) -> None:
        """Only the gateway's lists can tell what became of ``order``."""
        loop = asyncio.get_running_loop()
        if not notice.code:  # it ended: had somebody cancelled it, error 202 would say so in a moment
            loop.call_later(_CANCEL_GRACE, self.book.lapse, order)
            return
        task = loop.create_task(self._settle_question(order, notice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle_question(self, order: Tracked, notice: Notice) -> None:
        said = reason_of(notice)
        asked = asyncio.get_running_loop().time()
        try:
            await self.question.since(asked)
        except NO_ANSWER as error:
            _LOG.warning("the gateway could not be asked about an order", order_id=order.order_id, reason=named(error))
            return
        if on_order(notice.code) is OnOrder.UNCHANGED:
            self._cancel_heard(order, None if order.ended else BrokerRefused(said))
        certain = on_order(notice.code) in (OnOrder.UNCHANGED, OnOrder.REFUSED)
        self._change_heard(order, BrokerRefused(said) if certain else BrokerStateUnknown(said))
        answer = self.sending.get(order.order_id)
        if answer is not None and not answer.done():
            answer.set_exception(BrokerStateUnknown(said))

    def _change_heard(self, order: Tracked, problem: Exception) -> None:
        change = self.changing.get(order.intent_id)
        if change is not None and not change.answer.done():
            change.answer.set_exception(problem)

    def _twin_cancel_heard(self, order: Tracked, status: str) -> None:
        if status in CANCEL_TAKEN_UP:
            self._cancel_heard(order)

    def _cancel_heard(self, order: Tracked | None, problem: Exception | None = None) -> None:
        answer = None if order is None else self.cancelling.get(order.intent_id)
        if answer is None or answer.done():
            return
        if problem is None:
            answer.set_result(None)
        else:
            answer.set_exception(problem)
