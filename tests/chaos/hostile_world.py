"""A seeded world in which order planes are killed, paused and told everything twice, before a venue on a bad line.

One thread runs at a time and a seeded generator decides which, so a seed tells the same story every time. Planes run
the real desk, router and journal; only the bus and the venue are made up. Pauses and kills can come at every call of
a journal or of the venue, before it, after it, and between the moment a request leaves and the one it arrives.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

from contracts.trading import OrderIntent, OrderType, Side, TimeInForce
from order_plane.brokers.port import BrokerRefused, BrokerStateUnknown, BrokerUnavailable, KeyLife
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import JournalError

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
WISHES = (("AAPL", Side.BUY), ("MSFT", Side.SELL), ("AAPL", Side.BUY))
"""The third is of the symbol and side of the first, which may be in doubt."""
YIELDS, DIES = 0.35, 0.02


class Killed(BaseException):
    """``kill -9``: no code of the plane may catch it."""


class Worker:
    """A thread that runs one body after the other, and only while it was handed the turn."""

    def __init__(self) -> None:
        self._mine, self._theirs = threading.Lock(), threading.Lock()
        self._mine.acquire()
        self._theirs.acquire()
        self._body: Callable[[], None] | None = None
        self.doomed = False
        self.busy = False
        self.failure: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, body: Callable[[], None]) -> None:
        """Begin ``body`` when first resumed."""
        self._body, self.busy, self.doomed = body, True, False

    def resume(self) -> None:
        """Let it run until it pauses or ends; raises what its body raised."""
        self._mine.release()
        self._theirs.acquire()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def pause(self) -> None:
        """Give the turn back; called by the body."""
        self._theirs.release()
        self._mine.acquire()
        if self.doomed:
            raise Killed

    def kill(self) -> None:
        """End the body where it stands."""
        if self.busy:
            self.doomed = True
            self.resume()

    def _run(self) -> None:
        while True:
            self._mine.acquire()
            try:
                if not self.doomed:
                    self._body()
            except (Killed, JournalError):
                pass  # either way its process is gone
            except BaseException as error:  # noqa: BLE001 - handed over to whoever resumed it
                self.failure = error
            self.busy = False
            self._theirs.release()


class World:
    """The bus, the venue and time. ``calm`` ends all trouble."""

    def __init__(self, seed: int, key_life: KeyLife, workers: list[Worker]) -> None:
        self.chance = Random(seed)
        self.key_life = key_life
        self.workers = workers
        self.overlapping = seed % 2 == 1
        self.running: Worker | None = None
        self.calm = False
        self.now = 0
        self.committed = 0
        self.epoch = 0
        self.intents = [an_intent(number + 1, *wish) for number, wish in enumerate(WISHES)]
        self.reports: list[object] = []
        self.orders: list[dict[str, object]] = []
        self.in_flight: list[tuple[int, object]] = []
        self.loss = self.chance.choice((0.0, 0.1, 0.3))

    def point(self) -> None:
        """Somewhere a plane may be paused or killed."""
        if self.calm:
            return
        luck = self.chance.random()
        if luck < DIES:
            raise Killed
        if luck < YIELDS:
            self.running.pause()

    def tick(self) -> None:
        """Time passes: requests arrive late, and orders are filled."""
        self.now += 1
        for entry in [each for each in self.in_flight if each[0] <= self.now or self.calm]:
            self.in_flight.remove(entry)
            self.accept(entry[1])
        for order in self.orders:
            if order["open"] and self.chance.random() < 0.1:
                order["open"] = False
                order["facts"].append(fact(order, FactKind.FILL, "fill", quantity=10.0, price=100.0))

    def accept(self, order: object) -> dict[str, object] | None:
        """The venue takes an order, unless it knows the key; returns what it took."""
        name = order.intent.intent_id
        known = [each for each in self.orders if each["intent"] == name]
        if self.key_life is KeyLife.LIFETIME and known:
            return None
        if self.key_life is KeyLife.WHILE_OPEN and any(each["open"] for each in known):
            return None
        taken = {"intent": name, "id": f"v{len(self.orders) + 1}", "open": True, "facts": [], "at": self.now}
        taken["facts"].append(fact(taken, FactKind.ACK, "ack"))
        self.orders.append(taken)
        return taken

    def run(self, slots: list[Callable[[], None]], steps: int) -> None:
        """Let each of ``slots`` live again and again, for ``steps`` turns in bursts, then kill all."""
        current = 0
        for _ in range(steps):
            if self.chance.random() < 0.3:
                current = self.chance.randrange(len(slots))
            worker = self.running = self.workers[current]
            if not worker.busy:
                worker.take(slots[current])
            if self.chance.random() < 0.03:
                worker.kill()
            else:
                worker.resume()
            self.tick()
        for worker in self.workers:
            self.running = worker
            worker.kill()
        self.calm = True
        self.tick()

    def orders_of(self, intent: OrderIntent) -> int:
        """How many orders the venue took for one intent."""
        return sum(order["intent"] == intent.intent_id for order in self.orders)


class Line:
    """One plane's line to the venue: the broker port with loss, delay and answers from a copy that lags."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.key_life = world.key_life
        self._heard = {order["id"]: len(order["facts"]) for order in world.orders}

    def submit(self, order: object) -> list[Fact]:
        world = self._world
        world.point()
        if not world.calm:
            luck = world.chance.random()
            if luck < world.loss / 2:
                world.in_flight.append((world.now + world.chance.randrange(1, 40), order))
                raise BrokerStateUnknown("timeout")
            if luck < world.loss:
                raise BrokerStateUnknown("timeout")
            if luck > 0.97:
                raise BrokerUnavailable
            if luck > 0.94:
                raise BrokerRefused("NO: says the venue")
        taken = world.accept(order)
        world.point()
        if taken is None:
            raise BrokerStateUnknown("the venue knows this key")
        if not world.calm and world.chance.random() < world.loss:
            raise BrokerStateUnknown("the answer was lost")
        self._heard[taken["id"]] = len(taken["facts"])
        return list(taken["facts"])

    def lookup(self, intent_id: UUID) -> list[Fact] | None:
        world = self._world
        world.point()
        lag = 0 if world.calm or world.chance.random() < 0.5 else world.chance.randrange(1, 30)
        if not world.calm and world.chance.random() < 0.1:
            raise BrokerUnavailable
        found = [each for each in world.orders if each["intent"] == intent_id and each["at"] <= world.now - lag]
        world.point()
        return [each for order in found for each in order["facts"]] or None

    def drain(self) -> list[Fact]:
        news = []
        for order in self._world.orders:
            known = self._heard.get(order["id"])
            if known is not None:
                news += order["facts"][known:]
                self._heard[order["id"]] = len(order["facts"])
        return news

    def cancel(self, order: object) -> list[Fact]:
        raise BrokerRefused("NO: not here")

    def observe(self, bar: object) -> None:
        pass

    def close(self) -> None:
        pass


class OverlappingLine(Line):
    """The same line, on which orders are sent before those ahead of them are answered."""

    def dispatch(self, order: object) -> Callable[[], list[Fact]]:
        try:
            facts, trouble = self.submit(order), None
        except (BrokerRefused, BrokerStateUnknown) as problem:
            facts, trouble = [], problem

        def reply() -> list[Fact]:
            self._world.point()
            if trouble is not None:
                raise trouble
            return facts

        return reply


WRITES = ("begin", "conclude", "sign", "record_command")


class Interrupted:
    """A journal, with a point before and after each call.

    With ``fenced`` its writes are refused once another plane has opened the journal, as a database does it;
    without, nothing but the journal's own compare-and-set keeps two planes apart.
    """

    def __init__(self, journal: object, world: World, *, fenced: bool) -> None:
        self._journal = journal
        self._world = world
        self._fenced = fenced
        world.epoch += 1
        self._epoch = world.epoch

    def __getattr__(self, name: str) -> object:
        value = getattr(self._journal, name)
        if not callable(value):
            return value

        def call(*arguments: object) -> object:
            self._world.point()
            if self._fenced and name in WRITES and self._epoch != self._world.epoch:
                raise JournalError("another order plane took this journal over")
            answer = value(*arguments)
            answer = list(answer) if name == "pasts" else answer
            self._world.point()
            return answer

        return call


def consume(world: World, handle: Callable[[list[OrderIntent]], list[object]]) -> None:
    """What a pump does: poll, handle, publish, commit, and now and then be told everything again."""
    offset = world.committed
    while True:
        world.point()
        batch = world.intents[offset : offset + world.chance.randrange(1, 4)]
        said = handle(batch)
        world.point()
        world.reports += said
        world.point()
        offset += len(batch)
        world.committed = max(world.committed, offset)
        if world.calm and offset >= len(world.intents):
            return
        if world.chance.random() < 0.1 and not world.calm:
            offset = world.chance.randrange(offset + 1)
        if not batch:
            world.running.pause()


def an_intent(number: int, symbol: str, side: Side) -> OrderIntent:
    return OrderIntent(
        intent_id=UUID(int=number),
        symbol=symbol,
        direction=side,
        quantity=10.0,
        order_type=OrderType.MARKET,
        timestamp=NOON + timedelta(minutes=number),
        time_in_force=TimeInForce.GTC,
    )


def fact(order: dict[str, object], kind: FactKind, name: str, **more: float) -> Fact:
    return Fact(order["intent"], kind, f"{name}-{order['id']}", NOON, order["id"], **more)
