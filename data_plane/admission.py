"""What decides on bars, trades and quotes alike whether a symbol's row may come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from data_plane.completeness import ALWAYS, Listing
from data_plane.connectors.port import RawBar, RawFact, RawQuote, RawTick
from data_plane.corporate_actions import Effect
from data_plane.normalize import SymbolNames
from data_plane.quality import Finding, Horizon, Limits, Reason


@dataclass(frozen=True, slots=True)
class Admission:
    """Names, universe, corporate actions and limits of a run.

    ``universe`` holds the symbols wanted with their listings, all symbols when it is empty; ``report`` is told every
    finding. No row is later than ``horizon``.
    """

    names: SymbolNames
    universe: Mapping[str, Listing]
    effects: Mapping[str, Sequence[Effect]]
    limits: Limits
    report: Callable[[Finding], None]
    horizon: Horizon = field(default_factory=Horizon)

    def wants(self, symbol: str) -> bool:
        """Whether rows of ``symbol`` were asked for."""
        return not self.universe or symbol in self.universe

    def listing(self, symbol: str) -> Listing:
        """When ``symbol`` may trade."""
        return self.universe.get(symbol, ALWAYS)

    def symbol_of(self, row: RawBar | RawTick | RawQuote | RawFact) -> str | None:
        """The row's canonical symbol; None, and a finding, when it has none."""
        symbol = self.names.canonical(row.symbol)
        if symbol is None:
            self.refuse(row, "", Reason.SCHEMA, "the symbol is not 1 to 32 printable ASCII characters")
        return symbol

    def too_late(self, row: RawBar | RawTick | RawQuote | RawFact, symbol: str, at: datetime) -> bool:
        """Whether ``at``, when ``row`` happened, has not come yet, which is then a finding."""
        if self.horizon.holds(at):
            return False
        self.refuse(row, symbol, Reason.FUTURE, "its time has not come yet")
        return True

    def refuse(self, row: RawBar | RawTick | RawQuote | RawFact, symbol: str, reason: Reason, detail: str) -> tuple[()]:
        """Report that ``row`` goes no further; nothing is published for it."""
        self.report(Finding(row.source, row.line, symbol, reason, detail))
        return ()
