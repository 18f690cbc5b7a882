"""The three planes in one process on a gateway: its bars in, its fills back, and no Kafka between."""

import json
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TextIO

from backtest.run_record import RunRecord
from contracts.base import Message
from contracts.control import KillAction, KillSwitchCommand
from contracts.market import BarEvent, SliceEvent
from data_plane.composition import build_calendar, source_terms
from data_plane.composition import build_stage as build_data_stage
from data_plane.connectors.ibkr import LiveSource
from data_plane.feed import LiveFeed
from data_plane.live import heard
from data_plane.session_grid import SessionGrid
from data_plane.settings import DataSettings, IbkrSourceSettings, LiveBarsFrom
from domain.ids import kill_id
from gates.mock_gateway import SimulatorFailed
from gates.session_plan import NoPaperSession
from ibkr_client.lifeline import Address
from ibkr_client.terms import address_of
from kernel.clock import monotonic
from kernel.memory_bus import MemoryBus
from kernel.ports import Stage
from order_plane.execution import Execution
from order_plane.settings import OrderSettings

BARS_CLIENT = 200
"""Added to the order plane's client id: bars have a connection of their own."""
_WAIT_SECONDS = 0.02
_MINUTE = 60.0
_INTO_THE_NEXT = 5.0
"""A bar is known to be closed by the first update of the next one, five seconds into it."""
_MINUTE_PATIENCE, _ORDER_PATIENCE, _CONTROL_PATIENCE = 60.0, 2.0, 60.0


class LivePlanes:
    """Hands what the settings want of the gateway to the stages, and what the broker says in between.

    Moments that are told late are marked as in a run of the planes. The connection is that of the order settings.
    ``market_at`` is the gateway's time at the start: bars that closed before are left out, so that nothing is decided
    on the past. The market's clock is the newest close.
    """

    def __init__(
        self,
        data: DataSettings,
        order: OrderSettings,
        market_at: datetime,
        trading: Execution,
        stages: Sequence[Stage],
        record: RunRecord | None = None,
    ) -> None:
        self._stage = build_data_stage(data)
        self._bus = MemoryBus()
        for stage in (trading, *stages):
            self._bus.attach(stage)
        if record is not None:
            self._bus.watch(record.handlers, record.note)
        self._trading = trading
        self.stepped = 0.0
        """How far the market of a stepped simulator went, in its seconds."""
        self.market: list[Message] = []
        gateway = address_of(order.ibkr)
        address = Address(gateway.host, gateway.port, gateway.client_id + BARS_CLIENT, gateway.patience)
        self.newest = market_at - timedelta(seconds=market_at.second, microseconds=market_at.microsecond)
        self._told = self.newest  # the moment of which all bars were decided on
        self._grace = data.grace
        self._grid = SessionGrid(build_calendar(data), data.bar_size)
        bars = bars_wanted(data, order)
        self.source = LiveSource(address, source_terms(data, bars))
        self._feed = LiveFeed(self._take, (), (), self.source.now, timedelta(seconds=bars.decide_within_seconds))
        self._listened = {BarEvent, SliceEvent}.union(*(stage.handlers for stage in stages))
        self.source.begin(dict.fromkeys(data.symbols, self.newest))

    def run(self, seconds: float, ended: Callable[[], bool] = lambda: False) -> None:
        """Go on for ``seconds``, or until ``ended`` says so."""
        until = monotonic() + seconds
        while monotonic() < until and not ended():
            self._stage.follow(self.source.now())
            for event in heard(self.source, self._stage, self._grace, _WAIT_SECONDS):
                self._feed.send(event)
            self.settle()

    def step(self, control_port: int, seconds: float, ended: Callable[[], bool] = lambda: False) -> None:
        """Let the market of a stepped simulator go on for ``seconds``, or until ``ended``, by a minute at a time.

        Each minute's bars are decided on, and the orders that follow are told of, before the next one begins.

        Raises:
            SimulatorFailed: when it does not go on, or does not tell the bars that have closed.
        """
        with (
            socket.create_connection(("127.0.0.1", control_port), _CONTROL_PATIENCE) as link,
            link.makefile("rw") as at,
        ):
            first = _go(at, _INTO_THE_NEXT)
            for _ in range(round(seconds / _MINUTE)):
                if ended():
                    return
                closed = _go(at, _MINUTE)
                due = closed if self._grid.closes_at(closed) else self._told
                self.run(_MINUTE_PATIENCE, lambda due=due: self._told >= due)  # type: ignore[misc]
                if self._told < due:
                    raise SimulatorFailed(f"the simulator did not tell the bars that close at {due}")
                self.run(_ORDER_PATIENCE, lambda: not self._trading.desk.open_orders)
                self.stepped = (closed - first).total_seconds()

    def settle(self) -> None:
        """Book what the broker did since."""
        for said in self._trading.settle():
            self._bus.publish(said)
        self._bus.drain()

    def tell(self, message: Message) -> None:
        """Let every stage hear ``message``."""
        self._bus.feed([message])

    def close(self) -> None:
        """Disconnect from the bars."""
        self.source.close()

    def _take(self, message: Message) -> None:
        if type(message) in self._listened:
            self.market.append(message)
        if isinstance(message, BarEvent | SliceEvent):
            self.newest = max(self.newest, message.timestamp)
        self._bus.feed([message])
        if isinstance(message, SliceEvent):
            self._told = message.timestamp


def bars_wanted(data: DataSettings, order: OrderSettings, *, stepped: bool = False) -> IbkrSourceSettings:
    """What is asked of the gateway, a ``stepped`` simulator or not; settings of files leave it at the defaults.

    Raises:
        NoPaperSession: when that is nothing to trade on.
    """
    bars = data.ibkr or IbkrSourceSettings(contracts=order.ibkr.contracts)
    if bars.delayed:
        raise NoPaperSession("data.ibkr.delayed: delayed quotes are never traded on; set it to false")
    if stepped and bars.bars is LiveBarsFrom.TRADES:
        raise NoPaperSession(
            "data.ibkr.bars: a market that waits tells no trades; leave out --sim, or set it to updates"
        )
    return bars


def _go(at: TextIO, seconds: float) -> datetime:
    """Let that much time pass; the beginning of the minute that the market is in then."""
    at.write(json.dumps({"go": seconds}) + "\n")
    at.flush()
    answer = json.loads(at.readline() or "{}")
    if not answer.get("ok"):
        raise SimulatorFailed("the simulator's market does not go on")
    return moment(int(answer["market_time"]) // 60 * 60)


def closing_command(operator: str, at: datetime) -> KillSwitchCommand:
    """The command that ends a session: no new orders, and nothing is to be held."""
    return KillSwitchCommand(
        command_id=kill_id(f"MANUAL {operator}", "GLOBAL", "*", at),
        timestamp=at,
        engage=True,
        operator=operator,
        reason="end of the session",
        action=KillAction.HALT_AND_FLATTEN,
    )


def moment(seconds: int) -> datetime:
    """Seconds since 1970 as a moment."""
    return datetime.fromtimestamp(seconds, UTC)
