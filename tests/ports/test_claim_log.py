"""Of the journals that claim to send for one Kafka one holds, everybody agrees which, and the unreadable denies."""

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from contracts.claims import IntentsHandedOver, JournalClaim, Succession
from contracts.codec import encode
from contracts.topics import TOPIC_OF
from contracts.trading import OrderIntent
from kernel.clock import monotonic
from kernel.kafka_admin import list_topics
from kernel.kafka_errors import BrokerUnavailable, LogBroken
from order_plane.claim_log import KafkaClaims, intents_before
from order_plane.holding import Holding
from order_plane.journals.port import JournalError

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


def claim(name, **more):
    return JournalClaim(timestamp=NOON, journal_id=name, account="PAPER", host=f"host-{name}", place="place", **more)


def turn(holding):
    """As a process that goes on, which asks for nothing and hears what arrives."""
    deadline = monotonic() + 20
    while monotonic() < deadline:
        holding.turn()


def after(name):
    return Succession(journal_id=name, operator="ann", reason="its host is gone")


@pytest.fixture
def holding(kafka_world):
    with ExitStack() as stack:

        def make(name):
            claims = KafkaClaims(kafka_world.settings)
            stack.callback(claims.close)
            return Holding(claims, claim(name))

        yield make


@pytest.fixture
def claimed(kafka_world):
    """How many claims there are."""
    topic = TOPIC_OF[JournalClaim]
    return lambda: next(each.messages for each in list_topics(kafka_world.settings) if each.topic is topic)


def test_the_first_journal_holds_and_the_same_one_comes_back_without_a_word(holding, claimed):
    holding("one").claim()
    standing = holding("one").claim()
    assert (standing.holder.journal_id, standing.before, standing.intents_from) == ("one", frozenset(), None)
    assert claimed() == 1


def test_another_journal_is_refused_and_told_who_sends_where(holding, claimed):
    holding("one").claim()
    with pytest.raises(JournalError, match=r"another journal sends .*\(one, on host-one, place, .*take-over"):
        holding("two").claim()
    assert claimed() == 1


def test_who_must_know_now_hears_of_a_hand_over_at_once_and_of_a_silent_kafka_soon(holding, kafka_world):
    first = holding("one")
    first.claim()
    first.confirm()
    holding("two").take_over(after("one"))
    with pytest.raises(JournalError, match="another journal sends"):
        first.confirm()
    claims = KafkaClaims(kafka_world.settings)
    with ExitStack() as stack:
        stack.callback(claims.close)
        claims._log._tail._settings = kafka_world.settings.model_copy(update={"start_timeout_seconds": 3600.0})
        consumer = claims._log._tail._consumer
        claims._log._tail._consumer = Silent(consumer)
        with pytest.raises(BrokerUnavailable):
            Holding(claims, claim("two")).confirm()
        claims._log._tail._consumer = consumer
        assert len(claims.read(wait=True)) == 3, "what was read meanwhile is not lost"


class Silent:
    """A consumer that has one record by now and gets no other."""

    def __init__(self, consumer):
        self._consumer, self._left = consumer, 1

    def poll(self, seconds):
        if not self._left:
            return None
        record = self._consumer.poll(10.0)
        self._left -= record is not None
        return record

    def get_watermark_offsets(self, *arguments, **options):
        return self._consumer.get_watermark_offsets(*arguments, **options)


def test_of_two_that_claim_at_once_the_earlier_in_the_log_holds(kafka_world, holding):
    class Late(KafkaClaims):
        def append(self, mine):
            holding("two").claim()  # between the look and the word
            super().append(mine)

    claims = Late(kafka_world.settings)
    with pytest.raises(JournalError, match="another journal sends"):
        Holding(claims, claim("one")).claim()
    claims.close()
    assert holding("two").claim().is_held_by("two")


def test_after_a_hand_over_the_old_one_stops_and_the_new_one_knows_what_is_not_its_own(kafka_world, holding):
    old, new = holding("one"), holding("two")
    old.claim()
    intent = {"symbol": "AAPL", "direction": "BUY", "quantity": 1.0, "order_type": "MARKET", "timestamp": NOON}
    source = kafka_world.connect("strategy", [])
    wishes = [OrderIntent.model_validate({**intent, "intent_id": each}, strict=False) for each in NAMES]
    source.publish(wishes[0])
    source.flush()
    standing = new.take_over(after("one"))
    source.publish(wishes[1])
    source.flush()
    assert (standing.before, standing.intents_from) == ({"one"}, 2)
    assert intents_before(kafka_world.settings, standing.intents_from) == {wishes[0].intent_id}
    for still in (lambda: turn(old), holding("one").claim, lambda: old.on_mark(None)):
        with pytest.raises(JournalError, match=r"another journal sends .*\(two"):
            still()


def test_intents_before_the_mark_and_the_mark_itself_are_read_in_their_order(kafka_world, holding):
    order = kafka_world.connect("order", [OrderIntent, IntentsHandedOver])
    holding("one").claim()
    holding("two").take_over(after("one"))
    (mark,) = kafka_world.drain(order, 1)
    assert (mark.message.journal_id, mark.message.predecessor) == ("two", "one")


def test_of_two_hand_overs_at_once_the_earlier_in_the_log_counts(holding):
    holding("one").claim()
    two, three = holding("two"), holding("three")
    assert two.look().is_held_by("one")
    assert three.look().is_held_by("one")
    two.take_over(after("one"))
    with pytest.raises(JournalError, match=r"another journal sends .*\(two"):
        three.take_over(after("one"))


def test_a_hand_over_that_was_cut_off_is_completed_by_the_one_that_holds(kafka_world, holding):
    holding("one").claim()
    kafka_world.foreign("journal_claims", [encode(claim("two", succeeds=after("one")))])
    standing = holding("two").claim()
    assert standing.intents_from == 1
    assert holding("two").claim() == standing


def test_who_is_handed_back_what_it_held_must_be_begun_anew(holding):
    running, other = holding("one"), holding("two")
    running.claim()
    other.take_over(after("one"))
    holding("one").take_over(after("two"))
    with pytest.raises(JournalError, match="start this order plane again"):
        running.on_mark(None)
    assert holding("one").claim().before == {"two"}


@pytest.mark.fault("F28: a claim that cannot be read")
@pytest.mark.parametrize("value", [b"rubbish", b"", None, encode(claim("one"))[:-1]])
def test_what_is_no_claim_denies_everybody_until_a_person_has_looked(kafka_world, holding, value):
    old = holding("one")
    old.claim()
    kafka_world.foreign("journal_claims", [value])
    for each in (holding("one"), holding("two"), old):
        with pytest.raises(LogBroken, match=r"journal_claims/0/1: the record breaks its contract"):
            each.look()


NAMES = ["9b2d7c1e-0a55-5f0e-8d3b-6f2f0d4a1c77", "9b2d7c1e-0a55-5f0e-8d3b-6f2f0d4a1c78"]


@pytest.mark.kafka
@pytest.mark.fault("F28: claims that are gone")
@pytest.mark.parametrize("gone", [1, 2])
def test_a_log_of_claims_that_lost_its_beginning_denies_everybody(apache_world, gone):
    settings = apache_world.settings
    apache_world.foreign("journal_claims", [encode(claim("one")), encode(claim("two"))])
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(settings.topic("journal_claims"), 0, gone)]).values():
        future.result(10)
    claims = KafkaClaims(settings)
    with pytest.raises(LogBroken, match=r"journal_claims/0/0: the record is gone"):
        Holding(claims, claim("three")).claim()
    claims.close()
