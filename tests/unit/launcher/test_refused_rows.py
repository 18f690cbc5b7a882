"""How many rows the data plane refused, as the file of its findings grows."""

import json

from data_plane.store import QUARANTINE
from launcher.refused_rows import RefusedRows


def line(number, reason="NOT_A_SESSION", *, refused=True):
    return json.dumps({"source": "ibkr", "line": number, "reason": reason, "refused": refused}) + "\n"


def test_rows_are_counted_by_reason_once_each_as_they_are_written(tmp_path):
    rows = RefusedRows(tmp_path)
    assert rows.count() == {}
    with (tmp_path / QUARANTINE).open("a") as file:
        for text, known in (
            (line(1) + line(2, "STALE") + line(3, refused=False), {"NOT_A_SESSION": 1, "STALE": 1}),
            (line(1) + line(4), {"NOT_A_SESSION": 2, "STALE": 1}),
            (line(5)[:20], {"NOT_A_SESSION": 2, "STALE": 1}),
            (line(5)[20:] + line(6)[:20] + line(7), {"NOT_A_SESSION": 3, "STALE": 1}),
        ):
            file.write(text)
            file.flush()
            assert rows.count() == known
    assert RefusedRows(tmp_path).count() == rows.count()
