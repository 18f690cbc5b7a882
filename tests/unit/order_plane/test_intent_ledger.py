from uuid import UUID

import pytest

from order_plane.facts import Fact, FactKind
from order_plane.journals.intent_ledger import End, end_of, settled
from order_plane.journals.port import Past, RowState


@pytest.mark.parametrize(
    ("state", "kinds", "end"),
    [
        (RowState.ACKED, [FactKind.ACK], End.ACKED),
        (RowState.ACKED, [FactKind.ACK, FactKind.EXPIRED], End.EXPIRED),
        (RowState.ACKED, [FactKind.ACK, FactKind.CANCELLED], End.ACKED),
        (RowState.ACKED, [FactKind.REJECT], End.REJECTED),
        (RowState.REJECTED, [], End.REJECTED),
        (RowState.NOT_SENT, [FactKind.REJECT], End.REJECTED),
        (RowState.IN_DOUBT, [], End.IN_DOUBT),
        (RowState.SUBMITTING, [], End.IN_DOUBT),
        (RowState.INTENDED, [], End.WAITING),
    ],
)
def test_how_an_intent_ended_follows_from_its_row_and_facts(make_intent, noon, state, kinds, end):
    facts = tuple(Fact(UUID(int=1), kind, "x", noon, "o") for kind in kinds)
    assert end_of(Past(make_intent(1), "ACC", 1, state, "o", facts, 1)) is end


def test_an_intent_that_nobody_knows_is_lost():
    names = [UUID(int=number) for number in range(5)]
    ledger = settled(
        [*names, names[0]], {names[0]: End.ACKED, names[1]: End.IN_DOUBT, names[2]: End.WAITING}, {names[3]}
    )
    assert ledger.counts == {End.ACKED: 1, End.IN_DOUBT: 1, End.WAITING: 1, End.DEAD_LETTERED: 1, End.LOST: 1}
    assert ledger.open == {names[1]: End.IN_DOUBT, names[2]: End.WAITING, names[4]: End.LOST}
    assert not ledger.holds


def test_an_intent_in_doubt_is_shown_and_the_account_holds():
    ledger = settled([UUID(int=1)], {UUID(int=1): End.IN_DOUBT}, ())
    assert ledger.holds
    assert ledger.open == {UUID(int=1): End.IN_DOUBT}
