"""Order ids that are durable before they are used."""

import sqlite3
from datetime import UTC, datetime
from uuid import UUID

import pytest

from order_plane.brokers.ibkr_ids import RESERVED, AlreadySent, OrderIds
from order_plane.brokers.ibkr_tracked import Tracked


def an_order(number=1, attempt=1):
    at = datetime(2024, 7, 10, tzinfo=UTC)
    return Tracked(UUID(int=number), attempt, 0, "AAPL", 10.0, 10.0, at, lapses=True)


def take(ids, order):
    """An order that is sent."""
    order.order_id = ids.take(order.intent_id, order.attempt)
    ids.keep(order)
    return order.order_id


@pytest.fixture
def make(tmp_path):
    made = []

    def build(client_id=1, account="DU1"):
        ids = OrderIds(tmp_path / "ids.sqlite", account, client_id)
        made.append(ids)
        return ids

    yield build
    for ids in made:
        ids.close()


def test_ids_follow_each_other_and_what_the_gateway_has_seen(make):
    ids = make()
    ids.begin_at(7)
    assert [take(ids, an_order(number)) for number in (1, 2)] == [7, 8]
    ids.begin_at(9)
    assert take(ids, an_order(3)) == 9
    ids.begin_at(50)
    assert take(ids, an_order(4)) == 50
    assert take(make(client_id=2), an_order(5)) == 1


def test_a_restart_begins_above_everything_that_was_reserved(make):
    first = make()
    used = [take(first, an_order(number)) for number in (1, 2)]
    assert used == [1, 2]
    second = make()
    second.begin_at(3)
    assert take(second, an_order(3)) == RESERVED + 1
    third = make()
    third.begin_at(5 * RESERVED)
    assert take(third, an_order(4)) == 5 * RESERVED


@pytest.mark.parametrize("rests", [False, True], ids=["busy", "resting"])
def test_no_id_is_given_twice_however_lives_take_turns(make, rests):
    lives, taken = [make(), make()], []
    for number in range(2 * RESERVED + 20):
        life = lives[number // 7 % 2]
        taken.append(take(life, an_order(number)))
        if rests:
            life.rest()
    assert len(set(taken)) == len(taken)
    mine = [each for number, each in enumerate(taken) if number // 7 % 2 == 0]
    assert mine == sorted(mine)


def test_no_order_id_waits_for_the_disk_but_the_first_of_a_range(make, tmp_path):
    ids = make()
    ids.begin_at(1)
    durable = sqlite3.connect(f"file:{tmp_path / 'ids.sqlite'}?mode=ro", uri=True)
    marks = set()
    for number in range(RESERVED // 2):
        taken = take(ids, an_order(number))
        ((mark,),) = durable.execute("SELECT newest FROM sequence")
        assert taken <= mark
        marks.add(mark)
    assert marks == {RESERVED}
    for _ in range(3):
        ids.rest()
    assert take(ids, an_order(RESERVED)) == RESERVED // 2 + 1
    ids.rest()
    assert durable.execute("SELECT newest FROM sequence").fetchone()[0] == 2 * RESERVED
    durable.close()


def test_an_attempt_has_one_id_unless_nothing_was_sent(make):
    ids, order = make(), an_order()
    order.order_id = ids.take(order.intent_id, order.attempt)
    with pytest.raises(AlreadySent):
        take(ids, an_order())
    ids.give_back(order)
    assert take(ids, order) == 2
    for life in (ids, make()):
        with pytest.raises(AlreadySent):
            take(life, an_order())
    assert take(ids, an_order(attempt=2)) == 3


def test_an_order_is_found_again_by_its_intent(make):
    ids = make()
    number = take(ids, an_order())
    take(ids, an_order(2))
    found = make().find(UUID(int=1))
    assert found is not None
    assert (found.attempt, found.symbol, found.wished, found.lapses) == (1, "AAPL", 10.0, True)
    assert ids.find(UUID(int=9)) is None
    assert make(account="DU2").find(UUID(int=1)) is None
    assert number == 1
    assert found.order_id == number
