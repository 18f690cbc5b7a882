"""Promise: one intent, at most one order, and none forgotten, over many thousands of hostile schedules.

ALGOTRADE_CHAOS_SCHEDULES sets how many are tried for each kind of venue, ALGOTRADE_CHAOS_SEED where they begin.
"""

from collections import Counter

import pytest
from designs import (
    NoJournal,
    QueryThenResend,
    ResendAfterCrash,
    life,
    naive,
    order_plane,
    replicas,
    shared,
    signed,
    unfenced,
)
from drills import FIRST, SCHEDULES
from hostile_world import NOON, Worker, World

from contracts.trading import ExecutionReport, OrderStatus
from order_plane.brokers.port import KeyLife
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Resolution, RowState, Verdict
from order_plane.journals.sqlite import SqliteJournal

STEPS = 60
WORKERS = [Worker(), Worker()]
TOLD = {
    RowState.REJECTED: (OrderStatus.REJECTED,),
    RowState.NOT_SENT: (OrderStatus.REJECTED,),
    RowState.IN_DOUBT: (OrderStatus.IN_DOUBT,),
}
"""What is said of an intent that no order came of, by the state of its row."""
ENDS = {RowState.ACKED, *TOLD}
"""The states in which the row of an intent may be left."""


def played(seed, key_life, design, journal):
    """The world after one schedule, with all planes dead and everything that was under way arrived."""
    world = World(seed, key_life, WORKERS)
    world.run(design(world, journal), STEPS)
    return world


def doubled(seed, key_life, design):
    world = played(seed, key_life, design, MemoryJournal())
    return any(world.orders_of(intent) > 1 for intent in world.intents)


def settle(world, journal):
    """Start once more on a quiet line, consume what is left, and start again."""
    world.committed = min(world.committed, world.chance.randrange(len(world.intents) + 1))
    for _ in range(2):
        life(world, journal)


def check(world, journal, seed):
    """Hold the journal against the venue: nothing doubled, nothing forgotten, nothing claimed that is not so."""
    ends = Counter()
    again = {each.intent_id for each in journal.resolutions() if each.verdict is Verdict.SEND_AGAIN}
    for intent in world.intents:
        where = f"seed {seed}, {world.key_life}, intent {intent.intent_id.int}"
        orders = world.orders_of(intent)
        past = journal.past(intent.intent_id)
        assert past is not None, f"{where}: forgotten"
        assert orders <= 1 + (intent.intent_id in again), f"{where}: {orders} orders"
        if past.state is RowState.ACKED:
            assert orders, f"{where}: acknowledged, and the venue has no order"
        else:
            assert past.state in TOLD, f"{where}: left {past.state}"
            assert not orders, f"{where}: {past.state}, and the venue has an order"
        ends[past.state] += 1
    return ends


def check_reports(world, journal, seed):
    """Hold what was said last of each intent against the journal."""
    newest = {}
    for report in world.reports:
        newest[report.intent_id] = max(newest.get(report.intent_id, report), report, key=lambda each: each.sequence)
    for intent in world.intents:
        state, said = journal.past(intent.intent_id).state, newest[intent.intent_id].status
        expected = TOLD.get(state, (OrderStatus.ACKNOWLEDGED, OrderStatus.FILLED))
        assert said in expected, f"seed {seed}, {world.key_life}, intent {intent.intent_id.int}: {state}, said {said}"


@pytest.mark.fault("P1 P2: hostile schedules on one journal")
@pytest.mark.parametrize("key_life", list(KeyLife))
def test_no_order_is_doubled_and_no_intent_is_lost(key_life):
    ends = Counter()
    for seed in range(FIRST, FIRST + SCHEDULES):
        journal = MemoryJournal()
        world = played(seed, key_life, shared, journal)
        settle(world, journal)
        ends += check(world, journal, seed)
        check_reports(world, journal, seed)
    assert {RowState.ACKED, RowState.REJECTED, RowState.IN_DOUBT} <= set(ends), "the schedules are too kind"


@pytest.mark.fault("P1: two planes that write one journal at once")
@pytest.mark.parametrize("key_life", list(KeyLife))
def test_even_planes_that_write_at_the_same_time_double_nothing(key_life):
    for seed in range(FIRST, FIRST + SCHEDULES // 4):
        journal = MemoryJournal()
        world = played(seed, key_life, unfenced, journal)
        settle(world, journal)
        check(world, journal, seed)


@pytest.mark.fault("P1 P2: hostile schedules on the journal in a file")
@pytest.mark.parametrize("key_life", [KeyLife.NONE, KeyLife.WHILE_OPEN])
def test_the_same_on_the_durable_journal(key_life, tmp_path):
    for seed in range(FIRST, FIRST + SCHEDULES // 20):
        journal = SqliteJournal(tmp_path / f"{seed}.sqlite")
        world = played(seed, key_life, shared, journal)
        settle(world, journal)
        check(world, journal, seed)
        check_reports(world, journal, seed)
        journal.close()


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_is_left_in_doubt_a_person_can_end(verdict):
    decided = 0
    for seed in range(FIRST, FIRST + SCHEDULES // 5):
        journal = MemoryJournal()
        world = played(seed, KeyLife.NONE, shared, journal)
        settle(world, journal)
        stage = order_plane(world, journal)
        said = [*stage.recover()]
        doubtful = [past for past in journal.pasts() if past.state is RowState.IN_DOUBT]
        for past in doubtful:
            name = past.intent.intent_id
            if verdict is Verdict.ADOPTED:
                world.accept(past)
            said += stage.resolve(Resolution(name, past.attempt, verdict, "ann", "drill", NOON, "v1"))
            decided += 1
        said += stage.settle()
        world.reports += [each for each in said if isinstance(each, ExecutionReport)]
        settle(world, journal)
        ends = check(world, journal, seed)
        check_reports(world, journal, seed)
        assert not ends[RowState.IN_DOUBT]
    assert decided


@pytest.mark.fault("P1 P2: a person who signs, rightly or not, while planes are killed and take over")
@pytest.mark.parametrize("key_life", list(KeyLife))
def test_no_intent_makes_more_orders_than_were_signed_for_whenever_a_person_signs(key_life):
    ends, verdicts, twice = Counter(), Counter(), 0
    for seed in range(FIRST, FIRST + SCHEDULES):
        journal = MemoryJournal()
        world = World(seed, key_life, WORKERS)
        world.run(signed(world, journal), STEPS + 30)
        settle(world, journal)
        again = Counter(each.intent_id for each in journal.resolutions() if each.verdict is Verdict.SEND_AGAIN)
        verdicts.update(each.verdict for each in journal.resolutions())
        for intent in world.intents:
            where = f"seed {seed}, {key_life}, intent {intent.intent_id.int}"
            orders, past = world.orders_of(intent), journal.past(intent.intent_id)
            assert past is not None, f"{where}: forgotten"
            assert orders <= past.attempt <= 1 + again[intent.intent_id], f"{where}: {orders} orders"
            assert past.state in ENDS, f"{where}: left {past.state}"
            ends[past.state] += 1
            twice += orders > 1
    assert (set(verdicts), set(ends)) == (set(Verdict), ENDS), "the schedules are too kind"
    assert bool(twice) == (key_life is not KeyLife.LIFETIME), "what was signed wrongly doubles where the venue lets it"


@pytest.mark.fault("P1: the designs that do double, on the same schedules")
@pytest.mark.parametrize(
    ("design", "safe"),
    [
        (naive(NoJournal), {KeyLife.LIFETIME}),
        (naive(ResendAfterCrash), {KeyLife.LIFETIME}),
        (naive(QueryThenResend), {KeyLife.LIFETIME}),
        (replicas, {KeyLife.LIFETIME}),
    ],
    ids=["no journal", "resend after a crash", "query then resend", "a journal for each plane"],
)
@pytest.mark.parametrize("key_life", list(KeyLife))
def test_the_common_designs_double_on_the_same_schedules(design, safe, key_life):
    found = sum(doubled(seed, key_life, design) for seed in range(FIRST, FIRST + 150))
    if key_life in safe:
        assert found == 0
    else:
        assert found >= 3, "the schedules are too kind to prove anything"


def test_a_seed_tells_the_same_story():
    stories = []
    for _ in range(2):
        journal = MemoryJournal()
        world = played(FIRST + 17, KeyLife.NONE, shared, journal)
        stories.append((world.now, world.reports, world.orders, list(journal.pasts())))
    assert stories[0] == stories[1]
