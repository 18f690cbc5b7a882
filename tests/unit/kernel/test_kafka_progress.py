"""Progress is recorded once it is true, never backwards, and an error in recording it is never ignored."""

import pytest
from confluent_kafka import KafkaError, TopicPartition

from kernel.kafka_errors import CommitFailed
from kernel.kafka_progress import Progress

HERE, THERE = ("t", 0), ("t", 1)


class Broker:
    """Writes down what it is asked to record and answers when told to."""

    def __init__(self, progress):
        self.progress = progress
        self.asked = []

    def __call__(self, offsets):
        self.asked.append({(each.topic, each.partition): each.offset for each in offsets})

    def answer(self, code=None):
        offsets = [TopicPartition(*partition, offset) for partition, offset in self.asked[-1].items()]
        self.progress.answered(None if code is None else KafkaError(code), offsets)


@pytest.fixture
def progress():
    progress = Progress("g", patience_seconds=0.05)
    progress.assign(HERE, 5)
    progress.assign(THERE, 0)
    return progress


@pytest.fixture
def broker(progress):
    return Broker(progress)


def test_what_is_finished_is_committed_when_the_broker_says_so(progress, broker):
    progress.finish({HERE: 7})
    progress.ask(broker)
    assert progress.committed == {HERE: 5, THERE: 0}
    broker.answer()
    assert progress.committed == {HERE: 7, THERE: 0}
    assert not progress.pending


def test_one_question_is_under_way_at_a_time_and_the_next_holds_what_came_meanwhile(progress, broker):
    progress.finish({HERE: 7})
    progress.ask(broker)
    progress.finish({HERE: 9, THERE: 2})
    progress.ask(broker)
    assert broker.asked == [{HERE: 7}]
    broker.answer()
    progress.ask(broker)
    assert broker.asked[1:] == [{HERE: 9, THERE: 2}]


def test_an_offset_never_goes_back(progress, broker):
    progress.finish({HERE: 3})
    progress.ask(broker)
    progress.finish({HERE: 9})
    progress.finish({HERE: 8})
    progress.ask(broker)
    broker.answer()
    assert broker.asked == [{HERE: 9}]
    progress.finish({HERE: 6})
    assert not progress.pending


def test_a_partition_that_was_taken_away_is_forgotten_even_when_its_answer_comes_late(progress, broker):
    progress.finish({HERE: 7, THERE: 2})
    progress.ask(broker)
    progress.revoke(HERE)
    broker.answer()
    progress.finish({HERE: 8})
    assert progress.committed == {THERE: 2}
    assert not progress.pending


def test_what_a_rebalance_gets_in_the_way_of_is_asked_again(progress, broker):
    progress.finish({HERE: 7})
    progress.ask(broker)
    broker.answer(KafkaError.REBALANCE_IN_PROGRESS)
    assert progress.postponed
    progress._retry_at = 0.0
    progress.ask(broker)
    broker.answer()
    assert progress.committed[HERE] == 7


def test_an_error_that_may_pass_is_asked_again_until_patience_ends(progress, broker):
    progress.finish({HERE: 7})
    for _ in range(3):
        progress._retry_at = 0.0
        progress.ask(broker)
        broker.answer(KafkaError.NOT_COORDINATOR)
    assert len(broker.asked) == 3
    progress._failing_since -= 1.0
    progress._retry_at = 0.0
    progress.ask(broker)
    broker.answer(KafkaError.NOT_COORDINATOR)
    with pytest.raises(CommitFailed, match="group g"):
        progress.ask(broker)


def test_any_other_error_is_final(progress, broker):
    progress.finish({HERE: 7})
    progress.ask(broker)
    broker.answer(KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(CommitFailed, match="GROUP_AUTHORIZATION_FAILED"):
        progress.ask(broker)


def test_an_answer_that_never_comes_is_an_error(progress, broker):
    progress.finish({HERE: 7})
    progress.ask(broker)
    progress._asked_at -= 1.0
    with pytest.raises(CommitFailed, match="does not answer"):
        progress.ask(broker)
