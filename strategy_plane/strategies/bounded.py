"""A strategy whose targets carry bounds that a person has chosen."""

from collections.abc import Sequence
from dataclasses import replace

from contracts.market import SliceEvent
from strategy_plane.strategies.port import (
    BOUND_HELD,
    Alarm,
    Basis,
    Bound,
    Frequency,
    Portfolio,
    Strategy,
    Targets,
    Watchful,
    beyond_in_words,
)


class Bounded:
    """Adds ``bounds`` to the targets of ``inner``, which an engine holds in the end, and says when it aims beyond them.

    Units are held against them where they are priced, by the engine. No `Skimmer`, though ``inner`` may be one.
    """

    def __init__(self, inner: Strategy, bounds: Sequence[Bound]) -> None:
        self._inner = inner
        self._bounds = tuple(bounds)
        self.on_bar = inner.on_bar

    @property
    def warm_up(self) -> int:
        """As the strategy has it."""
        return self._inner.warm_up

    @property
    def period(self) -> int | Frequency:
        """As the strategy has it."""
        return self._inner.period

    def decide(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """The strategy's targets, with the bounds."""
        return self._bound(self._inner.decide(moment, portfolio))

    def at_once(self, moment: SliceEvent, portfolio: Portfolio) -> Targets | None:
        """What cannot wait, as the strategy says it, with the bounds."""
        return self._bound(self._inner.at_once(moment, portfolio)) if isinstance(self._inner, Watchful) else None

    def _bound(self, targets: Targets | None) -> Targets | None:
        if targets is None:
            return None
        alarm = targets.alarm
        beyond = beyond_in_words(self._bounds, targets.values) if targets.basis is Basis.WEIGHTS else []
        if beyond:
            told = [alarm.detail, *beyond] if alarm else beyond
            alarm = Alarm(alarm.code if alarm else BOUND_HELD, "; ".join(told))
        return replace(targets, alarm=alarm, bounds=(*targets.bounds, *self._bounds))
