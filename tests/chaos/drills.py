"""An order plane, a market and a venue to break things in; everything follows from a seed."""

import os
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.faulty import Faults, FaultyBroker
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_stage, paper_broker
from order_plane.settings import OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "IBM")
_WISH = os.environ.get("ALGOTRADE_CHAOS_SCHEDULES")
LONG = _WISH is not None
"""Whether somebody asked for the long run; `make test` makes the short one."""
SCHEDULES = int(_WISH or "200")
FIRST = int(os.environ.get("ALGOTRADE_CHAOS_SEED", "0"))
QUIET = Faults()
SETTINGS = OrderSettings(
    limits={"duplicate_window": 0},
    throttle={"rate_per_second": 1_000, "burst": 10_000},
    volume_cap=0.05,
)


def a_bar(symbol, step, chance, **changes):
    price = 100.0 + chance.randrange(-20, 20) / 4
    fields = {"open": price, "high": price + 2, "low": price - 2, "close": price + 0.5, "volume": 200.0}
    return BarEvent(symbol=symbol, timestamp=NOON + timedelta(minutes=step), **{**fields, **changes})


def an_intent(number, symbol, step, chance):
    kind = chance.choice([OrderType.MARKET, OrderType.MARKET, OrderType.LIMIT])
    terms = {"limit_price": 99.0} if kind is OrderType.LIMIT else {}
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol=symbol,
        direction=chance.choice(list(Side)),
        quantity=float(chance.randrange(1, 25)),
        order_type=kind,
        timestamp=NOON + timedelta(minutes=step),
        time_in_force=chance.choice([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.DAY]),
        **terms,
    )


def script(chance, steps=12):
    """Batches: the bars of a minute, then up to three wishes."""
    number = 0
    for step in range(steps):
        batch = [a_bar(symbol, step, chance) for symbol in SYMBOLS]
        for symbol in SYMBOLS if step < steps - 4 else ():
            if chance.random() < 0.6:
                number += 1
                batch.append(an_intent(number, symbol, step, chance))
        yield batch


class Drill:
    """One order plane after another on one journal and one venue."""

    def __init__(self, journal, faults=QUIET, seed=0, settings=SETTINGS):
        self.settings, self.journal = settings, journal
        self.venue = paper_broker(settings, MemoryPaperStore(retain=10_000))
        self.line = FaultyBroker(self.venue, Random(seed * 7 + 1).random, faults)
        self.reports = {}
        self.intents = {}
        self.start()

    def start(self):
        """The plane comes back after a kill."""
        self.stage = build_stage(self.settings, self.journal, self.line)
        self.hear(self.stage.recover())

    def hear(self, said):
        for each in said:
            if isinstance(each, ExecutionReport):
                earlier = self.reports.setdefault((each.intent_id, each.sequence), each)
                assert earlier.status is each.status, "a repeated report must repeat its content"

    def tell(self, batch):
        for message in batch:
            if isinstance(message, OrderIntent):
                self.intents[message.intent_id] = message
            self.hear(self.stage.handlers[type(message)](message))
        self.hear(self.stage.settle())

    def heal(self):
        """The line is mended, and the plane comes back twice."""
        self.line.faults = QUIET
        for _ in range(2):
            self.start()
        self.hear(self.stage.reconcile())

    def ends(self):
        """The newest thing said of each intent."""
        newest = {}
        for (name, _), report in sorted(self.reports.items(), key=lambda item: item[0][1]):
            newest[name] = report
        return newest

    def at_venue(self):
        """The intents of which the venue has an order."""
        return {name for name in self.intents if self.venue.lookup(name) is not None}
