"""The gateway's limits on how fast a client may ask."""

from collections import deque

_SECOND = 1.0
_IDENTICAL_SECONDS, _BURST_SECONDS, _WINDOW_SECONDS = 15.0, 2.0, 600.0
_BURST, _WINDOW = 6, 60
_STRIKES = 3


class MessageRate:
    """At most ``limit`` messages in any second; 0 means no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[float] = deque()
        self.violations = 0

    def admit(self, now: float) -> bool:
        """Whether a message at ``now`` (seconds) is within the limit; one that is not does not count."""
        if not self._limit:
            return True
        times = self._times
        while times and now - times[0] >= _SECOND:
            times.popleft()
        if len(times) >= self._limit:
            self.violations += 1
            return False
        times.append(now)
        return True

    @property
    def struck_out(self) -> bool:
        """Whether the connection is to be closed: the third violation."""
        return self.violations >= _STRIKES


class HistoryPace:
    """The rules for historical bars of 30 seconds or less: identical, bursts, and sixty in ten minutes."""

    def __init__(self) -> None:
        self._identical: dict[tuple[str, ...], float] = {}
        self._window: deque[float] = deque()
        self._bursts: dict[tuple[str, ...], deque[float]] = {}
        self.violations = 0

    def admit(self, now: float, identity: tuple[str, ...], series: tuple[str, ...], weight: int) -> bool:
        """Whether the request may be answered.

        ``identity`` is all of the request, ``series`` its contract, exchange and kind of tick; ``weight`` is 2 for
        BID_ASK, which counts twice.
        """
        burst = self._bursts.setdefault(series, deque())
        _forget(burst, now, _BURST_SECONDS)
        _forget(self._window, now, _WINDOW_SECONDS)
        last = self._identical.get(identity)
        refused = (
            (last is not None and now - last < _IDENTICAL_SECONDS)
            or len(burst) + weight >= _BURST
            or len(self._window) + weight > _WINDOW
        )
        if refused:
            self.violations += 1
            return False
        self._identical[identity] = now
        burst.extend([now] * weight)
        self._window.extend([now] * weight)
        return True


class Budget:
    """At most ``limit`` events in ``seconds``."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._times: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Whether one more is allowed at ``now``."""
        _forget(self._times, now, self._seconds)
        if len(self._times) >= self._limit:
            return False
        self._times.append(now)
        return True


def _forget(times: deque[float], now: float, seconds: float) -> None:
    while times and now - times[0] >= seconds:
        times.popleft()
