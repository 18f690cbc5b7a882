"""An order plane on a paper gateway without Kafka, with one position and one working order to be got rid of."""

import os
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Annotated
from uuid import UUID

import structlog
import typer

from contracts.base import Message
from contracts.market import SliceEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderStatus, OrderType, Side, TimeInForce
from domain.ids import intent_id
from gates.live_planes import LivePlanes
from gates.paper_session import market_time, trading_on
from kernel.clock import monotonic
from kernel.kafka_settings import KafkaSettings
from kernel.ports import Handler, nothing_to_settle
from launcher.running import announced
from launcher.settings import load_settings
from order_plane.command_channel import SOCKET, CommandChannel
from order_plane.execution import Execution
from order_plane.operator_commands import operator_commands

STRATEGY = "rehearsal"
READY = "ready"
REFUSED = "refused after the kill switch"
_LONGEST_SECONDS = 600.0
_TURN_SECONDS = 0.05
_FAR_BELOW = 0.95


class Rehearsal:
    """A stage that buys once, rests one order, and tries once more when the kill switch is engaged."""

    def __init__(self, trading: Execution, symbol: str) -> None:
        self._trading = trading
        self._symbol = symbol
        self._wished: list[UUID] = []
        self.statuses: dict[UUID, ExecutionReport] = {}

    @property
    def handlers(self) -> dict[type[Message], Handler]:
        """What it listens to."""
        return {SliceEvent: self._on_slice, ExecutionReport: self._on_report}

    @property
    def ready(self) -> bool:
        """Whether something is held and something works."""
        desk = self._trading.desk
        return bool(desk.open_orders) and any(desk.positions.values())

    @property
    def refused(self) -> bool:
        """Whether the order that was tried after the kill switch was refused by it."""
        last = self.statuses.get(self._wished[-1]) if len(self._wished) == 3 else None
        return last is not None and last.status is OrderStatus.REJECTED

    settle = staticmethod(nothing_to_settle)

    def restore(self, message: Message) -> None:
        """It remembers nothing."""

    def _on_report(self, report: ExecutionReport) -> Sequence[Message]:
        self.statuses[report.intent_id] = report
        return ()

    def _on_slice(self, moment: SliceEvent) -> Sequence[Message]:
        price = self._trading.desk.price_of(self._symbol)
        if not self._wished:
            return [
                self._wish(moment.timestamp, OrderType.MARKET),
                self._wish(moment.timestamp, OrderType.LIMIT, price),
            ]
        if len(self._wished) == 2 and self._trading.desk.switch.engaged:
            return [self._wish(moment.timestamp, OrderType.MARKET)]
        return ()

    def _wish(self, at: datetime, kind: OrderType, price: float = 0.0) -> OrderIntent:
        name = intent_id(STRATEGY, self._symbol, at, len(self._wished))
        self._wished.append(name)
        return OrderIntent(
            intent_id=name,
            symbol=self._symbol,
            direction=Side.BUY,
            quantity=1.0,
            order_type=kind,
            limit_price=round(price * _FAR_BELOW, 2) if kind is OrderType.LIMIT else None,
            timestamp=at,
            strategy_id=STRATEGY,
            time_in_force=TimeInForce.DAY,
        )


def serve(trading: Execution, planes: LivePlanes, rehearsal: Rehearsal, channel: CommandChannel, stop: Event) -> None:
    """Trade and obey until ``stop`` is set; says `READY`, and `REFUSED` once the kill switch has refused an order."""
    said: set[str] = set()
    until = monotonic() + _LONGEST_SECONDS
    while not stop.is_set() and monotonic() < until:
        planes.run(_TURN_SECONDS)
        channel.poll()
        for word, holds in ((READY, rehearsal.ready), (REFUSED, rehearsal.refused)):
            if holds and word not in said:
                said.add(word)
                sys.stdout.write(word + "\n")
                sys.stdout.flush()


def main(
    config: Annotated[Path, typer.Option(help="The settings, with the gateway in variables.")],
    state: Annotated[Path, typer.Option(help="State directory.")],
) -> None:
    """Hold an order plane ready for a rehearsal until SIGTERM."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = load_settings(config, os.environ)
    stop = Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with ExitStack() as stack:
        trading, broker = stack.enter_context(trading_on(settings.order, state))
        rehearsal = Rehearsal(trading, settings.data.symbols[0])
        at = market_time(broker.witness())
        planes = LivePlanes(settings.data, settings.order, at, trading, (rehearsal,))
        stack.callback(planes.close)
        channel = CommandChannel(state / SOCKET, operator_commands(trading, _nobody))
        stack.callback(channel.close)
        stack.enter_context(announced(state, "rehearsal", KafkaSettings()))
        serve(trading, planes, rehearsal, channel, stop)


def _nobody(messages: Iterable[Message]) -> None:
    """There is no Kafka to publish to."""


if __name__ == "__main__":
    typer.run(main)
