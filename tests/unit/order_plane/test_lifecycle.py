from datetime import UTC, datetime
from itertools import chain, combinations
from uuid import UUID

import pytest

from order_plane.facts import Fact, FactKind
from order_plane.lifecycle import TERMINAL, Alarm, Status, history_of

AT = datetime(2024, 1, 2, 15, tzinfo=UTC)
QUANTITY = 100.0


def fact(kind, fact_id="x", quantity=0.0, price=10.0, revision=0):
    return Fact(UUID(int=1), kind, fact_id, AT, "o-1", quantity, price, revision=revision)


SUBMITTING = fact(FactKind.SUBMITTING)
ACK = fact(FactKind.ACK)
REJECT = fact(FactKind.REJECT)
PART = fact(FactKind.FILL, "e1", 40.0)
REST = fact(FactKind.FILL, "e2", 60.0)
ALL = fact(FactKind.FILL, "e3", 100.0)
ASKED = fact(FactKind.CANCEL_REQUESTED, "c1")
CANCELLED = fact(FactKind.CANCELLED)
REFUSED = fact(FactKind.CANCEL_REFUSED, "c1")
EXPIRED = fact(FactKind.EXPIRED)
CHANGE = fact(FactKind.REPLACE_REQUESTED, "r1", 80.0, revision=1)
CHANGED = fact(FactKind.REPLACED, "r1", 80.0, revision=1)
UNCHANGED = fact(FactKind.REPLACE_REFUSED, "r1", revision=1)

FACTS = {
    "ack": ACK,
    "reject": REJECT,
    "part": PART,
    "all": ALL,
    "cancel_req": ASKED,
    "cancelled": CANCELLED,
    "cancel_rej": REFUSED,
    "expired": EXPIRED,
    "replace_req": CHANGE,
    "replaced": CHANGED,
    "replace_rej": UNCHANGED,
}

# The transition table of the order lifecycle: from a status, by a fact, to every status that can follow.
# "!" says that the result always raises an alarm that was not there before, "?" that it can.
TABLE = {
    "Created": {
        "ack": "Accepted !",
        "reject": "Rejected",
        "part": "PartiallyFilled !",
        "all": "Filled !",
        "cancel_req": "Cancelled",
        "cancelled": "Cancelled !",
        "cancel_rej": "Created",
        "expired": "Expired",
        "replace_req": "Created",
        "replaced": "Created !",
        "replace_rej": "Created",
    },
    "Submitted": {
        "ack": "Accepted",
        "reject": "Rejected",
        "part": "PartiallyFilled",
        "all": "Filled",
        "cancel_req": "PendingCancel",
        "cancelled": "Cancelled",
        "cancel_rej": "Submitted",
        "expired": "Expired",
        "replace_req": "PendingReplace",
        "replaced": "Submitted",
        "replace_rej": "Submitted",
    },
    "Accepted": {
        "ack": "Accepted",
        "reject": "Rejected",
        "part": "PartiallyFilled",
        "all": "Filled",
        "cancel_req": "PendingCancel",
        "cancelled": "Cancelled",
        "cancel_rej": "Accepted",
        "expired": "Expired",
        "replace_req": "PendingReplace",
        "replaced": "Accepted",
        "replace_rej": "Accepted",
    },
    "PartiallyFilled": {
        "ack": "PartiallyFilled",
        "reject": "Cancelled !",
        "part": "PartiallyFilled",
        "all": "Filled !",
        "cancel_req": "PendingCancel",
        "cancelled": "Cancelled",
        "cancel_rej": "PartiallyFilled",
        "expired": "Expired",
        "replace_req": "PendingReplace",
        "replaced": "PartiallyFilled",
        "replace_rej": "PartiallyFilled",
    },
    "PendingCancel": {
        "ack": "PendingCancel",
        "reject": "Rejected|Cancelled ?",
        "part": "PendingCancel",
        "all": "Filled ?",
        "cancel_req": "PendingCancel",
        "cancelled": "Cancelled",
        "cancel_rej": "Submitted|Accepted|PartiallyFilled|PendingReplace",
        "expired": "Expired",
        "replace_req": "PendingCancel",
        "replaced": "PendingCancel",
        "replace_rej": "PendingCancel",
    },
    "PendingReplace": {
        "ack": "PendingReplace",
        "reject": "Rejected|Cancelled ?",
        "part": "PendingReplace",
        "all": "Filled ?",
        "cancel_req": "PendingCancel",
        "cancelled": "Cancelled",
        "cancel_rej": "PendingReplace",
        "expired": "Expired",
        "replace_req": "PendingReplace",
        "replaced": "Submitted|Accepted|PartiallyFilled",
        "replace_rej": "Submitted|Accepted|PartiallyFilled",
    },
    "Filled": {
        "ack": "Filled",
        "reject": "Filled !",
        "part": "Filled !",
        "all": "Filled",
        "cancel_req": "Filled",
        "cancelled": "Filled",
        "cancel_rej": "Filled",
        "expired": "Filled",
        "replace_req": "Filled",
        "replaced": "Filled",
        "replace_rej": "Filled",
    },
    "Cancelled": {
        "ack": "Cancelled",
        "reject": "Cancelled ?",
        "part": "Cancelled ?",
        "all": "Filled ?",
        "cancel_req": "Cancelled",
        "cancelled": "Cancelled",
        "cancel_rej": "Cancelled",
        "expired": "Cancelled|Expired",
        "replace_req": "Cancelled",
        "replaced": "Cancelled",
        "replace_rej": "Cancelled",
    },
    "Expired": {
        "ack": "Expired",
        "reject": "Expired ?",
        "part": "Expired ?",
        "all": "Filled ?",
        "cancel_req": "Expired",
        "cancelled": "Cancelled",
        "cancel_rej": "Expired",
        "expired": "Expired",
        "replace_req": "Expired",
        "replaced": "Expired",
        "replace_rej": "Expired",
    },
    "Rejected": {
        "ack": "Rejected",
        "reject": "Rejected",
        "part": "Cancelled !",
        "all": "Filled !",
        "cancel_req": "Rejected",
        "cancelled": "Cancelled",
        "cancel_rej": "Rejected",
        "expired": "Expired",
        "replace_req": "Rejected",
        "replaced": "Rejected",
        "replace_rej": "Rejected",
    },
}


def known_sets():
    """Every set of facts about a sent order, and the empty one of an order that was not."""
    pool = [ACK, REJECT, PART, ALL, ASKED, CANCELLED, REFUSED, EXPIRED, CHANGE, CHANGED, UNCHANGED]
    sets = chain.from_iterable(combinations(pool, size) for size in range(len(pool) + 1))
    answers = ((REFUSED, ASKED), (CHANGED, CHANGE), (UNCHANGED, CHANGE))
    return [
        (),
        *((SUBMITTING, *each) for each in sets if not any(one in each and to not in each for one, to in answers)),
    ]


def derived():
    """The table as the status function implies it."""
    found = {}
    for known in known_sets():
        before = history_of(QUANTITY, known)
        for name, news in FACTS.items():
            if news in known or (name == "all" and ALL in known):
                continue
            after = history_of(QUANTITY, (*known, news))
            alarm = bool(set(after.alarms()) - set(before.alarms()))
            found.setdefault((before.status().value, name), set()).add((after.status().value, alarm))
    return found


@pytest.mark.parametrize("status", [status.value for status in Status])
def test_the_transition_table_is_what_the_status_function_implies(status):
    found = derived()
    for name, expected in TABLE[status].items():
        results = found.get((status, name))
        if results is None:
            continue
        targets, _, mark = expected.partition(" ")
        assert {target for target, _ in results} == set(targets.split("|")), (status, name)
        if mark == "":
            assert not any(alarm for _, alarm in results), (status, name)
        assert mark in ("", "!", "?")
        assert mark == "" or any(alarm for _, alarm in results), (status, name)


def test_fills_that_add_up_to_the_order_fill_it():
    history = history_of(QUANTITY, [SUBMITTING, PART, REST])
    assert history.status() is Status.FILLED
    assert history.filled == 100.0
    assert history.alarms() == ()


def test_the_average_price_weighs_each_execution():
    history = history_of(QUANTITY, [PART._replace(price=10.0), REST._replace(price=20.0)])
    assert history.average_price == pytest.approx(16.0)


def test_partial_fills_in_binary_fractions_fill_the_order():
    thirds = [fact(FactKind.FILL, str(n), 0.1) for n in range(3)]
    assert history_of(0.3, thirds).status() is Status.FILLED
    assert Alarm.OVERFILLED not in history_of(0.3, [SUBMITTING, *thirds]).alarms()


def test_a_fill_after_the_cancel_is_booked():
    history = history_of(QUANTITY, [SUBMITTING, ACK, CANCELLED, PART])
    assert (history.status(), history.filled) == (Status.CANCELLED, 40.0)


def test_a_correction_replaces_its_execution_and_an_older_revision_does_not_come_back():
    corrected = PART._replace(quantity=30.0, revision=1)
    assert history_of(QUANTITY, [PART, corrected, PART]).filled == 30.0
    assert history_of(QUANTITY, [corrected, PART]).filled == 30.0


def test_a_bust_takes_the_fill_back():
    history = history_of(QUANTITY, [SUBMITTING, ACK, PART, PART._replace(quantity=0.0, revision=1)])
    assert (history.status(), history.filled, history.average_price) == (Status.ACCEPTED, 0.0, None)
    assert history.alarms() == ()


@pytest.mark.parametrize("left", [0.0, 30.0])
def test_what_had_traded_whole_works_no_more_when_a_fill_is_taken_back(left):
    lowered = ALL._replace(quantity=left, revision=1)
    for facts in ([ALL, lowered], [lowered, ALL], [ALL, lowered, ALL]):
        history = history_of(QUANTITY, [SUBMITTING, ACK, *facts])
        assert (history.status(), history.filled) == (Status.CANCELLED, left)
        assert history.alarms() == (Alarm.TAKEN_BACK,)
    restored = history_of(QUANTITY, [SUBMITTING, ACK, ALL, lowered, ALL._replace(revision=2)])
    assert (restored.status(), restored.alarms()) == (Status.FILLED, ())


def test_a_second_cancel_request_keeps_the_cancel_pending_after_the_first_was_refused():
    again = fact(FactKind.CANCEL_REQUESTED, "c2")
    assert history_of(QUANTITY, [SUBMITTING, ACK, ASKED, REFUSED, again]).status() is Status.PENDING_CANCEL


@pytest.mark.parametrize(
    ("known", "alarm"),
    [
        ([ACK], Alarm.ANSWERED_BEFORE_SENT),
        ([PART], Alarm.ANSWERED_BEFORE_SENT),
        ([CANCELLED], Alarm.ANSWERED_BEFORE_SENT),
        ([SUBMITTING, REJECT, PART], Alarm.FILLED_AND_REJECTED),
        ([SUBMITTING, PART, ALL], Alarm.OVERFILLED),
    ],
)
def test_odd_facts_raise_an_alarm(known, alarm):
    assert alarm in history_of(QUANTITY, known).alarms()


def test_a_fact_that_is_known_says_nothing_new():
    history = history_of(QUANTITY, [ACK, PART, ASKED])
    assert not any(history.fold(each) for each in (ACK, PART, ASKED))


def test_terminal_statuses_are_the_four_ends():
    assert {status.value for status in TERMINAL} == {"Filled", "Cancelled", "Expired", "Rejected"}


def test_a_later_change_that_the_venue_took_answers_an_earlier_one_that_nobody_answered():
    again = fact(FactKind.REPLACE_REQUESTED, "r2", 60.0, revision=2)
    taken = fact(FactKind.REPLACED, "r2", 60.0, revision=2)
    assert history_of(QUANTITY, [SUBMITTING, ACK, CHANGE, again]).unanswered
    history = history_of(QUANTITY, [SUBMITTING, ACK, CHANGE, again, taken])
    assert (history.unanswered, history.replaced, history.changes) == ([], taken, 2)
    assert history_of(QUANTITY, [SUBMITTING, ACK, CHANGED, again]).unanswered


def test_an_order_that_was_replaced_still_counts_against_what_its_intent_wished_for():
    history = history_of(QUANTITY, [SUBMITTING, ACK, CHANGE, CHANGED, PART])
    assert (history.quantity, history.remaining) == (QUANTITY, 60.0)
