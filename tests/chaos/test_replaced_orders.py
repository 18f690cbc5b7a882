"""Promise: whatever happens while an order is being replaced, it never trades more than was wished for."""

import json
import signal
import sqlite3
from contextlib import closing
from random import Random
from uuid import UUID

import pytest
from drills import FIRST, SCHEDULES, SETTINGS, Drill, script
from lives import begin, end

from domain.ids import replacement_id
from order_plane.brokers.faulty import Faults
from order_plane.brokers.paper import PaperBroker
from order_plane.facts import FactKind
from order_plane.journals.memory import MemoryJournal
from order_plane.policies import MARKET_REQUEST
from order_plane.settings import OrderSettings
from order_plane.unacceptable import NotOpen, NotReplaceable

HOSTILE = Faults(unavailable=0.1, refused=0.1, lost=0.15, unanswered=0.15, late=0.2, repeated=0.2, shuffled=True)
POLICY = {"after": "PT2M", "unfilled": "market", "partly": "market"}
CHANGES = frozenset({FactKind.REPLACE_REQUESTED, FactKind.REPLACED, FactKind.REPLACE_REFUSED})
REPLACING = ("after_change_asked", "after_change")


def units_of(venue, *names):
    """Units that the venue traded for these intents together."""
    facts = [fact for name in names for fact in venue.lookup(name) or () if fact.kind is FactKind.FILL]
    return sum(fact.quantity for fact in facts)


def wish(drill, chance):
    """A person wants something else of one of the orders, sensible or not."""
    orders = drill.stage.desk.open_orders
    if not orders:
        return
    intent = chance.choice(orders).intent
    price = chance.choice([None, 90.0 + chance.randrange(20)])
    try:
        drill.stage.upkeep.wish(
            intent.intent_id, "operator-ann", chance.choice([None, float(chance.randrange(1, 25))]), price, "ann: drill"
        )
    except (NotOpen, NotReplaceable):
        return
    drill.hear(drill.stage.settle())


@pytest.mark.fault("F19 F21: orders are replaced over a line that loses requests and answers, and the plane is killed")
@pytest.mark.parametrize("converts", [True, False])
def test_an_order_that_is_replaced_never_trades_more_than_was_wished_for(monkeypatch, converts):
    monkeypatch.setattr(PaperBroker, "converts", converts)
    settings = OrderSettings.model_validate({**SETTINGS.model_dump(), "unfilled": POLICY})
    heard = set()
    for seed in range(FIRST, FIRST + SCHEDULES // 10):
        chance, where = Random(seed), f"seed {seed}"
        drill = Drill(MemoryJournal(retain=10_000), HOSTILE, seed, settings)
        for batch in script(chance):
            drill.tell(batch)
            wish(drill, chance)
            if chance.random() < 0.15:
                drill.start()
        drill.heal()
        drill.tell([])
        drill.heal()
        assert drill.venue.duplicates_refused == 0, f"{where}: sent twice"
        for name, intent in drill.intents.items():
            units = units_of(drill.venue, name, replacement_id(name, MARKET_REQUEST))
            assert units <= intent.quantity * (1 + 1e-9), f"{where}: {name} traded {units} of {intent.quantity}"
        asked = [fact for past in drill.journal.pasts() for fact in past.facts if fact.kind in CHANGES]
        answers = {(fact.intent_id, fact.fact_id) for fact in asked if fact.kind is not FactKind.REPLACE_REQUESTED}
        heard |= {fact.kind.value for fact in asked}
        heard |= {"UNKNOWN" for fact in asked if (fact.intent_id, fact.fact_id) not in answers}
        assert drill.stage.desk.positions == pytest.approx(drill.venue.snapshot().positions), where
        assert drill.stage.desk.cash == pytest.approx(drill.venue.snapshot().cash), where
        assert drill.stage.upkeep.reconciled, where
    assert heard == {"REPLACE_REQUESTED", "REPLACED", "REPLACE_REFUSED", "UNKNOWN"}, "the drills are too kind"


def bought(directory):
    """Units that the venue traded, by the intent that wished for them first."""
    units = {}
    with closing(sqlite3.connect(directory / "venue.sqlite")) as venue:
        rows = dict(venue.execute("SELECT intent_id, filled FROM orders").fetchall())
    second = {str(replacement_id(UUID(name), MARKET_REQUEST)): name for name in rows}
    for name, filled in rows.items():
        first = second.get(name, name)
        units[first] = units.get(first, 0.0) + filled
    return units


def quantities(directory):
    with closing(sqlite3.connect(directory / "journal.sqlite")) as journal:
        return dict(journal.execute("SELECT intent_id, quantity FROM intents").fetchall())


def facts_of(directory, kind):
    with closing(sqlite3.connect(directory / "journal.sqlite")) as journal:
        return journal.execute(
            "SELECT intent_id, fact_id FROM facts WHERE kind = ? ORDER BY position", (kind,)
        ).fetchall()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    directory = tmp_path_factory.mktemp("replacing")
    assert end(begin(directory)) == 0
    assert len(facts_of(directory, "REPLACED")) > 1
    return directory


@pytest.mark.fault("F5 F6: kill -9 of the order plane around the replacing of an order")
@pytest.mark.parametrize("passage", [1, 2])
@pytest.mark.parametrize("moment", REPLACING)
def test_a_kill_around_the_replacing_asks_nothing_twice_and_trades_no_more(quiet, tmp_path, moment, passage):
    assert end(begin(tmp_path, f"{moment}:{passage}")) == -signal.SIGKILL, "the crash point was never reached"
    asked = facts_of(tmp_path, "REPLACE_REQUESTED")
    assert len(asked) == passage
    assert end(begin(tmp_path)) == 0
    traded, undisturbed, wished = bought(tmp_path), bought(quiet), quantities(tmp_path)
    assert all(units <= wished[name] for name, units in traded.items())
    # The others share the volume of the bars with those that come later now.
    assert {name: traded[name] for name, _ in asked} == pytest.approx({name: undisturbed[name] for name, _ in asked})
    again = facts_of(tmp_path, "REPLACE_REQUESTED")
    assert len(again) == len(set(again))
    told = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    doubted = {report["intent_id"] for report in told if report["status"] == "IN_DOUBT"}
    assert doubted == ({asked[-1][0]} if moment == "after_change_asked" else set())
    newest = {report["intent_id"]: report["status"] for report in told}
    assert "IN_DOUBT" not in newest.values(), "a cancel ends the doubt"
