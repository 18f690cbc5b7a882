"""One spelling for each symbol and one meaning for each bar's time."""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime

from domain.calendar import SessionCalendar

_SYMBOL = re.compile(r"[!-~]{1,32}")


class SymbolNames:
    """Canonical symbols: an alias as configured, otherwise the source's name in upper case without outer blanks."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = {_plain(alias): _plain(symbol) for alias, symbol in aliases.items()}

    def canonical(self, name: str) -> str | None:
        """The platform's symbol for ``name``; None when it is not 1 to 32 printable ASCII characters."""
        plain = _plain(name)
        symbol = self._aliases.get(plain, plain)
        return symbol if _SYMBOL.fullmatch(symbol) else None

    def all_canonical(self, names: Iterable[str]) -> tuple[str, ...]:
        """The platform's symbols for ``names``; raises ValueError for a name that cannot be one."""
        symbols = [(name, self.canonical(name)) for name in names]
        for name, symbol in symbols:
            if symbol is None:
                raise ValueError(f"symbol {name!r}: use 1 to 32 printable ASCII characters without blanks")
        return tuple(symbol for _, symbol in symbols if symbol is not None)


def closes_by_day(calendar: SessionCalendar) -> Mapping[date, datetime]:
    """The UTC close of every trading day: what the date of a daily bar means."""
    return dict(zip(calendar.days, calendar.closes, strict=True))


def _plain(name: str) -> str:
    return name.strip().upper()
