"""A strategy whose targets are adjusted by what prices have done lately, before an engine trades them."""

from typing import Protocol

from contracts.market import BarEvent, SliceEvent
from strategy_plane.history import AsOfView, History
from strategy_plane.strategies.port import Frequency, Portfolio, Strategy, Targets, Watchful


class Adjustment(Protocol):
    """Makes other targets of targets, from the bars in its ``history``."""

    @property
    def history(self) -> History:
        """Where every bar is kept for it."""
        ...

    @property
    def warm_up(self) -> int:
        """Moments that it needs before it knows enough."""
        ...

    def __call__(self, targets: Targets, view: AsOfView, portfolio: Portfolio) -> Targets:
        """What to hold instead of ``targets``, of which one at least is not zero, as of the moment of ``view``."""
        ...


class Adjusted:
    """Hands bars to ``inner`` and its targets to ``adjust``; without anything to hold these pass unchanged.

    No `Skimmer`, though ``inner`` may be one: what is allowed changes with every bar.
    """

    def __init__(self, inner: Strategy, adjust: Adjustment) -> None:
        self._inner = inner
        self._adjust = adjust

    @property
    def warm_up(self) -> int:
        """What the strategy or the adjustment needs, whichever is more."""
        return max(self._inner.warm_up, self._adjust.warm_up)

    @property
    def period(self) -> int | Frequency:
        """As the strategy has it."""
        return self._inner.period

    def on_bar(self, bar: BarEvent) -> None:
        """Take one bar."""
        self._adjust.history.append(bar)
        self._inner.on_bar(bar)

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """The strategy's targets, adjusted."""
        targets = self._inner.decide(moment, portfolio)
        if targets is None or not any(targets.values.values()):
            return targets
        return self._adjust(targets, self._adjust.history.as_of(moment.timestamp), portfolio)

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """What cannot wait, as the strategy says it: what is held has been adjusted already."""
        return self._inner.at_once(moment, portfolio) if isinstance(self._inner, Watchful) else None
