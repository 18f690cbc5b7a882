"""Tell a few bad messages from a mistake that would drain a topic into its dead letters."""

from collections import deque
from collections.abc import Callable

from kernel.clock import monotonic


class StormBreaker:
    """Trips on more than ``burst`` dead letters in ``window_seconds``, or ``share`` of the last ``recent`` messages.

    The share counts once ``at_least`` messages were seen. It stays tripped until `reset`.
    """

    def __init__(
        self,
        burst: int = 20,
        window_seconds: float = 60.0,
        share: float = 0.05,
        recent: int = 1000,
        at_least: int = 200,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._burst = burst
        self._window_seconds = window_seconds
        self._share = share
        self._at_least = at_least
        self._now = now
        self._times: deque[float] = deque(maxlen=burst)
        self._verdicts: deque[bool] = deque(maxlen=recent)
        self._bad = 0
        self.reason: str | None = None
        """Why it tripped; None while it has not."""

    def good(self) -> None:
        """Count one message that could be used."""
        verdicts = self._verdicts
        if len(verdicts) == verdicts.maxlen and verdicts[0]:
            self._bad -= 1
        verdicts.append(False)

    def bad(self) -> bool:
        """Ask to dead-letter one message; False, and tripped, when that would be one too many."""
        if self.reason is None:
            self.reason = self._one_too_many()
        if self.reason is not None:
            return False
        verdicts = self._verdicts
        if not (len(verdicts) == verdicts.maxlen and verdicts[0]):
            self._bad += 1
        verdicts.append(True)
        self._times.append(self._now())
        return True

    def reset(self) -> None:
        """Start counting anew, after a person looked."""
        self._times.clear()
        self._verdicts.clear()
        self._bad = 0
        self.reason = None

    def _one_too_many(self) -> str | None:
        if len(self._times) == self._burst and self._now() - self._times[0] < self._window_seconds:
            return f"more than {self._burst} dead letters in {self._window_seconds:.0f} s"
        seen = len(self._verdicts)
        if seen >= self._at_least and self._bad + 1 > self._share * seen:
            return f"more than {self._share:.0%} of the last {seen} messages are dead letters"
        return None
