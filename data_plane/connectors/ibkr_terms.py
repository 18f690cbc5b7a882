"""What is subscribed at Interactive Brokers, and how patiently."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from data_plane.session_grid import step_of

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_DAY = timedelta(days=1)


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


def duration(given: datetime, told: datetime) -> str:
    """Whole days of the past to ask for at ``told``: all since the close ``given``, one when there is none."""
    if given == BEFORE_ALL:
        return "1 D"
    return f"{max(1, -(-(told - given) // _DAY)) + 1} D"
