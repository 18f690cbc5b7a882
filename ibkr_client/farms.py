"""Which data farms are broken, from what the gateway says of them."""

import re
from math import inf

from ibkr_client.error_policy import FARM_BACK, FARM_BROKEN, LINK_UP, Farm
from ibkr_client.messages import Notice

_NAME = r"[a-z][\w-]*(?:\.[\w-]+)*"
_NAMED = re.compile(rf"(?::|demand\.)\s*({_NAME})\.?\s*$", re.IGNORECASE)
"""At the end of "... connection is broken:usfarm" and of "... should be available upon demand.usfarm.nj"."""
_NOT_CONNECTED = "farms are not connected:"


class Farms:
    """The farms of the ``needed`` kinds that are broken.

    A farm counts as broken for ``patience`` seconds after the gateway first said so, however often it repeats that:
    nobody waits for ever because a text was not understood, or for a farm that no data come from. What is said again
    after a silence as long is news. A farm without a name stands for its whole kind.
    """

    def __init__(self, patience: float, *needed: Farm) -> None:
        self._patience = patience
        self._needed = frozenset(needed)
        self._broken: dict[tuple[Farm, str], tuple[float, float]] = {}
        """When the gateway said it first, and last."""

    def hear(self, notice: Notice, now: float) -> bool:
        """Whether data before and after ``notice`` are apart: a farm is broken, or the last broken one is back."""
        kind = FARM_BROKEN.get(notice.code)
        if kind is not None:
            return kind in self._needed and self._breaks((kind, _name(notice.text)), now)
        broken = {farm: times for farm, times in self._broken.items() if not _ends(notice, *farm)}
        ended, self._broken = len(broken) < len(self._broken), broken
        return ended and not self.broken(now)

    def broken(self, now: float) -> bool:
        """Whether any is broken."""
        return any(now - first < self._patience for first, _ in self._broken.values())

    def forget(self) -> None:
        """Know of none any more: a new connection is told anew."""
        self._broken.clear()

    def _breaks(self, farm: tuple[Farm, str], now: float) -> bool:
        first, last = self._broken.get(farm, (now, -inf))
        news = now - last >= self._patience
        self._broken[farm] = now if news else first, now
        return news


def _ends(notice: Notice, kind: Farm, name: str) -> bool:
    """Whether a farm is broken no longer; the link is back with all farms but those that it names."""
    if notice.code in LINK_UP:
        return name not in re.findall(_NAME, notice.text.lower().partition(_NOT_CONNECTED)[2])
    return FARM_BACK.get(notice.code) is kind and (not name or _name(notice.text) in {"", name})


def _name(text: str) -> str:
    found = _NAMED.search(text)
    return found[1].lower() if found else ""
