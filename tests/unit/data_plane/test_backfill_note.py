"""What others can see of a back-fill."""

import pytest
from structlog.testing import capture_logs

from data_plane import backfill_note
from data_plane.backfill_note import BackfillNote, read_note
from data_plane.connectors.ibkr_history import Step

HALF = Step(2, 4, "IBM", symbols=1, of_symbols=2, bars=780, held_back=1.5)


@pytest.fixture
def moment(monkeypatch):
    """A clock that the test moves."""
    now = [100.0]
    monkeypatch.setattr(backfill_note, "monotonic", lambda: now[0])
    return now


def test_the_newest_step_can_be_read_until_it_is_complete(tmp_path, moment):
    note = BackfillNote(tmp_path, lambda step: None)
    assert read_note(tmp_path) is None
    note(HALF)
    assert read_note(tmp_path) == HALF
    note(HALF._replace(done=3))
    assert read_note(tmp_path) == HALF  # four times a second is enough
    moment[0] += 1.0
    note(HALF._replace(done=3))
    assert read_note(tmp_path) == HALF._replace(done=3)
    note(HALF._replace(done=4))
    assert read_note(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_left_of_a_broken_file_is_no_back_fill(tmp_path):
    (tmp_path / "backfill.json").write_text("[1, 2")
    assert read_note(tmp_path) is None


def test_without_anybody_to_tell_it_is_a_log_line_now_and_then_and_at_the_end(tmp_path, moment):
    with capture_logs() as lines:
        note = BackfillNote(tmp_path)
        note(Step(0, 0, ""))
        note(HALF)
        moment[0] += 6.0
        note(HALF)
        note(HALF._replace(done=4, symbols=2))
    assert [(line["windows"], line["symbols"], line["bars"]) for line in lines] == [
        (2, "1 of 2", 780),
        (4, "2 of 2", 780),
    ]


def test_whoever_is_told_hears_every_step_and_nothing_is_logged(tmp_path, moment):
    heard = []
    with capture_logs() as lines:
        note = BackfillNote(tmp_path, heard.append)
        moment[0] += 6.0
        note(HALF)
    assert (heard, lines) == ([HALF], [])
