"""How moments are spelled."""

from datetime import datetime
from functools import lru_cache


def text_of(at: datetime) -> str:
    """``at.isoformat()``, remembered when it is in UTC: one order writes the same moment a dozen times."""
    # Moments of other zones are equal to one in UTC and spelled otherwise.
    return at.isoformat() if at.utcoffset() else _spelled(at)


@lru_cache(maxsize=1024)
def _spelled(at: datetime) -> str:
    return at.isoformat()
