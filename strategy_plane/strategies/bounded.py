"""A strategy whose targets carry bounds that a person has chosen."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Real

from pydantic import TypeAdapter, ValidationError

from contracts.base import Symbol
from contracts.market import SliceEvent
from strategy_plane.strategies.port import (
    BOUND_HELD,
    LARGEST_WEIGHT,
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

_LARGEST = {Basis.WEIGHTS: LARGEST_WEIGHT, Basis.UNITS: 1e15}
_SYMBOL: TypeAdapter[str] = TypeAdapter(Symbol)


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
        if not isinstance(targets, Targets):
            own, given = type(self._inner), type(targets).__name__
            raise TypeError(
                f"{own.__module__}:{own.__name__}: decide must return Targets or None, and returned a {given}"
            )
        targets = _possible(targets)
        alarm = targets.alarm
        beyond = beyond_in_words(self._bounds, targets.values) if targets.basis is Basis.WEIGHTS else []
        if beyond:
            told = [alarm.detail, *beyond] if alarm else beyond
            alarm = Alarm(alarm.code if alarm else BOUND_HELD, "; ".join(told))
        return replace(targets, alarm=alarm, bounds=(*targets.bounds, *self._bounds))


def _possible(targets: Targets) -> Targets:
    """``targets`` but for names that no symbol has; none at all when one is of no size that a position can have."""
    largest = _LARGEST[targets.basis]
    wrong = [name for name, value in targets.values.items() if not (isinstance(value, Real) and abs(value) <= largest)]
    if wrong:
        told = f"the target for {ascii(wrong[0])[:40]} is no number that a position can have"
        return Targets({}, alarm=Alarm("INVALID_TARGET", told))
    values = {name: value for name, value in targets.values.items() if _is_symbol(name)}
    if len(values) == len(targets.values):
        return targets
    few = ", ".join(ascii(name)[:40] for name in targets.values if name not in values)[:200]
    return replace(targets, values=values, alarm=targets.alarm or Alarm("INVALID_TARGET", f"no symbol is named {few}"))


def _is_symbol(name: str) -> bool:
    try:
        _SYMBOL.validate_python(name)
    except ValidationError:
        return False
    return True
