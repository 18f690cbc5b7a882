"""Raw messages of a gateway in any order, and the facts they come to."""

import sys
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ibkr_codes import REFUSED

from ibkr_client.messages import Commission, Execution, Notice, OrderProgress, OrderState
from order_plane.brokers.ibkr_book import Book
from order_plane.brokers.ibkr_tracked import Tracked, fill_number, split_execution_id
from order_plane.facts import FactKind
from order_plane.lifecycle import Status, history_of

NOON = datetime(2024, 7, 10, 16, tzinfo=UTC)
INTENT = UUID(int=1)


class Heard:
    """A book with one order of 10 units, number 5, and what it said and asked."""

    def __init__(self, **changes):
        self.facts, self.questions = [], []
        fields = {"wished": 10.0, "sent": 10.0, "lapses": False, **changes}
        self.order = Tracked(INTENT, 1, 5, "AAPL", fields["wished"], fields["sent"], NOON, lapses=fields["lapses"])
        self.book = Book(
            1,
            lambda intent_id: None,
            lambda order, fact: self.facts.append(fact),
            lambda order, notice: self.questions.append(notice.code),
            lambda symbol: None,
        )
        self.book.add(self.order)

    def tell(self, message):
        routes = {
            OrderState: self.book.order_state,
            OrderProgress: self.book.order_progress,
            Execution: self.book.execution,
            Commission: self.book.commission,
            Notice: lambda notice: self.book.error(self.order, notice),
        }
        routes[type(message)](message)

    @property
    def kinds(self):
        return [fact.kind for fact in self.facts]


def state(status="Submitted"):
    return OrderState(5, 900, 1, str(INTENT), "DU1", 7, "AAPL", "BUY", 10.0, status)


def progress(status="Submitted", filled=0.0):
    return OrderProgress(5, 900, 1, status, filled)


def execution(name, quantity, price=100.0):
    return Execution(name, 5, 900, 1, str(INTENT), "DU1", 7, "AAPL", "BOT", quantity, price, NOON)


EVERYTHING = [
    state(),
    progress(),
    progress("Filled", 10.0),
    execution("a.01", 4.0),
    execution("a.02", 4.0, 101.0),
    execution("b.01", 6.0),
    Commission("a.01", 0.4, "USD"),
    Commission("a.02", 0.5, "USD"),
    Commission("b.01", 0.6, "USD"),
]


@given(st.permutations(EVERYTHING), st.lists(st.sampled_from(EVERYTHING)))
def test_any_order_and_any_repetition_gives_the_same_order(messages, again):
    heard = Heard()
    for message in [*messages, *again]:
        heard.tell(message)
    history = history_of(10.0, heard.facts)
    assert (history.filled, history.commission, history.status()) == (10.0, pytest.approx(1.1), Status.FILLED)
    assert history.average_price == pytest.approx((4 * 101 + 6 * 100) / 10)
    assert heard.kinds.count(FactKind.ACK) == 1
    assert len(heard.facts) == len(set(heard.facts))
    assert heard.facts[0].kind is FactKind.ACK


def test_a_fill_without_a_commission_is_told_when_it_is_released_and_replaced_by_the_one_with_it():
    heard = Heard()
    heard.tell(execution("a.01", 10.0))
    assert heard.kinds == [FactKind.ACK]
    heard.book.release("a.01")
    heard.tell(Commission("a.01", 1.0, "USD"))
    assert [fact.commission for fact in heard.facts[1:]] == [0.0, 1.0]
    assert history_of(10.0, heard.facts).commission == 1.0


@pytest.mark.parametrize("released", [True, False])
def test_a_correction_that_says_nothing_of_its_commission_keeps_that_of_the_first(released):
    heard = Heard()
    for message in (execution("a.01", 10.0), Commission("a.01", 1.0, "USD"), execution("a.02", 9.0)):
        heard.tell(message)
    if released:
        heard.book.release("a.02")
        assert (history_of(10.0, heard.facts).filled, history_of(10.0, heard.facts).commission) == (9.0, 1.0)
    heard.tell(Commission("a.02", 0.9, "USD"))
    assert (history_of(10.0, heard.facts).filled, history_of(10.0, heard.facts).commission) == (9.0, 0.9)


UNPRICED = [
    execution("a.01", 10.0),
    execution("a.02", 9.0),
    execution("a.03", 8.0),
    Commission("a.01", 1.0, "USD"),
    Commission("a.02", 0.9, "USD"),
]


@given(st.permutations(UNPRICED), st.lists(st.sampled_from(UNPRICED)), st.sets(st.sampled_from(["a.01", "a.03"])))
def test_the_newest_commission_counts_in_whatever_order_corrections_and_commissions_come(messages, again, early):
    heard = Heard()
    for message in [*messages, *again]:
        heard.tell(message)
        for name in early:
            heard.book.release(name)
    heard.book.release_all()
    history = history_of(10.0, heard.facts)
    assert (history.filled, history.commission) == (8.0, 0.9)
    numbers = [fact.revision for fact in heard.facts if fact.kind is FactKind.FILL]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("commission", [[], [Commission("a.01", 1.0, "USD")]])
def test_a_correction_that_a_person_books_is_newer_than_the_execution_and_older_than_what_is_told_of_it(commission):
    heard = Heard()
    for message in (execution("a.01", 10.0), *commission):
        heard.tell(message)
    heard.book.release("a.01")
    name, by_hand = fill_number("a.02")
    assert (heard.facts[-1].fact_id, heard.facts[-1].revision < by_hand) == (name, True)
    heard.tell(execution("a.02", 9.0))
    heard.tell(Commission("a.02", 0.9, "USD"))
    assert heard.facts[-1].revision > by_hand


@pytest.mark.parametrize("code", REFUSED)
def test_a_refusal_ends_only_an_order_that_was_never_seen_alive(code):
    fresh, alive = Heard(), Heard()
    fresh.tell(Notice(5, code, "no"))
    assert fresh.kinds == [FactKind.REJECT]
    assert fresh.facts[0].reason == f"IBKR_{code}: no"
    alive.tell(state())
    alive.tell(Notice(5, code, "no"))
    assert (alive.kinds, alive.questions) == ([FactKind.ACK], [code])


@given(st.integers(min_value=100, max_value=20_000).filter(lambda code: code != 202), st.booleans())
def test_no_error_ever_ends_an_order_that_was_seen_alive(code, partly_filled):
    heard = Heard()
    heard.tell(state())
    if partly_filled:
        heard.tell(execution("a.01", 4.0))
    heard.tell(Notice(5, code, "whatever"))
    assert set(heard.kinds) <= {FactKind.ACK, FactKind.FILL}


def test_no_code_but_those_that_are_certain_ends_an_order():
    ended = []
    for code in range(-1, 20_001):
        heard = Heard()
        heard.tell(Notice(5, code, "whatever"))
        if heard.kinds:
            ended.append(code)
    assert ended == sorted([*REFUSED, 202])


def test_a_cancel_of_the_venue_says_why():
    heard = Heard(lapses=True)
    heard.tell(state())
    heard.tell(progress("Cancelled"))
    assert (heard.kinds, heard.questions) == ([FactKind.ACK], [0])
    heard.tell(Notice(5, 202, "Order Canceled"))
    heard.book.lapse(heard.order)
    assert heard.kinds == [FactKind.ACK, FactKind.CANCELLED]
    assert heard.facts[1].reason == "IBKR_202: Order Canceled"


@pytest.mark.parametrize("end", [progress("Cancelled", 6.0), Notice(5, 202, "Order Canceled"), state("Cancelled")])
def test_what_an_order_traded_is_told_before_its_end_and_what_that_cost_afterwards(end):
    heard = Heard()
    heard.order.cancel_asked = True
    for message in (state(), execution("a.01", 6.0), end):
        heard.tell(message)
    assert heard.kinds == [FactKind.ACK, FactKind.FILL, FactKind.CANCELLED]
    heard.tell(Commission("a.01", 0.6, "USD"))
    history = history_of(10.0, heard.facts)
    assert (history.filled, history.commission, history.status()) == (6.0, 0.6, Status.CANCELLED)


def test_the_end_by_size_of_an_order_that_is_cancelled_is_told_once():
    heard = Heard(wished=10.5)
    for message in (state(), execution("a.01", 10.0), progress("Cancelled", 10.0)):
        heard.tell(message)
    assert heard.kinds == [FactKind.ACK, FactKind.FILL, FactKind.CANCELLED]


def test_an_end_that_nobody_explains_is_an_expiry():
    heard = Heard(lapses=True)
    heard.tell(state())
    heard.tell(progress("Cancelled"))
    heard.book.lapse(heard.order)
    assert heard.kinds == [FactKind.ACK, FactKind.EXPIRED]


def test_an_order_that_is_inactive_is_not_dead_until_the_venue_lists_it_as_completed():
    heard = Heard()
    heard.tell(state())
    heard.tell(progress("Inactive"))
    assert heard.kinds == [FactKind.ACK]
    heard.book.completed(state("Inactive"))
    assert heard.kinds == [FactKind.ACK, FactKind.REJECT]


@pytest.mark.parametrize("code", [463, 104, 201])
def test_the_reason_of_an_order_that_ended_inactive_is_what_was_said_of_it(code):
    heard = Heard()
    if code in REFUSED:
        heard.tell(state())
    heard.tell(Notice(5, code, "no such thing"))
    assert heard.questions == [code]
    heard.tell(state("Inactive"))
    heard.book.completed(state("Inactive"))
    assert heard.kinds[-1:] == [FactKind.REJECT]
    assert heard.facts[-1].reason == f"IBKR_{code}: no such thing"


def test_a_refused_cancel_is_not_why_an_order_ended_and_a_reason_names_no_account():
    heard = Heard()
    heard.tell(Notice(5, 463, "account DU1234567 or U7654321 may not"))
    heard.tell(Notice(5, 10148, "cannot be cancelled, state: Inactive"))
    heard.book.completed(state("Inactive"))
    assert heard.facts[-1].reason == "IBKR_463: account (account) or (account) may not"


def test_what_was_said_of_an_order_that_was_cancelled_is_not_why():
    heard = Heard()
    for message in (Notice(5, 463, "whatever"), state(), progress("Cancelled")):
        heard.tell(message)
    assert heard.facts[-1].reason == "CANCELLED: the venue cancelled the order"


def test_a_rounded_order_ends_when_what_was_sent_is_filled():
    heard = Heard(wished=10.5)
    heard.tell(execution("a.01", 10.0))
    heard.tell(Commission("a.01", 1.0, "USD"))
    assert heard.kinds == [FactKind.ACK, FactKind.FILL, FactKind.CANCELLED]


def reduced(status):
    return state(status)._replace(quantity=6.0)


@pytest.mark.parametrize("shown", ["in the list of completed orders", "as it filled"])
def test_an_order_that_was_made_smaller_unheard_and_filled_ends(shown):
    heard = Heard()
    heard.tell(state())
    heard.tell(execution("a.01", 6.0))
    heard.tell(Commission("a.01", 1.0, "USD"))
    if shown == "as it filled":
        heard.tell(reduced("Filled"))
    heard.book.completed(reduced("Filled")._replace(order_id=0))
    assert heard.kinds == [FactKind.ACK, FactKind.FILL, FactKind.CANCELLED]


def test_an_end_by_size_waits_until_every_execution_is_told():
    heard = Heard()
    for message in (state(), execution("a.01", 2.0), execution("b.01", 4.0), reduced("Filled")):
        heard.tell(message)
    heard.tell(Commission("b.01", 1.0, "USD"))
    assert heard.kinds == [FactKind.ACK, FactKind.FILL]
    heard.book.release("a.01")
    assert heard.kinds == [FactKind.ACK, FactKind.FILL, FactKind.FILL, FactKind.CANCELLED]


@pytest.mark.parametrize("quantity", [0.0, 6.0, 10.0])
def test_an_order_that_filled_further_than_its_executions_are_known_is_not_ended(quantity):
    heard = Heard()
    heard.tell(state())
    heard.tell(execution("a.01", 4.0))
    heard.tell(Commission("a.01", 1.0, "USD"))
    heard.book.completed(state("Filled")._replace(order_id=0, quantity=quantity))
    assert heard.kinds == [FactKind.ACK, FactKind.FILL]


def test_orders_of_others_are_ignored():
    heard = Heard()
    heard.tell(state()._replace(reference="somebody else's"))
    heard.tell(progress()._replace(client_id=2, permanent_id=7))
    heard.tell(execution("z.01", 3.0)._replace(reference="", permanent_id=8))
    assert heard.facts == []


@pytest.mark.parametrize(
    ("told", "name", "revision"),
    [("0000e0d5.6a1b.01.02", "0000e0d5.6a1b.01", 2), ("plain", "plain", 0), ("a.x", "a.x", 0)],
)
def test_a_correction_is_known_by_its_last_digits(told, name, revision):
    assert split_execution_id(told) == (name, revision)


FIRST_ATTEMPT = state()._replace(order_id=4, permanent_id=800)


@pytest.fixture
def doubled():
    """The book of an order of which an earlier attempt turned up late and works too."""
    heard = Heard()
    heard.tell(state())
    heard.tell(FIRST_ATTEMPT)
    heard.order.cancel_asked = True
    return heard


@pytest.mark.parametrize("first", [4, 5])
def test_no_end_is_told_while_another_attempt_of_the_intent_works(doubled, first):
    ends = {
        4: OrderProgress(4, 800, 1, "Cancelled", 0.0),
        5: progress("Cancelled"),
    }
    assert sorted(doubled.order.working) == [4, 5]
    doubled.tell(ends.pop(first))
    assert (doubled.kinds, doubled.order.working) == ([FactKind.ACK, FactKind.SECOND_ORDER], list(ends))
    doubled.tell(*ends.values())
    assert doubled.kinds == [FactKind.ACK, FactKind.SECOND_ORDER, FactKind.CANCELLED]
    assert doubled.order.working == []


def test_the_end_of_an_earlier_attempt_is_not_that_of_the_order(doubled):
    doubled.book.completed(FIRST_ATTEMPT._replace(order_id=0, status="Inactive"))
    assert (doubled.kinds, doubled.order.working) == ([FactKind.ACK, FactKind.SECOND_ORDER], [5])


def test_the_end_of_an_earlier_attempt_is_not_that_of_one_which_the_gateway_is_silent_about():
    heard = Heard()
    heard.tell(progress("Inactive"))
    later = Tracked(INTENT, 2, 6, "AAPL", 10.0, 10.0, NOON, lapses=False)
    heard.book.add(later)
    heard.book.completed(state("Inactive")._replace(order_id=0))
    assert (heard.kinds, later.working) == ([], [6])


def test_a_second_order_is_told_once_and_not_when_it_has_ended(doubled):
    for status in ("Submitted", "Cancelled"):
        doubled.tell(FIRST_ATTEMPT._replace(status=status))
    assert doubled.kinds == [FactKind.ACK, FactKind.SECOND_ORDER]
    assert doubled.facts[-1].order_id == "4"


def test_a_fill_costs_the_same_after_a_thousand_others():
    heard = Heard(wished=2_000.0, sent=2_000.0)
    steps = [0]

    def count(frame, event, argument):
        steps[0] += 1

    def fill(number):
        before = steps[0]
        sys.setprofile(count)
        try:
            for message in (state(), execution(f"{number}.01", 1.0), Commission(f"{number}.01", 0.1, "USD")):
                heard.tell(message)
        finally:
            sys.setprofile(None)
        return steps[0] - before

    costs = [fill(number) for number in range(1_000)]
    assert costs[-1] <= costs[10]


def test_an_order_that_has_no_permanent_number_yet_is_never_taken_for_another():
    heard = Heard()
    other = Tracked(UUID(int=2), 1, 6, "AAPL", 10.0, 10.0, NOON, lapses=False)
    heard.book.add(other)
    heard.tell(progress("PendingSubmit")._replace(permanent_id=0))
    heard.tell(OrderProgress(6, 0, 1, "Cancelled", 0.0))
    assert [(fact.intent_id, fact.kind) for fact in heard.facts] == [
        (INTENT, FactKind.ACK),
        (UUID(int=2), FactKind.ACK),
        (UUID(int=2), FactKind.CANCELLED),
    ]


def test_a_permanent_number_that_is_known_is_not_forgotten():
    heard = Heard()
    heard.tell(progress())
    heard.tell(progress()._replace(permanent_id=0))
    assert heard.order.permanent_id == 900
