"""Bars that are kept up to date, whatever becomes of link and farms: each once, in order, and never in part."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from market_scripts import happen, let_pass

from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_live import UpdatedBars
from data_plane.connectors.ibkr_terms import LiveTerms
from ibkr_client.connection import RequestRefused
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import HistoryBar, Notice

START = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FARMS = {2103: "usfarm", 2105: "ushmds"}
"""One of market data and one of history, by the notice that they are broken; each notice is also told of others."""


class Known(Contracts):
    """Finds every symbol."""

    async def qualified(self, connection, symbol):
        return Qualified(1, symbol, ContractTerms(), ((0.0, 0.01),), 1.0)


class World:
    """A market with a symbol that trades, a gateway that loses things, and what the bars should be.

    What a subscription tells of its open bar is what its answer had and the trades that it has seen since.
    """

    def __init__(self):
        self.now = START + timedelta(seconds=20)
        self.volumes, self.given, self.lines, self.number = {}, [], {}, 0
        self.link, self.broken = True, set()
        terms = LiveTerms(("AAPL",), "1min", again_seconds=0.0)
        self.bars = UpdatedBars(terms, Known({}), self.given.append, lambda: self.now, HistoryPacer())
        self.bars.begin_after({"AAPL": START})

    @property
    def minute(self):
        return (self.now - START) // MINUTE

    def bar(self, minute, volume):
        return HistoryBar(str(int((START + minute * MINUTE).timestamp())), 10, 11, 9, 10, volume)

    async def keep_bars(self, *rest):
        await asyncio.sleep(0)
        if not self.link or "ushmds" in self.broken:
            raise RequestRefused(162, "HMDS connection attempt failed")
        self.number += 1
        self.lines[self.number] = dict(self.volumes)
        return self.number, [self.bar(minute, volume) for minute, volume in self.volumes.items()]

    async def cancel_bars(self, number):
        await asyncio.sleep(0)
        self.lines.pop(number, None)

    def trade(self, size):
        minute = self.minute
        self.volumes[minute] = self.volumes.get(minute, 0.0) + size
        for number, line in [*self.lines.items()]:
            if self.link and "usfarm" not in self.broken:
                line[minute] = line.get(minute, 0.0) + size
                self.bars.bar_update(number, self.bar(minute, line[minute]))

    def breaks(self, code):
        self.broken.add(FARMS[code])
        self.bars.notice(Notice(-1, code, f"data farm connection is broken:{FARMS[code]}"))

    def is_back(self, code):
        if self.link and FARMS[code] in self.broken:
            self.broken.remove(FARMS[code])
            self.bars.notice(Notice(-1, code + 1, f"data farm connection is OK:{FARMS[code]}"))

    def another(self, code):
        self.bars.notice(Notice(-1, code + 1, "data farm connection is OK:cashfarm"))

    def link_down(self, code):
        self.link = False
        self.bars.notice(Notice(-1, 1100, ""))

    async def link_back(self, code):
        if self.link:
            return
        self.link = True
        if code == 2103:
            self.bars.lost()
            self.lines.clear()
            self.broken.clear()
        else:
            names = "; ".join(sorted(self.broken))
            self.bars.notice(Notice(-1, 1102, f"The following farms are not connected: {names}."))
        await self.bars.greet(self)

    def ends(self, code):
        for number in [*self.lines]:
            del self.lines[number]
            self.bars.notice(Notice(number, 10182, "Failed to request live updates"))

    def trades(self, code):
        self.trade(2.0)

    async def passes(self, seconds):
        await let_pass(self, seconds, 8)

    async def well(self, minutes):
        """Everything is back, and the symbol trades every minute."""
        await self.link_back(0)
        for code in FARMS:
            self.is_back(code)
        for _ in range(minutes):
            self.trade(1.0)
            await self.passes(60)


HAPPENINGS = (
    *(World.trades,) * 6,
    *(World.breaks, World.is_back, World.another, World.link_down, World.link_back, World.ends),
)
happenings = st.tuples(st.sampled_from(HAPPENINGS), st.sampled_from([*FARMS]), st.sampled_from([0, 0, 7, 21, 60]))


@settings(deadline=None, max_examples=200)
@given(st.lists(happenings, max_size=40))
def test_every_bar_comes_once_and_never_in_part(script):
    world = World()

    async def play():
        await world.bars.greet(world)
        await world.well(2)
        await happen(world, script)
        await world.well(4)

    asyncio.run(play())
    last = world.minute - 2
    bars = [((row.timestamp - START) // MINUTE - 1, row.volume) for row in world.given]
    assert [bar for bar in bars if bar[0] < last] == [bar for bar in world.volumes.items() if bar[0] < last]
    assert len(world.lines) == 1
