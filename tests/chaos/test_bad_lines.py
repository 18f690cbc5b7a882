"""Promise: whatever the line to the venue does, nothing is sent twice, nothing is lost and nothing is made up."""

from random import Random

import pytest
from drills import FIRST, QUIET, SCHEDULES, Drill, script

from contracts.trading import OrderStatus
from order_plane.brokers.faulty import Faults
from order_plane.journals.memory import MemoryJournal

HOSTILE = Faults(unavailable=0.1, refused=0.1, lost=0.1, unanswered=0.2, late=0.3, repeated=0.3, shuffled=True)


@pytest.mark.fault("F13 F18 F21 F22: timeouts before and after the send, refusals, late and repeated reports, kills")
def test_nothing_is_doubled_lost_or_made_up():
    doubtful = 0
    for seed in range(FIRST, FIRST + SCHEDULES // 10):
        chance = Random(seed)
        drill = Drill(MemoryJournal(retain=10_000), HOSTILE, seed)
        for batch in script(chance):
            drill.tell(batch)
            if chance.random() < 0.15:
                drill.start()
            if chance.random() < 0.15:
                drill.tell(batch)
        drill.heal()
        where = f"seed {seed}"
        ends, there = drill.ends(), drill.at_venue()
        assert drill.venue.duplicates_refused == 0, f"{where}: sent twice"
        assert ends.keys() == drill.intents.keys(), f"{where}: nothing was said of an intent"
        for name, report in ends.items():
            if report.status is OrderStatus.REJECTED:
                assert name not in there, f"{where}: {name} is rejected and the venue has it"
            elif report.status is OrderStatus.IN_DOUBT:
                assert name not in there, f"{where}: {name} is at the venue and was not found"
                doubtful += 1
            else:
                assert name in there, f"{where}: {name} is {report.status} and the venue never saw it"
        assert drill.stage.desk.positions == pytest.approx(drill.venue.snapshot().positions), where
        assert drill.stage.desk.cash == pytest.approx(drill.venue.snapshot().cash), where
        assert drill.stage.upkeep.reconciled, where
    assert doubtful, "the drills are too kind"


@pytest.mark.fault("F14: reports shuffled, repeated and late")
def test_the_order_of_reports_does_not_matter():
    for seed in range(FIRST, FIRST + SCHEDULES // 20):
        seen = []
        for faults in (QUIET, Faults(late=0.4, repeated=0.5, shuffled=True)):
            drill = Drill(MemoryJournal(retain=10_000), faults, seed)
            for batch in script(Random(seed)):
                drill.tell(batch)
            drill.heal()
            ends = drill.ends()
            seen.append({name: (end.status, end.filled_quantity, end.commission) for name, end in ends.items()})
        assert seen[0] == seen[1], f"seed {seed}"


@pytest.mark.fault("F13: every message three times")
def test_every_message_three_times_changes_nothing():
    for seed in range(FIRST, FIRST + SCHEDULES // 20):
        seen = []
        for times in (1, 3):
            drill = Drill(MemoryJournal(retain=10_000))
            for batch in script(Random(seed)):
                drill.tell([message for message in batch for _ in range(times)])
            seen.append(drill.reports)
            assert drill.venue.duplicates_refused == 0
        assert seen[0] == seen[1], f"seed {seed}"
