"""What decides on bars, trades and quotes alike whether a symbol's row may come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data_plane.completeness import ALWAYS, Listing
from data_plane.connectors.port import RawBar, RawFact, RawQuote, RawTick
from data_plane.corporate_actions import Effect
from data_plane.normalize import SymbolNames
from data_plane.quality import Finding, Limits, Reason


@dataclass(frozen=True, slots=True)
class Admission:
    """Names, universe, corporate actions and limits of a run.

    ``universe`` holds the symbols wanted with their listings, all symbols when it is empty; ``report`` is told every
    finding.
    """

    names: SymbolNames
    universe: Mapping[str, Listing]
    effects: Mapping[str, Sequence[Effect]]
    limits: Limits
    report: Callable[[Finding], None]

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

    def refuse(self, row: RawBar | RawTick | RawQuote | RawFact, symbol: str, reason: Reason, detail: str) -> tuple[()]:
        """Report that ``row`` goes no further; nothing is published for it."""
        self.report(Finding(row.source, row.line, symbol, reason, detail))
        return ()
