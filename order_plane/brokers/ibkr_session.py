"""Sends and cancels orders at the gateway, and waits until it is known whether it has them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from ibkr_client.connection import Connection, ConnectionLost, RequestRefused
from ibkr_client.contracts import AmbiguousContract, Qualified
from order_plane.brokers.ibkr_account import Account
from order_plane.brokers.ibkr_answers import NO_ANSWER, Change, clear, named
from order_plane.brokers.ibkr_form import order_form
from order_plane.brokers.ibkr_ids import AlreadySent, OrderIds
from order_plane.brokers.ibkr_tracked import Tracked
from order_plane.brokers.ibkr_venue import LAPSING, Terms, Venue
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable, Outcome
from order_plane.brokers.replacement import new_terms
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import Fact, FactKind

_AT_ONCE, _PER_SECOND = 8, 40
"""A gateway that is late reads a burst beside what left a second after it, and hangs up when that is more than 50."""


def spread(place: int) -> float:
    """How many seconds after the first message that with number ``place`` of many is to leave."""
    return place // _AT_ONCE * _AT_ONCE / _PER_SECOND


@dataclass(frozen=True, slots=True)
class Sent:
    """An order that has left, what tells that the gateway has it, and what ends the wait for that."""

    tracked: Tracked
    answer: "asyncio.Future[None]"
    alarm: asyncio.TimerHandle


class Session:
    """The asynchronous broker; every method belongs to the loop of its venue."""

    def __init__(self, venue: Venue, terms: Terms, ids: OrderIds, client_id: int) -> None:
        self._venue = venue
        self._terms = terms
        self._ids = ids
        self._client_id = client_id

    async def prepare(self, symbol: str, *, order: bool = True) -> None:
        """Look up the contract of ``symbol``, so that `dispatch` need not; ``order`` says that one waits for it.

        Raises:
            BrokerRefused, BrokerUnavailable: as the port says.
        """
        await self._contract(self._venue.connected(), symbol, order=order)

    async def dispatch(self, order: SubmitOrder) -> Sent:
        """Send ``order``; `answer` waits until the gateway has it.

        Raises:
            BrokerRefused, BrokerUnavailable, BrokerStateUnknown: as the port of a broker says.
        """
        venue, intent = self._venue, order.intent
        self._require_account(order)
        connection = venue.connected()
        contract = await self._contract(connection, intent.symbol)
        form = order_form(intent, self._terms.account, contract, self._terms.adaptive_priority)
        try:
            order_id = self._ids.take(intent.intent_id, order.attempt)
        except AlreadySent:
            raise BrokerStateUnknown("this attempt was sent before; it is never sent twice") from None
        tracked = Tracked(
            intent.intent_id,
            order.attempt,
            order_id,
            intent.symbol,
            intent.quantity,
            form.quantity,
            intent.timestamp,
            lapses=intent.time_in_force.value in LAPSING,
        )
        venue.book.add(tracked)
        loop = asyncio.get_running_loop()
        answer = venue.sending[tracked.order_id] = loop.create_future()
        try:
            fields = {**form.fields, "orderId": tracked.order_id, "clientId": self._client_id}
            await self._place(connection, tracked, contract.fields, fields, form.algo)
        except BaseException:
            venue.sending.pop(tracked.order_id, None)
            raise
        return Sent(tracked, answer, loop.call_later(self._terms.answer_seconds, _give_up, answer))

    async def answer(self, sent: Sent) -> Sequence[Fact]:
        """What the gateway says at once of an order that has left; raises as `dispatch` does."""
        try:
            await sent.answer
        except ConnectionLost as lost:
            if not sent.tracked.answered:  # else the next connection has told of it, while others were heard
                raise BrokerStateUnknown(str(lost)) from None
        except TimeoutError:
            await self._search(sent)
        finally:
            sent.alarm.cancel()
            self._venue.sending.pop(sent.tracked.order_id, None)
        return self._first_news(sent.tracked)

    async def replace(self, order: ReplaceOrder) -> Sequence[Fact]:
        """Send the order again under its number, and wait until the gateway shows it so; raises as `submit` does.

        A gateway takes a change of an order that it has not for a new order, so it is sent only of one that it lists.
        """
        venue, intent_id = self._venue, order.intent.intent_id
        self._require_account(order)
        connection = venue.connected()
        if order.at_market:
            raise BrokerRefused("TYPE_FIXED: the gateway advises against changing the type of an order that works")
        contract = await self._contract(connection, order.intent.symbol)
        tracked = await self._listed(connection, intent_id)
        terms = new_terms(order, tracked.filled)
        form = order_form(terms, self._terms.account, contract, self._terms.adaptive_priority)
        venue.moves(intent_id)
        change = venue.changing[intent_id] = Change(form.fields, asyncio.get_running_loop().create_future())
        try:
            fields = {**form.fields, "orderId": tracked.order_id, "clientId": self._client_id}
            await connection.place(tracked.order_id, contract.fields, fields, form.algo)
        except ConnectionLost:
            venue.changing.pop(intent_id, None)
            raise BrokerUnavailable("the connection was lost before anything was sent") from None
        try:
            await self._answer_to_change(change)
        finally:
            venue.changing.pop(intent_id, None)
        self._ids.resize(tracked)
        return venue.take(intent_id)

    def _require_account(self, order: SubmitOrder | ReplaceOrder) -> None:
        """Send nothing here that was meant for another account, such as by an earlier life with other settings."""
        if order.account != self._terms.account:
            raise BrokerRefused("WRONG_ACCOUNT: the order is for another account than the one that is traded")

    async def _listed(self, connection: Connection, intent_id: UUID) -> Tracked:
        """The order of an intent, which the gateway lists now as one that works."""
        try:
            working, _ = await self._venue.inquire(connection)
        except NO_ANSWER as error:
            raise BrokerUnavailable(f"the gateway was not heard to list the order: {named(error)}") from None
        tracked, mine = self._venue.order_of(intent_id), (self._client_id, str(intent_id))
        ours = [each.order_id for each in working if (each.client_id, each.reference) == mine]
        if tracked is None or tracked.ended or tracked.order_id not in ours:
            raise BrokerRefused("UNKNOWN_ORDER: no order of the intent works at the venue")
        if tracked.twins:
            raise BrokerRefused("TWO_ORDERS: two attempts of the intent work at the venue; cancel them")
        return tracked

    async def _answer_to_change(self, change: Change) -> None:
        """Wait until the new terms are shown; after a silence the gateway's list is asked once."""
        try:
            await asyncio.wait_for(asyncio.shield(change.answer), self._terms.answer_seconds)
        except ConnectionLost as lost:
            raise BrokerStateUnknown(str(lost)) from None
        except TimeoutError:
            try:
                await self._venue.inquire(self._venue.connected())
            except NO_ANSWER as error:
                raise BrokerStateUnknown(f"no answer to the change, nor to a question: {named(error)}") from None
            if not change.answer.done():
                raise BrokerStateUnknown("no answer to the change, and the order is listed as it was") from None
            await change.answer

    async def cancel(self, order: CancelOrder) -> Sequence[Fact]:
        """Ask for a cancel and wait for the gateway to take it up; raises as `submit` does."""
        venue = self._venue
        connection = venue.connected()
        tracked = venue.order_of(order.intent_id)
        if tracked is None:  # its row may have been lost, and the gateway may work it all the same
            await clear(venue.question.since(asyncio.get_running_loop().time()))
            tracked = venue.order_of(order.intent_id)
        working = [] if tracked is None else tracked.working
        numbers = [each for each in working if not order.stray or str(each) == order.order_id]
        if tracked is None or not numbers:
            raise BrokerRefused("UNKNOWN_ORDER: no order of the intent works at the venue")
        tracked.cancel_asked = tracked.cancel_asked or tracked.order_id in numbers
        venue.moves(order.intent_id)
        answer = venue.cancelling[order.intent_id] = asyncio.get_running_loop().create_future()
        try:
            for number in numbers:
                await connection.cancel(number)
            await asyncio.wait_for(answer, self._terms.answer_seconds)
        except NO_ANSWER as error:
            raise BrokerStateUnknown(f"no answer to the cancel: {named(error)}") from None
        finally:
            venue.cancelling.pop(order.intent_id, None)
        return venue.take(order.intent_id)

    async def cancel_together(self, orders: Sequence[CancelOrder]) -> Sequence[Outcome]:
        """What comes of each of these cancels, which wait for their answers at the same time."""
        return await asyncio.gather(*(self._cancelled(order, spread(place)) for place, order in enumerate(orders)))

    async def _cancelled(self, order: CancelOrder, after: float) -> Outcome:
        await asyncio.sleep(after)
        try:
            return await self.cancel(order)
        except (BrokerRefused, BrokerUnavailable, BrokerStateUnknown) as problem:
            return problem

    async def lookup(self, intent_id: UUID) -> Sequence[Fact] | None:
        """Every fact of the order of an intent, as `Venue.lookup` says."""
        return await self._venue.lookup(intent_id)

    async def account(self) -> Account:
        """What the gateway lists of the account."""
        return await self._venue.account()

    def _first_news(self, tracked: Tracked) -> Sequence[Fact]:
        news = self._venue.take(tracked.intent_id)
        refused = next((fact for fact in news if fact.kind is FactKind.REJECT), None)
        if refused is not None and not tracked.acked:
            raise BrokerRefused(refused.reason)
        return news

    async def _contract(self, connection: Connection, symbol: str, *, order: bool = True) -> Qualified:
        try:
            return await self._venue.contracts.qualified(connection, symbol, order=order)
        except AmbiguousContract as problem:
            raise BrokerRefused(f"UNKNOWN_SYMBOL: {problem}") from None
        except RequestRefused as refusal:
            if refusal.code == 200:
                raise BrokerRefused(f"UNKNOWN_SYMBOL: the venue has no contract for {symbol}") from None
            raise BrokerUnavailable(f"the contract could not be looked up: {refusal}") from None
        except (ConnectionLost, TimeoutError) as error:
            raise BrokerUnavailable(f"the contract could not be looked up: {named(error)}") from None

    async def _place(
        self,
        connection: Connection,
        tracked: Tracked,
        contract: Mapping[str, object],
        fields: Mapping[str, object],
        algo: Mapping[str, str],
    ) -> None:
        self._venue.moves(tracked.intent_id)
        try:
            await connection.place(tracked.order_id, contract, fields, algo)
        except ConnectionLost:
            self._ids.give_back(tracked)
            self._venue.book.drop(tracked)
            raise BrokerUnavailable("the connection was lost before anything was sent") from None
        except Exception as error:
            self._ids.keep(tracked)
            name = type(error).__name__
            raise BrokerStateUnknown(f"the client library failed in the middle of the order: {name}") from error
        self._ids.keep(tracked)

    async def _search(self, sent: Sent) -> None:
        """The gateway did not answer: ask whether it has the order, once for all that wait in vain by then."""
        try:
            if not sent.tracked.answered:  # else it has said so while others were heard
                await self._venue.question.since(sent.alarm.when())
        except NO_ANSWER as error:
            raise BrokerStateUnknown(f"no answer to the order, nor to a question about it: {named(error)}") from None
        if not sent.tracked.answered:
            raise BrokerStateUnknown(f"no answer within {self._terms.answer_seconds:g} s, and the order is not listed")


def _give_up(answer: "asyncio.Future[None]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())
