"""Record a short life of the strategy and of the order plane: python tests/parity/remake.py [DIRECTORY].

The strategy plane is restarted half-way, so its recording begins with what it was restored from. The order plane
meets a kill switch that is engaged and released, and an intent that changed after it was said.
"""

import sys
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from itertools import groupby
from pathlib import Path
from uuid import UUID

from contracts.base import Message
from contracts.control import KillSwitchCommand
from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport, OrderIntent
from data_plane.composition import build_connector
from data_plane.composition import build_stage as build_data_stage
from data_plane.settings import DataSettings
from kernel.memory_bus import MemoryBus
from kernel.ports import Stage
from kernel.pump import Pump
from kernel.recorder import Recorder
from launcher.settings import Settings, load_settings
from order_plane.composition import build_simulation
from strategy_plane.composition import build_stage as build_strategy_stage

RECORDED = Path("fixtures/recorded")
LOGGED = (BarEvent, SliceEvent, OrderIntent, ExecutionReport)
"""What the strategy plane finds on its topics when it comes back."""


class LockStep:
    """Two planes on one bus: each message and all it leads to is over before the next."""

    def __init__(self, settings: Settings, order_recorder: Recorder) -> None:
        self._settings = settings
        self._bus = MemoryBus()
        self.log: list[Message] = []
        for kind in LOGGED:
            self._bus.subscribe(kind, self._keep)
        self._order = self._pump(build_simulation(settings.order), order_recorder)
        self._strategy = self._pump(build_strategy_stage(settings.strategy))

    def tell(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._bus.publish(message)
            while self._order.step(0) + self._strategy.step(0):
                pass

    def restart_strategy(self, recorder: Recorder) -> None:
        stage = build_strategy_stage(self._settings.strategy)
        for message in self.log:
            stage.restore(message)
            recorder.restored(message)
        self._strategy = self._pump(stage, recorder)

    def _pump(self, stage: Stage, *recorders: Recorder) -> Pump:
        return Pump(stage, self._bus.connect(stage.handlers), recorders)

    def _keep(self, message: Message) -> tuple[()]:
        self.log.append(message)
        return ()


def remake(directory: Path) -> None:
    """Write both recordings into ``directory``; paths in the settings are relative to the repository."""
    settings = load_settings(RECORDED / "settings.yaml", {})
    days = [list(day) for _, day in groupby(market(settings.data), key=lambda message: message.timestamp)]
    half, late, end = len(days) // 2, len(days) * 3 // 4, len(days)
    with ExitStack() as stack:
        order, strategy = (
            Recorder(stack.enter_context((directory / f"{plane}.jsonl").open("wb"))) for plane in ("order", "strategy")
        )
        run = LockStep(settings, order)
        run.tell(message for day in days[:half] for message in day)
        run.restart_strategy(strategy)
        run.tell(message for day in days[half:late] for message in day)
        run.tell([changed(run.log), kill_switch(1, days[late][0].timestamp, engage=True)])
        run.tell(message for day in days[late : late + 4] for message in day)
        run.tell([kill_switch(2, days[late + 4][0].timestamp, engage=False)])
        run.tell(message for day in days[late + 4 : end] for message in day)


def market(settings: DataSettings) -> list[Message]:
    stage = build_data_stage(settings)
    return [*(message for row in build_connector(settings).rows() for message in stage.handle(row)), *stage.finish()]


def changed(log: list[Message]) -> OrderIntent:
    """A wish that was said before, now with another quantity."""
    said = next(message for message in reversed(log) if isinstance(message, OrderIntent))
    return said.model_copy(update={"quantity": said.quantity + 1.0})


def kill_switch(number: int, at: datetime, *, engage: bool) -> KillSwitchCommand:
    ends = None if engage else UUID(int=number - 1)
    return KillSwitchCommand(
        command_id=UUID(int=number), timestamp=at, engage=engage, operator="a.trader", reason="a drill", ends=ends
    )


if __name__ == "__main__":
    remake(Path(sys.argv[1]) if len(sys.argv) > 1 else RECORDED)
