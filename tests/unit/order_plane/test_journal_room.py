import shutil

import pytest

from order_plane.effects import SubmitOrder
from order_plane.journals import sqlite_file
from order_plane.journals.sqlite import SqliteJournal


def log_of(path):
    return path.with_name(path.name + "-wal")


def known(journal):
    found = journal.journal_id, journal.sequence, [past.intent.intent_id.int for past in journal.pasts()]
    journal.close()
    return found


def test_the_first_orders_do_not_lengthen_the_log(tmp_path, make_intent):
    path = tmp_path / "journal.sqlite"
    for life in (0, 1):
        journal = SqliteJournal(path)
        length = log_of(path).stat().st_size
        for number in range(1, 50):
            journal.begin([SubmitOrder(make_intent(100 * life + number), "ACC")], [], 0)
        assert log_of(path).stat().st_size == length
        journal.close()
    assert known(SqliteJournal(path))[1:] == (98, [*range(1, 50), *range(101, 150)])


@pytest.mark.parametrize("orders", [0, 1, 7])
def test_what_lies_in_the_log_behind_the_orders_does_not_count(tmp_path, make_intent, orders):
    """As a kill leaves it, once and again: the rest of the room is still there behind what was written."""
    path, left = tmp_path / "journal.sqlite", tmp_path / "left"
    SqliteJournal(path).close()
    left.mkdir()
    for life in (0, 1):
        journal = SqliteJournal(path)
        for number in range(1, orders + 1):
            journal.begin([SubmitOrder(make_intent(100 * life + number), "ACC")], [], 0)
        for file in tmp_path.glob("journal.sqlite*"):
            shutil.copy(file, left / file.name)
        journal.close()
        for file in left.iterdir():
            shutil.copy(file, path.with_name(file.name))
    (path.with_name(path.name + "-shm")).unlink()
    assert known(SqliteJournal(path))[1:] == (2 * orders, [*range(1, orders + 1), *range(101, 101 + orders)])


def test_a_journal_works_without_room(tmp_path, make_intent, monkeypatch):
    path = tmp_path / "journal.sqlite"
    monkeypatch.setattr(sqlite_file, "ROOM_PAGES", 2**20)  # more than the database takes at once
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    journal.close()
    assert known(SqliteJournal(path))[1:] == (1, [1])
