"""Order ids that are durable before they are used."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from order_plane.brokers.ibkr_book import Tracked
from order_plane.brokers.ibkr_ids import AlreadySent, OrderIds


def an_order(number=1, attempt=1):
    at = datetime(2024, 7, 10, tzinfo=UTC)
    return Tracked(UUID(int=number), attempt, 0, "AAPL", 10.0, 10.0, at, lapses=True)


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


def test_ids_rise_over_restarts_and_above_what_the_gateway_has_seen(make):
    first = make()
    assert [first.take(an_order(number)) for number in (1, 2)] == [1, 2]
    second = make()
    second.begin_at(2)
    assert second.take(an_order(3)) == 3
    second.begin_at(50)
    assert second.take(an_order(4)) == 50
    assert make(client_id=2).take(an_order(5)) == 1


def test_an_attempt_has_one_id_unless_nothing_was_sent(make):
    ids = make()
    ids.take(an_order())
    with pytest.raises(AlreadySent):
        make().take(an_order())
    ids.give_back(an_order())
    assert ids.take(an_order()) == 2
    assert ids.take(an_order(attempt=2)) == 3


def test_an_order_is_found_again_by_its_intent(make):
    ids = make()
    number = ids.take(an_order())
    ids.take(an_order(2))
    found = make().find(UUID(int=1))
    assert found is not None
    assert (found.attempt, found.symbol, found.wished, found.lapses) == (1, "AAPL", 10.0, True)
    assert ids.find(UUID(int=9)) is None
    assert make(account="DU2").find(UUID(int=1)) is None
    assert number == 1
    assert found.order_id == number
