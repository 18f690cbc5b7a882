"""Bars of trades whatever becomes of the link, the farms and the lines: each bar once, in order, and never in part."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from market_scripts import happen, let_pass

from data_plane.bars import TickAggregator
from data_plane.connectors.ibkr_history import HistoryPacer
from data_plane.connectors.ibkr_terms import LiveTerms
from data_plane.connectors.ibkr_trades import Building, TradeBars
from data_plane.connectors.port import RawBar, RawTick
from data_plane.session_grid import SessionGrid
from domain.calendar import always_open
from ibkr_client.contracts import Contracts, ContractTerms, Qualified
from ibkr_client.messages import HistoryBar, Notice, Trade

START = datetime(2024, 7, 10, 13, 30, tzinfo=UTC)
SYMBOLS = ("AAPL", "IBM")
MINUTE = timedelta(minutes=1)
FARMS = "usfarm", "eufarm"
OK, BROKEN = "Market data farm connection is OK:", "Market data farm connection is broken:"


class Known(Contracts):
    """Finds every symbol; its number is its place."""

    async def qualified(self, connection, symbol):
        return Qualified(SYMBOLS.index(symbol), symbol, ContractTerms(), ((0.0, 0.01),), 1.0)


class World:
    """A market with trades, a gateway that loses things, and what the bars of it should be.

    Trades reach a line only while the link, the farm of its symbol and the line itself are well; the past knows all.
    """

    def __init__(self):
        self.now = START + timedelta(seconds=20)
        self.volumes = {symbol: {} for symbol in SYMBOLS}
        self.given = {symbol: [] for symbol in SYMBOLS}
        self.seen = {symbol: 0.0 for symbol in SYMBOLS}
        self.lines, self.dead, self.number = {}, set(), 0
        self.link, self.market, self.past, self.in_part = True, set(), True, set()
        grid = SessionGrid(always_open(date(2024, 7, 1), date(2024, 7, 31)), "1min")
        terms = LiveTerms(SYMBOLS, "1min", stale_seconds=300.0, again_seconds=0.0, apart_seconds=0.0)
        building = Building(grid, TickAggregator(grid, "1min"))
        self.bars = TradeBars(terms, building, Known({}), self.give, lambda: self.now, HistoryPacer())
        self.bars.begin_after(dict.fromkeys(SYMBOLS, START))

    def give(self, row):
        if isinstance(row, RawBar):
            self.given[row.symbol].append(((row.timestamp - START) // MINUTE, row.volume))
        elif isinstance(row, RawTick):
            self.seen[row.symbol] += row.size
        self.bars.on_time()

    async def subscribe_trades(self, contract_id, exchange):
        await asyncio.sleep(0)
        self.number += 1
        assert contract_id not in self.lines.values()
        self.lines[self.number] = contract_id
        return self.number

    async def cancel_trades(self, number):
        await asyncio.sleep(0)
        del self.lines[number]

    async def history(self, contract_id, *rest):
        await asyncio.sleep(0)
        if not (self.link and self.past):
            raise TimeoutError
        begun = (self.now - START) // MINUTE
        known = self.volumes[SYMBOLS[contract_id]].items()
        return [
            HistoryBar(str(int((START + minute * MINUTE).timestamp())), 10, 11, 9, 10, volume)
            for minute, volume in sorted(known)
            if minute <= begun
        ]

    def trade(self, symbol, size):
        minute = (self.now - START) // MINUTE
        self.volumes[symbol][minute] = self.volumes[symbol].get(minute, 0.0) + size
        for number, contract_id in [*self.lines.items()]:
            well = self.link and FARMS[contract_id] not in self.market and number not in self.dead
            if contract_id == SYMBOLS.index(symbol) and well:
                self.bars.trade(Trade(number, self.now.replace(microsecond=0), 10.0, size))

    def farm(self, which):
        self.market.add(FARMS[which])
        self.bars.notice(Notice(-1, 2103, BROKEN + FARMS[which]))

    def farm_back(self, which):
        if FARMS[which] in self.market and self.link:
            self.market.remove(FARMS[which])
            self.bars.notice(Notice(-1, (2104, 2108)[which], OK + FARMS[which]))

    def past_farm(self, which):
        self.past = bool(which)
        self.bars.notice(Notice(-1, 2107 if which else 2105, "HMDS data farm connection is so:ushmds"))

    def noise(self, which):
        self.bars.notice(Notice(-1, (2119, 2158)[which], "Market data farm is connecting:usfarm"))

    def link_down(self, which):
        self.link = False
        self.bars.notice(Notice(-1, 1100, ""))

    def line_dies(self, which):
        """Without a word: nobody can know what its last bar lacks."""
        self.dead |= {number for number, contract_id in self.lines.items() if contract_id == which}
        self.in_part.add((SYMBOLS[which], (self.now - START) // MINUTE + 1))

    def line_ends(self, which):
        for number in [number for number, contract_id in self.lines.items() if contract_id == which]:
            self.dead.add(number)
            self.bars.notice(Notice(number, 10197, "no"))

    def trades(self, which):
        self.trade(SYMBOLS[which], 1.0 + which)

    async def link_back(self, which):
        """With a new connection everything is well, and else but for the farms that are named."""
        if self.link:
            return
        self.link = True
        if which:
            self.bars.lost()
            self.lines.clear()
            self.market.clear()
            self.past = True
        else:
            broken = [*sorted(self.market), *([] if self.past else ["ushmds"])]
            named = f"The following farms are not connected: {'; '.join(broken)}."
            self.bars.notice(Notice(-1, 1102, named))
        await self.bars.greet(self)

    async def passes(self, seconds):
        await let_pass(self, seconds, 6)

    async def well(self, minutes):
        """Everything is told to be back, and both symbols trade every minute."""
        await self.link_back(0)
        for which in (0, 1):
            self.farm_back(which)
        self.past_farm(1)
        for _ in range(minutes):
            for symbol in SYMBOLS:
                self.trade(symbol, 1.0)
            await self.passes(60)


HAPPENINGS = (
    *(World.trades,) * 8,
    *(World.farm, World.farm_back, World.past_farm, World.noise),
    *(World.link_down, World.link_back, World.line_dies, World.line_ends),
)
happenings = st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 1), st.sampled_from([0, 0, 7, 21, 60, 200]))


@settings(deadline=None, max_examples=200)
@given(st.lists(happenings, max_size=40))
def test_every_bar_comes_once_and_never_in_part(script):
    world = World()

    async def play():
        await world.bars.greet(world)
        await world.well(3)
        await happen(world, script)
        await world.well(14)  # longer than a line that died stays unmissed

    asyncio.run(play())
    last = (world.now - START) // MINUTE - 3
    for place, symbol in enumerate(SYMBOLS):
        true = {minute + 1: volume for minute, volume in sorted(world.volumes[symbol].items()) if minute < last}
        bars = [bar for bar in world.given[symbol] if bar[0] <= last]
        assert [minute for minute, _ in bars] == [*true]
        assert [bar for bar in bars if (symbol, bar[0]) not in world.in_part and bar[1] != true[bar[0]]] == []
        assert [*world.lines.values()].count(place) == 1
        assert world.seen[symbol] <= sum(world.volumes[symbol].values())
