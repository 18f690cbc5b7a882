"""Promise: status and quantities do not depend on the order or the repetition of what is reported."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from order_plane.facts import NOT_SENT, Fact, FactKind
from order_plane.lifecycle import TERMINAL, Alarm, Status, history_of

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
INTENT = UUID(int=1)
ONCE = [FactKind.SUBMITTING, FactKind.ACK, FactKind.REJECT, FactKind.CANCELLED, FactKind.EXPIRED]


def _fill(execution, revision, quantity, price):
    # one execution and revision always says the same thing
    number = (execution * 7 + revision * 3) % 5
    return Fact(INTENT, FactKind.FILL, f"e{execution}", AT, "o", quantity + number, price + number, 0.1, revision)


fills = st.builds(_fill, st.integers(0, 3), st.integers(0, 2), st.just(13.7), st.just(101.3))
flags = st.builds(lambda kind: Fact(INTENT, kind, "x", AT, "o"), st.sampled_from(ONCE))
signatures = st.just(Fact(INTENT, FactKind.REJECT, NOT_SENT, AT))
cancels = st.builds(
    lambda kind, name: Fact(INTENT, kind, name, AT),
    st.sampled_from([FactKind.CANCEL_REQUESTED, FactKind.CANCEL_REFUSED]),
    st.sampled_from(["c1", "c2"]),
)
changes = st.builds(
    lambda kind, number: Fact(INTENT, kind, f"r{number}", AT, quantity=20.0 + number, revision=number),
    st.sampled_from([FactKind.REPLACE_REQUESTED, FactKind.REPLACED, FactKind.REPLACE_REFUSED]),
    st.integers(1, 3),
)
venues = st.one_of(fills, flags, cancels, changes)
histories = st.lists(st.one_of(venues, signatures), max_size=12)


def _seen(facts):
    history = history_of(50.0, facts)
    return (
        history.status(),
        history.filled,
        history.value,
        history.commission,
        history.average_price,
        history.alarms(),
        history.replaced,
        frozenset(history.unanswered),
        history.cancelling,
        history.changes,
    )


@given(histories, st.data())
def test_shuffled_and_repeated_facts_give_the_same_order(facts, data):
    told = data.draw(st.permutations(facts + data.draw(st.lists(st.sampled_from(facts or [None]), max_size=6))))
    told = [fact for fact in told if fact is not None]
    assert _seen(told) == _seen(facts)


@given(st.lists(venues, max_size=12))
def test_a_signature_says_nothing_of_an_order_that_the_venue_has(facts):
    sent = [Fact(INTENT, FactKind.SUBMITTING, "x", AT), *facts]
    without, marked = history_of(50.0, sent), history_of(50.0, [*sent, Fact(INTENT, FactKind.REJECT, NOT_SENT, AT)])
    if without.acked or without.filled or without.replaced:
        assert marked.status() is without.status()
        assert Alarm.MARKED_NOT_SENT_AND_THERE in marked.alarms()
    else:
        assert marked.status() in TERMINAL


@given(st.lists(venues, max_size=12), venues)
def test_a_finished_order_only_changes_into_another_finished_one(facts, news):
    sent = [Fact(INTENT, FactKind.SUBMITTING, "x", AT), *facts]
    before, after = history_of(50.0, sent), history_of(50.0, [*sent, news])
    if before.status() in TERMINAL:
        assert after.status() in TERMINAL
    if before.status() is Status.FILLED and after.filled >= before.filled:
        assert after.status() is Status.FILLED


@given(histories)
def test_folding_says_whether_a_fact_was_new(facts):
    history = history_of(50.0, [])
    known = set()
    for fact in facts:
        seen_before = _seen_state(history)
        if not history.fold(fact):
            assert _seen_state(history) == seen_before
        known.add(fact)
    assert not any(history.fold(fact) for fact in known)


def _seen_state(history):
    return history.status(), history.filled, history.value
