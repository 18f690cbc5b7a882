from uuid import UUID

from contracts.trading import OrderStatus
from order_plane.effects import SubmitOrder
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Recall
from order_plane.lifecycle import History
from order_plane.reports import execution_report


def test_of_old_finished_intents_only_the_content_is_remembered(make_intent, noon):
    journal = MemoryJournal(retain=2)
    for number in range(1, 6):
        intent = make_intent(number)
        journal.begin([SubmitOrder(intent, "ACC")], [], journal.appended)
        report = execution_report(intent, "o", 1, OrderStatus.CANCELED, History(10.0), noon)
        journal.conclude([], [], [report], journal.appended)
    assert [past.intent.intent_id.int for past in journal.pasts()] == [4, 5]
    assert journal.past(UUID(int=1)) is None
    assert journal.recall(make_intent(1)) is Recall.KNOWN
    assert journal.recall(make_intent(1, quantity=11.0)) is Recall.CONFLICT
    assert journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0) == []


def test_an_open_intent_is_kept_however_old_it_is(make_intent, noon):
    journal = MemoryJournal(retain=1)
    journal.begin([SubmitOrder(make_intent(99), "ACC")], [], 0)
    for number in range(1, 6):
        journal.begin([SubmitOrder(make_intent(number), "ACC")], [], journal.appended)
        report = execution_report(make_intent(number), "o", 1, OrderStatus.CANCELED, History(10.0), noon)
        journal.conclude([], [], [report], journal.appended)
    assert journal.past(UUID(int=99)).intent == make_intent(99)
