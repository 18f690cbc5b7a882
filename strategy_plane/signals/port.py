"""What every signal is."""

from collections.abc import Mapping
from typing import Protocol

from strategy_plane.history import AsOfView


class Signal(Protocol):
    """A view of the market as one score per symbol; higher means a higher expected return.

    Scores have no unit. A symbol that cannot be scored is absent, never zero.
    """

    @property
    def warm_up(self) -> int:
        """Closes a symbol needs before it can be scored."""
        ...

    def __call__(self, view: AsOfView) -> Mapping[str, float]:
        """Score the symbols of ``view``."""
        ...
