from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from data_plane.composition import build_stage
from data_plane.connectors.port import RawBar
from data_plane.settings import DataSettings

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)


class Run:
    """A stage under test with everything it published and found."""

    def __init__(self, **changes: object) -> None:
        given = {"sources": [{"files": ["unused"]}], "bar_size": "1min", "start": "2024-06-24", "end": "2024-07-12"}
        self.findings = []
        self.stage = build_stage(DataSettings.model_validate(given | changes), self.findings.append)
        self.published = []
        self._line = 0

    def tell(self, row):
        told = self.stage.handle(row)
        self.published += told
        return told

    def bar(self, minute, close=100.0, symbol="A", **changes):
        self._line += 1
        fields = {
            "open": close,
            "high": close,
            "low": close,
            "close": close,
            "volume": 10.0 + minute,
            "bar_size": "1min",
        }
        at = changes.pop("timestamp", OPEN + timedelta(minutes=minute))
        row = RawBar(symbol=symbol, timestamp=at, source="test.csv", line=self._line, **(fields | changes))
        return self.tell(row)

    @property
    def reasons(self):
        return [str(finding.reason) for finding in self.findings if finding.refused]


@pytest.fixture
def start() -> Callable[..., Run]:
    return Run
