"""Which data farms are broken, from what the gateway says of them."""

import re

from ibkr_client.error_policy import FARM_BACK, FARM_BROKEN, LINK_UP, Farm
from ibkr_client.messages import Notice

_NAME = r"[a-z][\w-]*(?:\.[\w-]+)*"
_NAMED = re.compile(rf"(?::|demand\.)\s*({_NAME})\.?\s*$", re.IGNORECASE)
"""At the end of "... connection is broken:usfarm" and of "... should be available upon demand.usfarm.nj"."""
_NOT_CONNECTED = "farms are not connected:"


class Farms:
    """The farms of the ``needed`` kinds that are broken.

    A farm counts as broken for ``patience`` seconds after the gateway last said so, whatever it says later on: nobody
    waits for ever because a text was not understood. One without a name stands for its whole kind.
    """

    def __init__(self, patience: float, *needed: Farm) -> None:
        self._patience = patience
        self._needed = frozenset(needed)
        self._broken_at: dict[tuple[Farm, str], float] = {}

    def hear(self, notice: Notice, now: float) -> bool:
        """Whether data before and after ``notice`` are apart: a farm is broken, or the last broken one is back."""
        kind = FARM_BROKEN.get(notice.code)
        if kind is not None:
            if kind in self._needed:
                self._broken_at[kind, _name(notice.text)] = now
            return kind in self._needed
        broken = {farm: at for farm, at in self._broken_at.items() if not _ends(notice, *farm)}
        ended, self._broken_at = len(broken) < len(self._broken_at), broken
        return ended and not self.broken(now)

    def broken(self, now: float) -> bool:
        """Whether any is broken."""
        return any(now - at < self._patience for at in self._broken_at.values())

    def forget(self) -> None:
        """Know of none any more: a new connection is told anew."""
        self._broken_at.clear()


def _ends(notice: Notice, kind: Farm, name: str) -> bool:
    """Whether a farm is broken no longer; the link is back with all farms but those that it names."""
    if notice.code in LINK_UP:
        return name not in re.findall(_NAME, notice.text.lower().partition(_NOT_CONNECTED)[2])
    return FARM_BACK.get(notice.code) is kind and (not name or _name(notice.text) in {"", name})


def _name(text: str) -> str:
    found = _NAMED.search(text)
    return found[1].lower() if found else ""
