"""What traded and waits for its commission, as somebody hears of it who asks."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from contracts.market import BarEvent
from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from ibkr_client.connection import ConnectionLost
from ibkr_client.lifeline import Address
from ibkr_client.messages import Commission, ContractDetails, Execution, OrderProgress, OrderState, Position
from order_plane.brokers.ibkr import IbkrBroker
from order_plane.brokers.ibkr_account import Account, snapshot_of
from order_plane.brokers.ibkr_ids import OrderIds
from order_plane.brokers.ibkr_session import Sent, Session, _give_up
from order_plane.brokers.ibkr_tracked import Tracked
from order_plane.brokers.ibkr_venue import Terms, Venue
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, CancelsTogether, KeyLife, Overlapping
from order_plane.composition import build_stage
from order_plane.effects import CancelOrder, ReplaceOrder, SubmitOrder
from order_plane.facts import FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
FIRST = UUID(int=1)


class Nothing:
    """A connection to a gateway that lists the 6 units held and nothing else."""

    async def open_orders(self):
        return []

    completed_orders = account_values = open_orders

    async def executions(self, account):
        return []

    async def positions(self):
        return [Position("DU1", 7, "AAPL", 6.0, 99.0)]


def execution(intent_id=FIRST, number=1, quantity=6.0):
    return Execution("a.01", number, 900 + number, 1, str(intent_id), "DU1", 7, "AAPL", "BOT", quantity, 99.0, NOON)


@pytest.fixture
def venue():
    terms = Terms("DU1", 5.0, {})
    ids = SimpleNamespace(find=lambda intent_id: None)
    found = Venue(
        None,
        Address("127.0.0.1", 4002, 1),
        terms,
        ids,
        lambda accounts: None,
        lambda symbol: NOON + timedelta(minutes=6),
    )
    found.lifeline.connection = Nothing()
    return found


@pytest.fixture
def traded(venue):
    """The venue after an order of 10 units traded 6, whose commission has not come."""
    venue.book.add(Tracked(FIRST, 1, 1, "AAPL", 10.0, 10.0, NOON, lapses=False))
    venue.book.execution(execution())
    return venue


def test_whoever_asks_for_an_order_hears_what_traded_and_the_commission_later(traded):
    facts = asyncio.run(traded.lookup(FIRST))
    assert [(fact.kind, fact.quantity) for fact in facts] == [(FactKind.ACK, 0.0), (FactKind.FILL, 6.0)]
    traded.commission(Commission("a.01", 1.0, "USD"))
    told = [(fact.commission, fact.revision) for fact in traded.news if fact.kind is FactKind.FILL]
    assert told == [(0.0, 1_000), (1.0, 1_002)]


def test_an_account_has_the_executions_that_its_positions_have(traded):
    account = asyncio.run(traded.account())
    snapshot = snapshot_of(account, traded.book, lambda number, symbol, *_: symbol)
    assert sum(fact.quantity for fact in snapshot.executions) == snapshot.positions["AAPL"] == 6.0
    assert set(snapshot.executions) <= set(traded.news)


def test_what_traded_of_an_order_on_an_earlier_day_counts_though_its_executions_are_listed_no_more(venue):
    venue.book.add(Tracked(FIRST, 1, 1, "AAPL", 10.0, 10.0, NOON, lapses=False))
    listed = OrderState(1, 901, 1, str(FIRST), "DU1", 7, "AAPL", "BUY", 10.0, "Submitted")
    venue.order_state(listed)
    venue.order_progress(OrderProgress(1, 901, 1, "Submitted", 6.0))
    snapshot = snapshot_of(Account([listed], [], [], []), venue.book, lambda number, symbol, *_: symbol)
    assert [(order.intent_id, order.filled) for order in snapshot.open_orders] == [(FIRST, 6.0)]
    assert venue.book.of_intent(FIRST).traded == 6.0


class Gateway:
    """The broker's port over ``venue``: while an order is being cancelled, 6 of its units trade."""

    key_life = KeyLife.NONE
    dormant = False
    converts = False

    def __init__(self, venue):
        self.venue, self.quantities = venue, []

    def submit(self, order):
        intent = order.intent
        self.quantities.append(intent.quantity)
        number, name, units = len(self.quantities), intent.intent_id, intent.quantity
        self.venue.book.add(Tracked(name, order.attempt, number, "AAPL", units, units, intent.timestamp, lapses=False))
        told = OrderState(number, 900 + number, 1, str(name), "DU1", 7, "AAPL", "BUY", units, "Submitted")
        self.venue.order_state(told)
        return self.venue.take(name)

    def cancel(self, order):
        self.venue.book.of_intent(order.intent_id).cancel_asked = True
        self.venue.book.execution(execution(order.intent_id))
        self.venue.order_progress(OrderProgress(1, 901, 1, "Cancelled", 6.0))
        return self.venue.take(order.intent_id)

    def drain(self):
        return [self.venue.news.popleft() for _ in range(len(self.venue.news))]

    def lookup(self, intent_id):
        return asyncio.run(self.venue.lookup(intent_id))

    def observe(self, bar):
        pass


def test_units_that_traded_before_the_cancel_are_not_ordered_again(venue):
    gateway = Gateway(venue)
    unfilled = {"after": timedelta(minutes=5), "unfilled": "market", "partly": "market"}
    settings = OrderSettings(limits={"duplicate_window": 0}, reconciliation=None, unfilled=unfilled)
    stage = build_stage(settings, MemoryJournal(), gateway)
    stage.recover()
    terms = {"direction": Side.BUY, "quantity": 10.0, "order_type": OrderType.LIMIT, "limit_price": 99.0}
    wish = OrderIntent(intent_id=FIRST, symbol="AAPL", timestamp=NOON, time_in_force=TimeInForce.GTC, **terms)
    for minutes in (0, 6, 7, 8, 9):
        prices = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}
        bar = BarEvent(symbol="AAPL", timestamp=NOON + timedelta(minutes=minutes), volume=1_000.0, **prices)
        stage.handlers[BarEvent](bar)
        if not minutes:
            stage.handlers[OrderIntent](wish)
        stage.settle()
    assert gateway.quantities == [10.0, 4.0]
    assert stage.desk.positions == {"AAPL": 6.0}


def listed(intent_id=FIRST, client_id=1, account="DU1", status="Submitted"):
    return OrderState(5, 905, client_id, str(intent_id), account, 7, "AAPL", "BUY", 10.0, status, time_in_force="DAY")


@pytest.fixture
def forgetful(venue):
    """The venue without a row of any order, at a gateway whose time is known."""
    venue.lifeline.clock.set(int(NOON.timestamp()))
    return venue


def test_an_order_whose_row_was_lost_is_found_under_its_label_when_its_intent_is_asked_for(forgetful):
    forgetful.order_state(listed())
    forgetful.book.execution(execution())
    assert (
        snapshot_of(asyncio.run(forgetful.account()), forgetful.book, lambda number, symbol, *_: symbol).executions
        == ()
    )
    facts = asyncio.run(forgetful.lookup(FIRST))
    assert [(fact.kind, fact.quantity) for fact in facts] == [(FactKind.ACK, 0.0), (FactKind.FILL, 6.0)]
    forgetful.commission(Commission("a.01", 1.0, "USD"))
    tracked = forgetful.book.of_order(5)
    assert (tracked.order_id, tracked.sent, tracked.lapses) == (5, 10.0, True)
    assert [fact.commission for fact in forgetful.news if fact.kind is FactKind.FILL] == [0.0, 1.0]


def test_one_that_has_ended_is_found_too(forgetful):
    forgetful.book.completed(listed()._replace(order_id=0, client_id=0, status="Cancelled", time_in_force="GTC"))
    facts = asyncio.run(forgetful.lookup(FIRST))
    assert [fact.kind for fact in facts] == [FactKind.ACK, FactKind.CANCELLED]


async def cancel(session):
    return await session.cancel(CancelOrder(FIRST, "1", "DU1", "enough"))


class ListingGateway(Nothing):
    """A gateway that works one order, which it takes a cancel of."""

    def __init__(self, venue):
        self.venue = venue

    async def open_orders(self):
        self.venue.order_state(listed())
        return [listed()]

    async def cancel(self, order_id):
        self.venue.order_progress(OrderProgress(order_id, 905, 1, "Cancelled", 0.0))


@pytest.fixture
def listing(forgetful):
    """The venue without a row of the order that its gateway lists, and what the snapshot has of it."""
    forgetful.lifeline.connection = ListingGateway(forgetful)
    account = asyncio.run(forgetful.account())
    return forgetful, snapshot_of(account, forgetful.book, lambda number, symbol, *_: symbol)


def test_an_order_whose_row_was_lost_is_cancelled_though_nobody_looked_it_up(listing):
    venue, _ = listing
    asyncio.run(cancel(Session(venue, Terms("DU1", 5.0, {}), SimpleNamespace(), 1)))
    assert FactKind.CANCELLED in [fact.kind for fact in asyncio.run(venue.lookup(FIRST))]


def test_a_snapshot_names_the_intent_of_an_order_whose_row_was_lost(listing):
    _, snapshot = listing
    assert [(each.intent_id, each.order_id, each.quantity) for each in snapshot.open_orders] == [(FIRST, "5", 10.0)]


@pytest.mark.parametrize("told", [listed(client_id=2), listed(account="DU2"), listed(UUID(int=2))])
def test_an_order_of_another_client_account_or_intent_is_never_claimed(forgetful, told):
    forgetful.order_state(told)
    assert asyncio.run(forgetful.lookup(FIRST)) is None


class GatewayOfOthers(Nothing):
    """A gateway that works an order with our label which another client id sent."""

    async def open_orders(self):
        return [listed(client_id=2)]


def test_an_order_that_works_under_another_client_id_is_not_said_to_be_absent(forgetful):
    forgetful.lifeline.connection = GatewayOfOthers()
    with pytest.raises(BrokerStateUnknown, match="another client id"):
        asyncio.run(forgetful.lookup(FIRST))
    assert asyncio.run(forgetful.lookup(UUID(int=2))) is None


class LateGateway(Nothing):
    """A gateway that tells of a trade only when it is asked for executions after a cancel."""

    def __init__(self, venue):
        self.venue, self.late = venue, []

    async def executions(self, account):
        for each in self.late:
            self.venue.execution(each)
        return []

    async def cancel(self, order_id):
        self.late.append(execution(quantity=4.0))
        self.venue.order_progress(OrderProgress(1, 901, 1, "Cancelled", 4.0))


def ask_after(venue, changed):
    """What a lookup finds after the account was listed, and ``changed`` then moved the order on."""

    async def asked():
        session = Session(venue, Terms("DU1", 5.0, {}), SimpleNamespace(), 1)
        await session.account()
        await changed(session)
        return [fact.kind for fact in await session.lookup(FIRST)]

    return asyncio.run(asked())


@pytest.mark.parametrize("by_us", [True, False], ids=["cancelled by us", "ended by the venue"])
def test_a_lookup_of_an_order_that_ended_is_not_answered_from_an_older_listing(venue, by_us):
    gateway = venue.lifeline.connection = LateGateway(venue)
    venue.book.add(Tracked(FIRST, 1, 1, "AAPL", 10.0, 10.0, NOON, lapses=False))

    async def ended(_):
        await gateway.cancel(1)

    assert ask_after(venue, cancel if by_us else ended) == [FactKind.ACK, FactKind.CANCELLED, FactKind.FILL]


class DoublingGateway(Nothing):
    """A gateway that works two orders of one intent."""

    def __init__(self, venue):
        self.venue, self.cancelled = venue, []

    async def open_orders(self):
        both = [listed(), listed()._replace(order_id=4, permanent_id=904)]
        for each in both:
            self.venue.order_state(each)
        return both

    async def cancel(self, order_id):
        self.cancelled.append(order_id)
        self.venue.order_progress(OrderProgress(order_id, 900 + order_id, 1, "Cancelled", 0.0))


def test_a_second_order_of_an_intent_is_cancelled_with_the_first_and_nobodys_in_a_snapshot(venue):
    gateway = venue.lifeline.connection = DoublingGateway(venue)
    venue.book.add(Tracked(FIRST, 2, 5, "AAPL", 10.0, 10.0, NOON, lapses=False))
    snapshot = snapshot_of(asyncio.run(venue.account()), venue.book, lambda number, symbol, *_: symbol)
    assert [each.intent_id == FIRST for each in snapshot.open_orders] == [True, False]
    told = asyncio.run(cancel(Session(venue, Terms("DU1", 5.0, {}), SimpleNamespace(), 1)))
    assert sorted(gateway.cancelled) == [4, 5]
    assert [fact.kind for fact in told] == [FactKind.ACK, FactKind.SECOND_ORDER, FactKind.CANCELLED]


def test_a_stray_order_is_cancelled_alone(venue):
    gateway = venue.lifeline.connection = DoublingGateway(venue)
    venue.book.add(Tracked(FIRST, 2, 5, "AAPL", 10.0, 10.0, NOON, lapses=False))
    asyncio.run(venue.account())
    session = Session(venue, Terms("DU1", 5.0, {}), SimpleNamespace(), 1)
    stray = CancelOrder(FIRST, "4", "DU1", "stray-4", stray=True)
    told = asyncio.run(session.cancel(stray))
    assert (gateway.cancelled, [fact.kind for fact in told]) == ([4], [FactKind.ACK, FactKind.SECOND_ORDER])
    assert venue.book.of_intent(FIRST).working == [5]
    with pytest.raises(BrokerRefused, match="UNKNOWN_ORDER"):
        asyncio.run(session.cancel(stray))


@pytest.mark.parametrize("silence", [TimeoutError(), ConnectionLost("gone")], ids=["mute", "cut off"])
def test_a_late_first_attempt_is_no_answer_to_the_second(venue, silence):
    async def second(session):
        tracked = Tracked(FIRST, 2, 6, "AAPL", 10.0, 10.0, NOON, lapses=False)
        venue.book.add(tracked)
        answer = venue.sending[6] = asyncio.get_running_loop().create_future()
        alarm = asyncio.get_running_loop().call_later(60.0, _give_up, answer)
        venue.order_state(listed())
        answer.set_exception(silence)
        return await outcome_within(session.answer(Sent(tracked, answer, alarm)))

    unknown = asyncio.run(second(Session(venue, Terms("DU1", 0.01, {}), SimpleNamespace(), 1)))
    assert isinstance(unknown, BrokerStateUnknown)
    assert [fact.kind for fact in venue.news] == [FactKind.SECOND_ORDER]


def test_an_option_on_a_stock_that_is_held_is_no_part_of_the_position_in_the_stock(venue):
    async def positions():
        return [
            Position("DU1", 7, "AAPL", 6.0, 99.0),
            Position("DU1", 8, "AAPL", -3.0, 1.0, "OPT"),
            Position("DU1", 9, "AAPL", 5.0, 80.0, "STK", "EUR"),
        ]

    venue.lifeline.connection.positions = positions
    account = asyncio.run(venue.account())
    snapshot = snapshot_of(account, venue.book, venue.contracts.symbol_of)
    assert snapshot.positions == {"AAPL": 6.0, "AAPL.OPT.8": -3.0, "AAPL.STK.9": 5.0}


class TakingGateway(Nothing):
    """A gateway that takes orders without a word until it is asked for those that work, and has one contract."""

    def __init__(self, venue, problem=None):
        self.venue, self.problem = venue, problem
        self.placed, self.lookups, self.questions, self.rules = {}, 0, 0, []

    async def contract_details(self, contract, *, order):
        self.lookups += 1
        number = self.lookups
        await asyncio.sleep(0)
        return [ContractDetails(number, contract["symbol"], "SMART", "NYSE", "USD", 0.01, 1.0, ("SMART",), (26,))]

    async def market_rule(self, rule, *, order):
        self.rules.append(rule)
        await asyncio.sleep(0)
        return [(0.0, 0.01)]

    async def place(self, order_id, contract, order, algo):
        self.placed[order_id] = order["orderRef"]
        if self.problem is not None:
            raise self.problem

    async def open_orders(self):
        self.questions += 1
        for number, name in self.placed.items():
            self.venue.order_state(listed(name)._replace(order_id=number, permanent_id=900 + number))
        return []


@pytest.fixture
def taking(venue, tmp_path):
    """A session with a gateway that takes orders."""
    gateway = venue.lifeline.connection = TakingGateway(venue)
    ids = OrderIds(tmp_path / "ids.sqlite", "DU1", 1)
    yield Session(venue, Terms("DU1", 0.01, {}), ids, 1), gateway, ids
    ids.close()


def an_order(number=1):
    terms = {"direction": Side.BUY, "quantity": 10.0, "order_type": OrderType.MARKET, "time_in_force": TimeInForce.DAY}
    return SubmitOrder(OrderIntent(intent_id=UUID(int=number), symbol="AAPL", timestamp=NOON, **terms), "DU1")


def test_one_question_settles_all_orders_whose_answers_are_late(taking):
    session, gateway, _ = taking

    async def scenario():
        sent = [await session.dispatch(an_order(number)) for number in (1, 2, 3)]
        await asyncio.sleep(0.05)  # longer than an answer may take
        return [[fact.kind for fact in await session.answer(each)] for each in sent]

    assert asyncio.run(scenario()) == [[FactKind.ACK]] * 3
    assert gateway.questions == 1


def test_an_order_that_the_next_connection_has_told_of_already_is_not_in_doubt(taking):
    session, gateway, _ = taking

    async def scenario():
        sent = [await session.dispatch(an_order(number)) for number in (1, 2)]
        gateway.venue.lost()
        del gateway.placed[2]
        await gateway.open_orders()
        with pytest.raises(BrokerStateUnknown, match="connection was lost"):
            await session.answer(sent[1])
        return [fact.kind for fact in await session.answer(sent[0])]

    assert asyncio.run(scenario()) == [FactKind.ACK]


def test_a_library_that_fails_in_the_middle_of_an_order_leaves_that_order_in_doubt_and_no_other(taking):
    session, gateway, ids = taking
    gateway.problem = TypeError("a bug")

    async def scenario():
        with pytest.raises(BrokerStateUnknown, match="TypeError"):
            await session.dispatch(an_order())
        gateway.problem = None
        with pytest.raises(BrokerStateUnknown, match="never sent twice"):
            await session.dispatch(an_order())
        return [fact.kind for fact in await session.answer(await session.dispatch(an_order(2)))]

    assert asyncio.run(scenario()) == [FactKind.ACK]
    assert ids.find(FIRST).order_id == 1


def test_an_order_that_was_prepared_leaves_without_asking_for_its_contract(taking):
    session, gateway, _ = taking

    async def scenario():
        await session.prepare("AAPL")
        asked = gateway.lookups
        await session.dispatch(an_order())
        return asked, gateway.lookups

    assert asyncio.run(scenario()) == (1, 1)


def test_symbols_that_are_prepared_at_once_ask_once_for_each_contract_and_for_a_rule_that_they_share(taking):
    session, gateway, _ = taking

    async def scenario():
        await asyncio.gather(*map(session.prepare, ["AAPL", "MSFT", "AAPL"]))

    asyncio.run(scenario())
    assert (gateway.lookups, gateway.rules) == (2, [26])


class MuteGateway(Nothing):
    """A gateway that takes everything and never says a word again."""

    def __init__(self):
        self.asked, self.cancelled, self.placed = 0, [], []

    async def open_orders(self):
        self.asked += 1
        await asyncio.sleep(0.05)  # the patience with one question
        raise TimeoutError

    async def cancel(self, order_id):
        self.cancelled.append(order_id)


def a_silence(venue, act, answer_seconds=0.01):
    """What becomes of what ``act`` does in a session with a gateway that is mute, and that gateway."""
    gateway = venue.lifeline.connection = MuteGateway()
    session = Session(venue, Terms("DU1", answer_seconds, {}), SimpleNamespace(), 1)
    return asyncio.run(act(session)), gateway


def test_orders_that_a_mute_gateway_left_unanswered_are_asked_about_once_for_all(venue):
    async def eight(session):
        loop = asyncio.get_running_loop()
        waiting = []
        for number in range(1, 9):
            tracked = Tracked(UUID(int=number), 1, number, "AAPL", 10.0, 10.0, NOON, lapses=False)
            venue.book.add(tracked)
            answer = venue.sending[number] = loop.create_future()
            waiting.append(Sent(tracked, answer, loop.call_later(0.01, _give_up, answer)))
        return [await outcome_within(session.answer(sent)) for sent in waiting]

    outcomes, gateway = a_silence(venue, eight)
    assert [type(each) for each in outcomes] == [BrokerStateUnknown] * 8
    assert gateway.asked == 1


async def outcome_within(work):
    try:
        return await work
    except BrokerStateUnknown as unknown:
        return unknown


def test_cancels_leave_together_and_wait_for_a_mute_gateway_at_the_same_time(venue):
    numbers = range(1, 25)
    for number in numbers:
        venue.book.add(Tracked(UUID(int=number), 1, number, "AAPL", 10.0, 10.0, NOON, lapses=False))
    gateways = []

    class Noting(MuteGateway):
        async def cancel(self, order_id):
            await super().cancel(order_id)
            gateways.append(len(venue.cancelling))

    async def all_of_them():
        venue.lifeline.connection = Noting()
        session = Session(venue, Terms("DU1", 1.0, {}), SimpleNamespace(), 1)
        return await session.cancel_together([CancelOrder(UUID(int=n), str(n), "DU1", "kill") for n in numbers])

    outcomes = asyncio.run(all_of_them())
    assert [type(each) for each in outcomes] == [BrokerStateUnknown] * 24
    assert gateways[-1] == 24, "the last left while all before it still waited"


def test_orders_without_a_row_are_asked_about_once_for_all_before_they_are_cancelled(venue):
    async def all_of_them(session):
        return await session.cancel_together([CancelOrder(UUID(int=n), "", "DU1", "kill") for n in range(1, 9)])

    outcomes, gateway = a_silence(venue, all_of_them)
    assert [type(each) for each in outcomes] == [BrokerStateUnknown] * 8
    assert gateway.asked == 1


def test_the_router_finds_that_the_gateway_takes_orders_and_cancels_while_others_are_not_answered():
    assert issubclass(IbkrBroker, Overlapping)
    assert issubclass(IbkrBroker, CancelsTogether)


@pytest.mark.parametrize("act", ["dispatch", "replace"])
def test_nothing_is_sent_for_another_account_than_the_one_that_is_traded(taking, act):
    session, gateway, ids = taking
    wish = an_order()._replace(account="DU2")
    changed = ReplaceOrder(wish.intent, "DU2", 5.0)
    with pytest.raises(BrokerRefused, match="WRONG_ACCOUNT"):
        asyncio.run(session.dispatch(wish) if act == "dispatch" else session.replace(changed))
    assert (gateway.placed, ids.find(FIRST)) == ({}, None)
