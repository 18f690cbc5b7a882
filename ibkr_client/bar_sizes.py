"""The sizes of bars that Interactive Brokers gives."""

from datetime import timedelta

_SECONDS = (1, 5, 10, 15, 30)
_MINUTES = (1, 2, 3, 5, 10, 15, 20, 30)


def size_name(step: timedelta | None) -> str:
    """The gateway's name of bars of length ``step``, None for a day.

    Raises:
        ValueError: for a length whose bars do not close on our grid; those above 30 minutes begin at full hours there.
    """
    if step is None:
        return "1 day"
    seconds = int(step.total_seconds())
    if seconds in _SECONDS:
        return f"{seconds} secs"
    if not seconds % 60 and seconds // 60 in _MINUTES:
        return "1 min" if seconds == 60 else f"{seconds // 60} mins"
    raise ValueError("Interactive Brokers gives bar_size 1d, and 1s to 30s or 1min to 30min of some sizes")
