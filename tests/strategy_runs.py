"""Runs of the strategy plane, with an order plane and a person that answer, recorded to be replayed and restarted."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from contracts.base import Message
from contracts.codec import decode
from contracts.control import PlanDecision, PlanProgress, RebalancePlan, Verdict
from contracts.market import SliceEvent
from contracts.trading import OrderIntent
from kernel.memory_bus import MemoryBus
from kernel.ports import Handler
from kernel.pump import Pump
from kernel.recorder import END, SAID, TOLD, Recorder, Replay, replay
from strategy_plane.composition import build_stage
from strategy_plane.settings import StrategySettings

Kinds = type[Message] | tuple[type[Message], ...]
Answers = Iterable[tuple[type[Message], Handler]]


class LateVenue:
    """An order plane that gives each intent, in the first moment after it, the ``answer`` to it and its number."""

    def __init__(self, answer: Callable[[OrderIntent, int, SliceEvent], Iterable[Message]]) -> None:
        self._answer = answer
        self._waiting: list[OrderIntent] = []
        self._count = 0

    @property
    def answers(self) -> Answers:
        """What it has to be told of."""
        return ((OrderIntent, self._on_intent), (SliceEvent, self._on_slice))

    def _on_intent(self, intent: OrderIntent) -> Iterable[Message]:
        self._waiting.append(intent)
        return ()

    def _on_slice(self, moment: SliceEvent) -> Iterable[Message]:
        ready = [intent for intent in self._waiting if intent.timestamp < moment.timestamp]
        self._waiting = [intent for intent in self._waiting if intent not in ready]
        for intent in ready:
            self._count += 1
            yield from self._answer(intent, self._count, moment)


def decided(plan: RebalancePlan, verdict: Verdict = Verdict.APPROVED) -> Iterable[Message]:
    """What a person says of ``plan`` an hour later; nothing when nobody asks."""
    if plan.requires_approval:
        yield PlanDecision(
            plan_id=plan.plan_id,
            strategy_id=plan.strategy_id,
            timestamp=plan.timestamp + timedelta(hours=1),
            verdict=verdict,
            operator="j.doe",
            reason="looked at",
            content_hash=plan.content_hash,
        )


def record(
    settings: StrategySettings, file: Path, market: Iterable[Message], inputs: tuple[type[Message], ...], who: Answers
) -> list[Message]:
    """Run the stage on a bus, one batch per published message, and write down what it was told and said."""
    bus, said = MemoryBus(), []
    for kind in (OrderIntent, RebalancePlan, PlanProgress):
        bus.subscribe(kind, lambda message: said.append(message) or ())
    for kind, answer in who:
        bus.subscribe(kind, answer)
    with file.open("wb") as log:
        pump = Pump(build_stage(settings), bus.connect(inputs), [Recorder(log)])
        for message in market:
            bus.publish(message)
            while pump.step(0.0):
                pass
    return said


def on_the_topics(lines: Iterable[bytes], topics: Iterable[Kinds]) -> Iterator[Message]:
    """What stood on the topics when the process died, one of ``topics`` after the other."""
    messages = [decode(line[1:]) for line in lines if line[:1] in (TOLD, SAID)]
    for kinds in topics:
        yield from (message for message in messages if isinstance(message, kinds))


def after_a_restart(
    settings: StrategySettings, file: Path, share: float, topics: Callable[[list[bytes]], Iterable[Message]]
) -> Replay:
    """What a stage says to the rest of the recording in ``file`` that has restored ``share`` of it from ``topics``."""
    batches, rest = file.read_bytes().split(END), file.with_suffix(".rest")
    cut = int(len(batches) * share)
    rest.write_bytes(END.join(batches[cut:]))
    restarted = build_stage(settings)
    for message in topics(b"".join(batches[:cut]).splitlines()):
        restarted.restore(message)
    return replay(restarted, rest)
