import sqlite3
import subprocess
import sys

import pytest

from order_plane.effects import SubmitOrder
from order_plane.journal import JournalError, Recall
from order_plane.sqlite_journal import SqliteJournal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_what_was_written_is_there_after_a_restart(path, make_intent, make_command):
    first = SqliteJournal(path)
    first.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    first.record_command(make_command(True))
    name = first.journal_id
    first.close()
    second = SqliteJournal(path)
    assert second.journal_id == name
    assert second.recall(make_intent(1)) is Recall.KNOWN
    assert second.commands() == [make_command(True)]
    second.close()


def test_a_second_process_is_kept_out_until_the_first_is_gone(path):
    program = (
        "import sys; from pathlib import Path; from order_plane.sqlite_journal import SqliteJournal;"
        "held = SqliteJournal(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(JournalError, match="held by another order plane"):
            SqliteJournal(path)
    finally:
        holder.kill()
        holder.communicate(timeout=30)
    SqliteJournal(path).close()


def test_commits_are_synchronised_to_disk(path):
    journal = SqliteJournal(path)
    connection = journal._database._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    journal.close()


def test_flipped_bytes_refuse_to_open(path, make_intent):
    journal = SqliteJournal(path)
    for number in range(1, 200):
        journal.begin([SubmitOrder(make_intent(number), "ACC")], [], 0)
    journal.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(JournalError, match="damaged"):
        SqliteJournal(path)


def test_a_truncated_file_refuses_to_open(path, make_intent):
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    journal.close()
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(JournalError, match="damaged"):
        SqliteJournal(path)


def test_something_else_is_no_journal(path):
    path.write_text("not a database, but long enough to look at " * 100)
    with pytest.raises(JournalError, match="no journal"):
        SqliteJournal(path)


def test_a_foreign_database_is_no_journal(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE somebody (elses INTEGER)")
    connection.close()
    with pytest.raises(JournalError, match="not an order journal"):
        SqliteJournal(path)


def test_another_version_is_refused(path):
    SqliteJournal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(JournalError, match="version 99"):
        SqliteJournal(path)


def test_a_refused_opening_leaves_the_lock_free(path):
    path.write_text("not a database, but long enough to look at " * 100)
    with pytest.raises(JournalError):
        SqliteJournal(path)
    path.unlink()
    SqliteJournal(path).close()


def test_a_full_disk_stops_the_plane_and_leaves_what_was_written(path, make_intent):
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    pages = journal._database._connection.execute("PRAGMA page_count").fetchone()[0]
    journal._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="cannot be written"):
        journal.begin([SubmitOrder(make_intent(number), "ACC") for number in range(2, 500)], [], 0)
    assert journal.recall(make_intent(1)) is Recall.KNOWN
    assert journal.recall(make_intent(2)) is Recall.NEW
    journal.close()
