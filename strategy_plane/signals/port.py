"""What every signal is."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from strategy_plane.history import AsOfView
from strategy_plane.market import MarketView

Scores = Mapping[str, float]
"""One number per symbol, without unit; higher means a higher expected return. Symbols not scored are absent."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a signal reads.

    Closes of ``bars`` moments, with open, high, low and volume when ``whole_bars``; rows of ``tables``; and
    ``intervals`` of order flow.
    """

    bars: int = 1
    whole_bars: bool = False
    tables: tuple[str, ...] = ()
    intervals: int = 0


class Signal(Protocol):
    """What is known of the market as one score per symbol.

    A pure function of the view: it keeps nothing, so one call on a full history and a run that was told one event
    at a time give the same scores. A symbol that cannot be scored is absent, never zero.
    """

    @property
    def inputs(self) -> Inputs:
        """What it reads; a view that keeps less cannot be scored."""
        ...

    @property
    def warm_up(self) -> int:
        """Moments of bars needed before the first score."""
        ...

    @property
    def half_life(self) -> float:
        """Moments after which half of what a score says about returns is used up."""
        ...

    def __call__(self, view: MarketView) -> Scores:
        """Score the symbols of ``view``."""
        ...


@dataclass(frozen=True, slots=True)
class OnceWarm:
    """``signal``, which is not asked before its ``warm_up`` moments have passed."""

    signal: Signal

    @property
    def inputs(self) -> Inputs:
        """What it reads, and as many moments as it waits for."""
        needed = self.signal.inputs
        return replace(needed, bars=max(needed.bars, self.warm_up))

    @property
    def warm_up(self) -> int:
        """As the signal has it, at least the moment itself."""
        return max(1, self.signal.warm_up)

    @property
    def half_life(self) -> float:
        """As the signal has it."""
        return self.signal.half_life

    def __call__(self, view: MarketView) -> Scores:
        """The signal's scores; none before."""
        return self.signal(view) if len(view.bars.panel(self.warm_up, ()).moments) == self.warm_up else {}


class BarSignal(Protocol):
    """A signal that needs closes only."""

    @property
    def warm_up(self) -> int:
        """Closes a symbol needs before it can be scored."""
        ...

    def __call__(self, view: AsOfView) -> Scores:
        """Score the symbols of ``view``."""
        ...
