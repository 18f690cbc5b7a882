import pytest
from pydantic import ValidationError

from data_plane.composition import build_connector, build_stage
from data_plane.settings import DataSettings, PaceMode, PaceSettings

SOURCE = {"files": ["fixtures/bars/AAPL.parquet"]}


def test_one_source_is_enough_to_run():
    settings = DataSettings(sources=[SOURCE], end="2000-03-10")
    stage = build_stage(settings)
    messages = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    assert len(messages) == 8 + 7
    assert settings.pace.mode is PaceMode.WINDOW


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": []}, "sources"),
        ({"ibkr": {}}, "one of the two"),
        ({"sources": [], "ibkr": {}}, "symbols must name"),
        ({"sources": [], "ibkr": {}, "symbols": ["A"]}, "1d is history"),
        ({"sources": [], "ibkr": {}, "symbols": ["A"], "bar_size": "1h"}, "bar_size 1d, and"),
        (
            {"sources": [], "ibkr": {"bars": "trades"}, "symbols": list("ABCDEF"), "bar_size": "1min"},
            "need 6 of ibkr.trade_lines",
        ),
        (
            {"sources": [], "ibkr": {"quotes": True, "lines": 1}, "symbols": ["A", "B"], "bar_size": "1min"},
            "ibkr.lines allows 1",
        ),
        (
            {"sources": [], "ibkr": {}, "symbols": [f"S{number}" for number in range(51)], "bar_size": "1min"},
            "keeps 50 series of bars up to date",
        ),
        ({"bar_size": "2d"}, "1d for one session"),
        ({"bar_size": "soon"}, "bar_size"),
        ({"order_flow_interval": "3d"}, "1d for one session"),
        ({"start": "2020-01-02", "end": "2020-01-01"}, "end must not be before start"),
        ({"listings": {"A": {}}, "symbols": ["B"]}, "not in symbols: A"),
        ({"symbols": ["A"], "listings": {"A": {"first": "2020-01-02", "last": "2020-01-01"}}}, "before first"),
        ({"gates": {"stale_repeats": 1}}, "at least 2"),
        ({"gates": {"outlier_return": 1.0}}, "outlier_return"),
        ({"symbol": ["A"]}, "symbol"),
        ({"pace": {"mode": "warp"}}, "mode"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(changes, message):
    with pytest.raises(ValidationError, match=message):
        DataSettings.model_validate({"sources": [SOURCE]} | changes)


def test_pattern_without_a_file_is_named():
    settings = DataSettings(sources=[{"files": ["fixtures/bars/NOBODY*.parquet"]}])
    with pytest.raises(FileNotFoundError, match="NOBODY"):
        build_connector(settings)


def test_patterns_may_be_absolute(tmp_path):
    (tmp_path / "X.csv").write_text("timestamp,open,high,low,close,volume\n2024-07-01,1,1,1,1,1\n")
    rows = build_connector(DataSettings(sources=[{"files": [str(tmp_path / "*.csv")]}])).rows()
    assert [row.symbol for row in rows] == ["X"]


@pytest.mark.parametrize(
    ("changes", "message"), [({"calendar": "XNOPE"}, "XNOPE"), ({"symbols": ["two words"]}, "two words")]
)
def test_stage_that_cannot_be_built_says_why(changes, message):
    with pytest.raises(ValueError, match=message):
        build_stage(DataSettings.model_validate({"sources": [SOURCE]} | changes))


def test_pace_has_safe_defaults():
    assert PaceSettings() == PaceSettings(mode="window", speed=1.0, max_rate=None, window=5000)
