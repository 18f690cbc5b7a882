"""A pattern without a file is named as the setting it stands in."""

import pytest

from data_plane.composition import build_connector
from data_plane.settings import DataSettings


@pytest.mark.parametrize("place", ["data.sources", "data.tables.earnings"])
def test_the_whole_name_of_the_setting_is_said(tmp_path, place):
    (tmp_path / "bars.csv").write_text("symbol,timestamp,open,high,low,close,volume\n")
    there, missing = str(tmp_path / "bars.csv"), str(tmp_path / "no.csv")
    settings = DataSettings.model_validate(
        {
            "sources": [{"files": [missing if place == "data.sources" else there]}],
            "bar_size": "1d",
            "tables": {"earnings": {"files": [missing], "fields": ["eps"]}},
        }
    )
    with pytest.raises(FileNotFoundError, match=rf"^{place}\.files: .* matches no file"):
        build_connector(settings)
