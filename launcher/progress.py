"""How a run goes, while it goes: two lines that stay in place in a terminal, plain lines in a file or pipe."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kernel.clock import monotonic

if TYPE_CHECKING:
    from data_plane.connectors.ibkr_history import Step

LINE_SECONDS = 5.0
"""Least time between two lines where lines cannot be replaced."""
_REFRESH_SECONDS = 0.25
_BAR_WIDTH = 40
_NAMED = 3
"""How many symbols, or reasons, are named in one line."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What has happened so far.

    Equity is in account currency, ``backfill`` there while one is under way; ``refused`` counts rows and ``rejected``
    intents by reason, ``halted`` are symbols, and ``without_gateway`` the planes that have lost theirs.
    """

    bars: int
    intents: int
    fills: int
    dead_letters: int
    equity: float
    backfill: "Step | None" = None
    refused: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    halted: tuple[str, ...] = ()
    without_gateway: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"{self.bars:,} bars  {self.intents:,} intents  {self.fills:,} fills  "
            f"{self.dead_letters:,} dead letters  {self._quarantine()}equity {self.equity:,.0f}"
        )

    @property
    def trouble(self) -> str:
        """What keeps the run from trading; empty while nothing does."""
        reasons = [reason for reason, _ in self.rejected.most_common(_NAMED)]
        found = [f"{self.rejected.total():,} refused ({', '.join(reasons)})"] if reasons else []
        if self.halted:
            found.append(f"{len(self.halted)} halted ({', '.join(self.halted[:_NAMED])})")
        if self.without_gateway:
            found.append(f"no gateway: {', '.join(self.without_gateway)}")
        return "  ".join(found)

    def _quarantine(self) -> str:
        """How many rows were refused, with the reason of most; nothing when none was."""
        most = self.refused.most_common(1)
        return f"{self.refused.total():,} quarantined ({most[0][0]})  " if most else ""


Show = Callable[[Counts], None]


class Pace:
    """How long a run of ``total`` bars has gone on and will go on, both in seconds."""

    def __init__(self, total: int | None, now: Callable[[], float] = monotonic) -> None:
        self.total = total
        self._now = now
        self._began = now()
        self._first: tuple[float, int] | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._now() - self._began

    def left(self, bars: int) -> float | None:
        """Seconds left at the rate so far; None while that is unknown."""
        if self._first is None:
            if bars:
                self._first = (self._now(), bars)
            return None
        began, first = self._first
        if self.total is None or bars <= first:
            return None
        return max(0, self.total - bars) * (self._now() - began) / (bars - first)

    def text(self, bars: int) -> str:
        """Share done and time left; the time gone by when the total is unknown."""
        if self.total is None:
            return f"{clock(self.elapsed)} up"
        share = min(1.0, bars / self.total) if self.total else 1.0
        left = self.left(bars)
        return f"{share:4.0%}" if left is None else f"{share:4.0%}  {clock(left)} left"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def shown(console: Console, total: int | None) -> Iterator[Show]:
    """Show the counts that the yielded function is given, as often as a reader can follow."""
    pace, backfill = Pace(total), Backfill()
    if console.is_terminal and not console.is_dumb_terminal:
        with (
            Live(console=console, auto_refresh=False) as live,
            _seldom(_REFRESH_SECONDS, lambda counts: live.update(_panel(pace, backfill, counts), refresh=True)) as show,
        ):
            yield show
    else:
        say = console.print
        with _seldom(LINE_SECONDS, lambda counts: say(_line(pace, counts), markup=False, soft_wrap=True)) as show:
            yield show


class Backfill:
    """Shows how far a back-fill is; the time left is that of its windows at the rate so far."""

    def __init__(self) -> None:
        self._pace = Pace(None)

    def panel(self, step: "Step") -> Group:
        """A bar of the windows, and a line of what it fetches."""
        if self._pace.total != step.of:
            self._pace = Pace(step.of)
        what = f"back-fill: {step.symbols} of {step.of_symbols} symbols  {step.bars:,} bars"
        if step.held_back > 0:
            what += f"  waiting {clock(step.held_back)} for the gateway's pacing rules"
        return Group(_bar(self._pace, step.done), Text(what, no_wrap=True, overflow="ellipsis"))


@contextmanager
def terminal_backfill() -> "Iterator[Callable[[Step], None] | None]":
    """Shows a back-fill on standard error where that is a terminal; yields None where it is not."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield None
        return
    shown, live = Backfill(), Live(console=console, auto_refresh=False, transient=True)

    def show(step: "Step") -> None:
        if step.done < step.of:
            live.start()
            live.update(shown.panel(step), refresh=True)
        else:
            live.stop()

    try:
        yield show
    finally:
        live.stop()


def _panel(pace: Pace, backfill: Backfill, counts: Counts) -> Group:
    below = Text(
        str(counts), "yellow" if counts.dead_letters or counts.refused else "", no_wrap=True, overflow="ellipsis"
    )
    if counts.backfill is not None and counts.backfill.of:
        return Group(backfill.panel(counts.backfill), below)
    trouble = [Text(counts.trouble, "yellow", no_wrap=True, overflow="ellipsis")] if counts.trouble else []
    return Group(_bar(pace, counts.bars), below, *trouble)


def _bar(pace: Pace, done: int) -> Table:
    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(
        total=pace.total or None, completed=min(done, pace.total or 0), width=_BAR_WIDTH, pulse=pace.total is None
    )
    head.add_row(bar, Text(pace.text(done)))
    return head


def _line(pace: Pace, counts: Counts) -> str:
    return "  ".join(filter(None, (pace.text(counts.bars), str(counts), counts.trouble)))


@contextmanager
def _seldom(seconds: float, draw: Show) -> Iterator[Show]:
    """Draws at most every ``seconds``, and what came last at the end."""
    due = float("-inf")
    left_out: Counts | None = None

    def maybe(counts: Counts) -> None:
        nonlocal due, left_out
        now = monotonic()
        if now < due:
            left_out = counts
            return
        due, left_out = now + seconds, None
        draw(counts)

    yield maybe
    if left_out is not None:
        draw(left_out)
