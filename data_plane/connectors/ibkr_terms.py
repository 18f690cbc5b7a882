"""What is subscribed at Interactive Brokers, and how patiently."""

from dataclasses import dataclass
from datetime import timedelta

from data_plane.session_grid import step_of


@dataclass(frozen=True, slots=True)
class LiveTerms:
    """What is subscribed, and how patiently.

    ``grace`` is how long after its end a bar that was followed by none counts as closed; a symbol of which nothing was
    heard for ``stale_seconds`` is asked for again, and one that was refused, or ended with an error, after
    ``again_seconds``. The gateway takes one request for the trades of a symbol in ``apart_seconds``.
    """

    symbols: tuple[str, ...]
    bar_size: str
    grace: timedelta = timedelta(seconds=5)
    stale_seconds: float = 600.0
    again_seconds: float = 60.0
    apart_seconds: float = 15.5

    @property
    def step(self) -> timedelta:
        """The length of a bar.

        Raises:
            ValueError: for daily bars.
        """
        step = step_of(self.bar_size)
        if step is None:
            raise ValueError("daily bars are history: use an intraday bar_size for live bars")
        return step
