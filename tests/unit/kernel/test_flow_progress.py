"""Rest counts a topic that only some read for those that do read it."""

from datetime import UTC, datetime

from contracts.control import Heartbeat, PlaneName
from kernel.flow import Progress

NOW = datetime(2024, 1, 2, tzinfo=UTC)
COSTS = "execution_costs/0"


def beat(plane: PlaneName, positions: dict[str, int], ends: dict[str, int]) -> Heartbeat:
    return Heartbeat(timestamp=NOW, plane=plane, instance="i", positions=positions, ends=ends)


def progress(strategy_reads: dict[str, int]) -> Progress:
    """The order plane has said two costs; all else is handled."""
    found = Progress({"strategy": ("market_events",), "order": ("market_events",)}, ("execution_costs",))
    found.wrote({"market_events/0": 5})
    found.observe(beat(PlaneName.ORDER, {"market_events/0": 5}, {COSTS: 2}))
    found.observe(beat(PlaneName.STRATEGY, {"market_events/0": 5, **strategy_reads}, {}))
    return found


def test_a_consumer_that_does_not_read_the_topic_holds_nothing_up():
    assert progress({}).at_rest()


def test_a_consumer_that_reads_it_must_have_read_all():
    behind = progress({COSTS: 1})
    assert not behind.at_rest()
    assert behind.behind() == 1
    behind.observe(beat(PlaneName.STRATEGY, {COSTS: 2}, {}))
    assert behind.at_rest()
