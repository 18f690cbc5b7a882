"""Rest is told from heartbeats alone, whatever the schedule: never too early, and always in the end."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from contracts.control import Heartbeat, PlaneName
from kernel.flow import Progress

NOW = datetime(2024, 1, 2, tzinfo=UTC)
MARKET, INTENTS, REPORTS = "market_events/0", "order_intents/0", "execution_reports/0"


@dataclass
class Plane:
    """A process that answers some of its inputs, commits, and sometimes dies before it can say so."""

    name: PlaneName
    inputs: tuple[str, ...]
    output: str
    positions: dict[str, int] = field(default_factory=dict)
    wrote: dict[str, int] = field(default_factory=dict)

    def step(self, log: dict[str, int], topic: str, answers: int) -> None:
        if self.positions[topic] < log[topic]:
            log[self.output] += answers
            self.wrote[self.output] = log[self.output]
            self.positions[topic] += 1

    def restart(self, log: dict[str, int]) -> None:
        self.wrote = {self.output: log[self.output]}

    def heartbeat(self) -> Heartbeat:
        return Heartbeat(
            timestamp=NOW, plane=self.name, instance="i", positions=dict(self.positions), ends=dict(self.wrote)
        )


class World:
    """The source and two planes that feed each other; answers run dry, so the world comes to rest."""

    def __init__(self) -> None:
        self.log = {MARKET: 0, INTENTS: 0, REPORTS: 0}
        self.strategy = Plane(PlaneName.STRATEGY, (MARKET, REPORTS), INTENTS)
        self.order = Plane(PlaneName.ORDER, (MARKET, INTENTS), REPORTS)
        for plane in self.planes:
            plane.positions = dict.fromkeys(plane.inputs, 0)
        self.progress = Progress(
            {plane.name.value: [topic.split("/")[0] for topic in plane.inputs] for plane in self.planes}
        )

    @property
    def planes(self) -> tuple[Plane, Plane]:
        return self.strategy, self.order

    def publish(self) -> None:
        self.log[MARKET] += 1
        self.progress.wrote({MARKET: self.log[MARKET]})

    def truly_at_rest(self) -> bool:
        return all(plane.positions[topic] == self.log[topic] for plane in self.planes for topic in plane.inputs)


actions = st.lists(
    st.one_of(
        st.just(("publish", 0, 0, 0)),
        st.tuples(st.just("step"), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2)),
        st.tuples(st.just("beat"), st.integers(0, 1), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.integers(0, 1), st.just(0), st.just(0)),
        st.tuples(st.just("old beat"), st.integers(0, 1), st.integers(0, 50), st.just(0)),
    ),
    max_size=80,
)


@given(actions)
def test_rest_is_never_claimed_while_a_message_is_in_flight(schedule: list[tuple[str, int, int, int]]) -> None:
    world = World()
    beats: list[Heartbeat] = []
    for action, which, topic, answers in schedule:
        plane = world.planes[which]
        match action:
            case "publish":
                world.publish()
            case "step":
                plane.step(world.log, plane.inputs[topic], answers)
            case "beat":
                beats.append(plane.heartbeat())
                world.progress.observe(beats[-1])
            case "restart":
                plane.restart(world.log)
            case "old beat" if beats:
                world.progress.observe(beats[topic % len(beats)])
        if world.progress.at_rest():
            assert world.truly_at_rest()


@given(actions)
def test_rest_is_seen_once_everything_is_handled_and_reported(schedule: list[tuple[str, int, int, int]]) -> None:
    world = World()
    for action, which, topic, answers in schedule:
        if action == "publish":
            world.publish()
        elif action == "step":
            world.planes[which].step(world.log, world.planes[which].inputs[topic], answers)
    while not world.truly_at_rest():
        for plane in world.planes:
            for topic in plane.inputs:
                plane.step(world.log, topic, 0)
    for plane in world.planes:
        world.progress.observe(plane.heartbeat())
    assert world.progress.at_rest()
    assert world.progress.behind() == 0


def test_a_consumer_that_was_never_heard_of_is_behind_by_everything() -> None:
    progress = Progress({"strategy": ["market_events"], "order": ["market_events", "order_intents"]})
    progress.wrote({MARKET: 7})
    assert not progress.at_rest()
    assert progress.behind() == 7
    assert progress.missing() == ["strategy", "order"]


def test_a_partition_that_is_not_assigned_yet_is_not_at_rest() -> None:
    progress = Progress({"order": ["market_events", "order_intents"]})
    progress.wrote({MARKET: 1, INTENTS: 1})
    progress.observe(Heartbeat(timestamp=NOW, plane=PlaneName.ORDER, instance="i", positions={MARKET: 1}, ends={}))
    assert not progress.at_rest()
