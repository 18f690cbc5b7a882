"""What each signal of an ensemble would have shown over the whole of a source."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from rich.table import Table

from backtest.summary import JSON
from data_plane.composition import build_connector, generated_tables
from data_plane.composition import build_stage as build_data_stage
from data_plane.settings import DataSettings
from strategy_plane.ensemble.brain import Entry
from strategy_plane.ensemble.information import Summary
from strategy_plane.ensemble_composition import build_observer
from strategy_plane.regime.model import Regime
from strategy_plane.settings import SignalEnsembleSettings

_COLUMNS: Mapping[str, Callable[[Summary], str]] = {
    "labels": lambda found: f"{found.observations:,}",
    "IC": lambda found: f"{found.mean:+.3f}",
    "ICIR": lambda found: f"{found.ratio:+.2f}",
    "t": lambda found: f"{found.statistic:+.1f}",
    "earned a year": lambda found: f"{found.earned:+.1%}",
    "turnover": lambda found: f"{found.turnover:.2f}",
    "contribution": lambda found: f"{found.contribution:+.3%}",
}
_NOTE = "Earned and contribution are hypothetical and before costs; contributions do not add up to a run's return."


UNKNOWN = "UNKNOWN"
"""What a regime that could not be told is called."""


@dataclass(frozen=True, slots=True)
class SignalStudy:
    """Summaries by signal, and what was known and trusted at each moment of scoring.

    ``generated`` names the tables whose values are made up: what signals earn from them is luck.
    """

    summaries: Mapping[str, Summary]
    diary: Sequence[Entry]
    generated: Sequence[str] = ()

    def regimes(self) -> list[tuple[str, str, str]]:
        """Spans of one regime: its name, when it began, and when the next began or the study ended (ISO 8601).

        The name is `UNKNOWN` while none could be told and the tightest gate held.
        """
        firsts = [next(entries) for _, entries in groupby(self.diary, key=_name)]
        ends = [entry.moment.isoformat() for entry in [*firsts[1:], *self.diary[-1:]]]
        return [(_name(entry), entry.moment.isoformat(), end) for entry, end in zip(firsts, ends, strict=True)]

    def shares(self) -> dict[str, float]:
        """The share of the moments of scoring that was spent in each regime."""
        counts = Counter(map(_name, self.diary))
        return {str(name): counts[name] / len(self.diary) for name in (*Regime, UNKNOWN) if counts[name]}

    def as_json(self) -> dict[str, JSON]:
        """Everything as plain values; a figure that cannot be computed is null."""
        return {
            "signals": {
                name: {figure: value if math.isfinite(value) else None for figure, value in asdict(found).items()}
                for name, found in self.summaries.items()
            },
            "regimes": [list(span) for span in self.regimes()],
            "generated": list(self.generated),
            "weights": [[entry.moment.isoformat(), dict(entry.weights)] for entry in self.diary],
        }

    def table(self) -> Table:
        """One row for each signal."""
        table = Table("signal", *_COLUMNS, title="What each signal has shown", caption=_NOTE)
        for name, found in self.summaries.items():
            table.add_row(name, *(show(found) for show in _COLUMNS.values()))
        return table


def _name(entry: Entry) -> str:
    return entry.regime.value if entry.regime else UNKNOWN


def study(data: DataSettings, chosen: SignalEnsembleSettings, traded: Callable[[str], bool]) -> SignalStudy:
    """Score the signals of ``chosen`` over what the source has of ``traded`` symbols; no order is made."""
    observer = build_observer(chosen, traded)
    for messages in build_data_stage(data).play(build_connector(data).blocks()):
        observer.note(messages, 0, len(messages))
    return SignalStudy(observer.summaries(), observer.diary, generated_tables(data))
