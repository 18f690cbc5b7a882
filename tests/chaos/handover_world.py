"""Order planes with a journal each, on one log of intents and one venue without keys; a seed says what happens."""

from random import Random
from types import SimpleNamespace
from uuid import UUID

from drills import NOON, SETTINGS, a_bar

from contracts.claims import JournalClaim, Succession
from contracts.trading import ExecutionReport, OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.paper_store import MemoryPaperStore
from order_plane.composition import build_stage, paper_broker
from order_plane.holding import Holding
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError

SYMBOLS = tuple(f"S{number}" for number in range(24))
"""Enough for an order in doubt not to stop all others."""
BARS = tuple(a_bar(symbol, 0, Random(1)) for symbol in SYMBOLS)


EVENTS = {"wish": 10, "again": 2, "start": 8, "join": 4, "fetch": 10, "act": 10, "die": 1, "person": 1}
"""What may happen, and how often."""


class Killed(BaseException):
    """By kill -9."""


class Kafka:
    """The logs, and how far the group has come."""

    def __init__(self):
        self.intents, self.claims, self.reports = [], [], []
        self.committed, self.owner = 0, None
        self.meanwhile = lambda mine: None
        """Something else that happens before a record of the journal ``mine`` is in its log."""


class Claims:
    """The log of claims as one plane reads it: without waiting, it may lag."""

    def __init__(self, kafka, chance):
        self._kafka, self._chance, self._next = kafka, chance, 0

    def read(self, *, wait=False):
        if not wait and self._chance.random() < 0.5:
            return ()
        news, self._next = self._kafka.claims[self._next :], len(self._kafka.claims)
        return news

    arrived = read

    def append(self, claim):
        self._kafka.meanwhile(claim.journal_id)
        self._kafka.claims.append(claim)

    def mark(self, mark):
        self._kafka.meanwhile(mark.journal_id)
        self._kafka.intents.append(mark)
        return len(self._kafka.intents)


class Venue:
    """Takes whatever comes and cannot be asked by intent; who sends may be killed over it."""

    def __init__(self, chance):
        self._chance, self._venue = chance, paper_broker(SETTINGS, MemoryPaperStore(retain=10_000))
        self.sent, self.deadly = [], 0.0

    def __getattr__(self, name):
        return getattr(self._venue, name)

    def submit(self, order):
        if self._chance.random() < self.deadly / 2:
            raise Killed
        self.sent.append(order.intent.intent_id)
        if self._chance.random() < self.deadly / 2:
            raise Killed
        return []

    def lookup(self, intent_id):
        return None


class Plane:
    """One order plane, which lives and dies and keeps its journal; ``careless`` ones make no claims."""

    def __init__(self, kafka, venue, chance, *, careless):
        self._kafka, self._venue, self._chance, self._careless = kafka, venue, chance, careless
        self.journal, self.stage, self.batch = MemoryJournal(), None, []
        self.mine = JournalClaim(
            timestamp=NOON, journal_id=self.journal.journal_id, account="PAPER", host="host", place="place"
        )

    def start(self):
        self.stage = stage = build_stage(SETTINGS, self.journal, self._venue)
        self._known = len(self._kafka.intents)
        self._read = len(self._kafka.reports)
        self.batch = []
        for message in [*BARS, *self._kafka.reports]:
            stage.restore(message)
        if self._careless:
            self._say(stage.recover())
            self.join()
            return
        holding = self._holding = Holding(Claims(self._kafka, self._chance), self.mine)
        stage.yield_at(holding.on_mark)
        stage.heed(lambda: holding.heed() or ())
        stage.published.accept(holding.begin().before)
        stage.published.refuse_others()
        standing = holding.claim()
        if standing.intents_from is not None:
            before = self._kafka.intents[: standing.intents_from]
            names = {each.intent_id for each in before if isinstance(each, OrderIntent)}
            stage.inheritance.accept(standing, names)
        self._say(stage.recover())
        if self._kafka.owner is None:
            self.join()

    def join(self):
        """The group gives it the log."""
        self._kafka.owner, self._position, self.batch = self, self._kafka.committed, []
        if self._position > self._known:
            raise JournalError("state behind")
        for report in self._kafka.reports[self._read :]:
            self.stage.published.overhear(report)
        self._read = len(self._kafka.reports)

    def fetch(self):
        if self._kafka.owner is self and not self.batch:
            self.batch = self._kafka.intents[self._position : self._position + self._chance.randrange(1, 4)]
            self._position += len(self.batch)
            self._known = max(self._known, self._position)

    def act(self):
        batch, self.batch = self.batch, []
        for message in batch:
            self.stage.handlers[type(message)](message)
        said = self.stage.settle()
        if self._chance.random() < 0.2:
            raise Killed
        self._say(said)
        if self._kafka.owner is self and self._chance.random() < 0.7:
            self._kafka.committed = max(self._kafka.committed, self._position)

    def die(self):
        self.stage = None
        if self._kafka.owner is self:
            self._kafka.owner = None

    def _say(self, said):
        told = [self.stage.stamp(each) for each in said if isinstance(each, ExecutionReport)]
        self._kafka.reports.extend(told)


def play(seed, *, careless=False, steps=120):
    """The intents that were sent in one schedule, each as often as it was, and what else is to be known."""
    chance = Random(seed)
    kafka, venue = Kafka(), Venue(chance)
    venue.deadly = chance.choice([0.0, 0.2, 0.5])
    planes = [Plane(kafka, venue, chance, careless=careless) for _ in range(chance.choice([2, 2, 3]))]
    happened = SimpleNamespace(sent=venue.sent, wished=[], refused=0, handed=0, planes=planes, kafka=kafka)
    kafka.meanwhile = lambda mine: _meanwhile(chance, happened, mine)
    for _ in range(steps):
        _happen(chance, happened, chance.choice(planes))
    return happened


def _meanwhile(chance, happened, mine):
    """Another plane or person may be faster; those that are at it just now do one thing at a time."""
    if chance.random() < 0.3:
        again, happened.kafka.meanwhile = happened.kafka.meanwhile, lambda mine: None
        _happen(chance, happened, chance.choice([each for each in happened.planes if each.mine.journal_id != mine]))
        happened.kafka.meanwhile = again


def _happen(chance, happened, plane):
    kafka = happened.kafka
    event = chance.choices(list(EVENTS), EVENTS.values())[0]
    if event == "wish":
        happened.wished.append(_a_wish(len(happened.wished) + 1))
        kafka.intents.append(happened.wished[-1])
    elif event == "again" and happened.wished:
        kafka.intents.append(chance.choice(happened.wished))
    else:
        _try(chance, happened, plane, event)


def _try(chance, happened, plane, event):
    kafka = happened.kafka
    try:
        if event == "person" and kafka.claims:
            _hand_over(Holding(Claims(kafka, chance), plane.mine))
            happened.handed += 1
        elif event == "start" and plane.stage is None:
            plane.start()
        elif event in ("join", "fetch", "act", "die") and plane.stage is not None:
            getattr(plane, event)()
    except JournalError:
        happened.refused += 1
        if event != "person":
            plane.die()
    except Killed:
        plane.die()


def _hand_over(holding):
    holder = holding.look().holder
    holding.take_over(Succession(journal_id=holder.journal_id, operator="ann", reason="drill"))


def _a_wish(number):
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol=SYMBOLS[number % len(SYMBOLS)],
        direction=Side.BUY,
        quantity=1.0,
        order_type=OrderType.LIMIT,
        limit_price=50.0,
        timestamp=NOON,
        time_in_force=TimeInForce.GTC,
    )
