import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from order_messages import NOON

from contracts.trading import OrderStatus
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.file import SqliteDatabase
from order_plane.journals.port import Answer, JournalError, Recall, Resolution, RowState, Verdict
from order_plane.journals.sql import SqlJournal
from order_plane.journals.sqlite import SqliteJournal, view
from order_plane.lifecycle import History
from order_plane.reports import execution_report


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


def before_all_time(message):
    """What no contract allows and `trusted` lets pass."""
    return type(message).trusted({**message.__dict__, "timestamp": datetime.min.replace(tzinfo=UTC)})


def test_what_could_not_be_read_again_is_not_written(path, make_intent, make_command):
    bad = before_all_time(make_intent(1))
    report = before_all_time(execution_report(bad, "o", 1, OrderStatus.ACKNOWLEDGED, History(10.0), NOON, ""))
    first = SqliteJournal(path)
    for write in (
        lambda: first.record_command(before_all_time(make_command(True))),
        lambda: first.begin([SubmitOrder(bad, "ACC")], [], 0),
        lambda: first.conclude([], [], [report], 0),
    ):
        with pytest.raises(JournalError, match="/timestamp"):
            write()
    first.close()
    second = SqliteJournal(path)
    assert (second.commands(), list(second.pasts()), second.unpublished()) == ([], [], [])
    second.close()


@pytest.mark.fault("F27: two order planes on one journal in a file")
def test_a_second_process_is_kept_out_until_the_first_is_gone(path):
    program = (
        "import sys; from pathlib import Path; from order_plane.journals.sqlite import SqliteJournal;"
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


@pytest.mark.parametrize("place", ["folder", "file/journal.sqlite", "/proc/nobody/writes/journal.sqlite"])
def test_a_place_where_no_journal_can_be_is_named_with_what_to_do(tmp_path, place):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="set journal_path to") as refused:
        SqliteJournal(tmp_path / place)
    assert str(tmp_path / place) in str(refused.value)


def test_a_folder_in_the_place_of_the_lock_file_is_named(path):
    path.with_name(path.name + ".lock").mkdir()
    with pytest.raises(JournalError, match="cannot be made or locked") as refused:
        SqliteJournal(path)
    assert f"{path}.lock" in str(refused.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(JournalError, match="writable"):
        SqliteJournal(tmp_path / "journal.sqlite")


def test_a_missing_folder_is_made(tmp_path):
    SqliteJournal(tmp_path / "a" / "b" / "journal.sqlite").close()


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


class Interrupted(sqlite3.Cursor):
    """A cursor of a process that is told to stop in the moment in which a transaction has begun."""

    def execute(self, statement, *parameters):
        super().execute(statement, *parameters)
        if statement.startswith("BEGIN"):
            raise KeyboardInterrupt
        return self


def test_whoever_is_interrupted_as_a_transaction_begins_can_still_write_after_it(path):
    journal = SqliteJournal(path)
    database = journal._database
    cursor, database._cursor = database._cursor, Interrupted(database._connection)
    with pytest.raises(KeyboardInterrupt):
        journal.note({"a": "1"})
    database._cursor = cursor
    journal.note({"b": "2"})
    assert journal.notes() == {"b": "2"}
    journal.close()


@pytest.fixture
def busy(path, make_intent, make_command, noon):
    """A closed journal with a row in every table, and what it held."""
    journal = SqliteJournal(path)
    orders = [SubmitOrder(make_intent(number), "ACC") for number in range(1, 6)]
    journal.begin(orders, [], 0)
    facts = [Fact(order.intent.intent_id, FactKind.ACK, "ack", noon, "o") for order in orders]
    reports = [
        execution_report(order.intent, "o", 1, OrderStatus.ACKNOWLEDGED, History(10.0), noon) for order in orders
    ]
    journal.conclude(
        [Answer(order.intent.intent_id, 1, RowState.ACKED, "o") for order in orders[1:]], facts, reports, 2
    )
    journal.sign(Resolution(orders[0].intent.intent_id, 1, Verdict.SEND_AGAIN, "ann", "looked", noon))
    journal.record_command(make_command(True))
    content = held(journal)
    journal.close()
    return content


def held(journal):
    """Everything that can be read from a journal."""
    return (
        *(journal.journal_id, journal.sequence, journal.appended),
        *([*each] for each in (journal.pasts(), journal.unpublished(), journal.commands(), journal.resolutions())),
    )


def opened(path):
    try:
        journal = SqliteJournal(path)
    except JournalError:
        return None
    try:
        return held(journal)
    finally:
        journal.close()


@pytest.mark.parametrize("offset", range(7))
def test_a_flipped_bit_anywhere_is_noticed_or_harmless(path, busy, tmp_path, offset):
    original = path.read_bytes()
    refused = 0
    for place in range(offset * 13, len(original), 97 * 7):
        copy = tmp_path / f"copy-{place}.sqlite"
        flipped = bytearray(original)
        flipped[place] ^= 1 << place % 8
        copy.write_bytes(flipped)
        found = opened(copy)
        assert found is None or found[1:] == busy[1:], f"byte {place}"
        refused += found is None
    assert refused


def test_a_flipped_bit_in_each_text_of_a_row_is_noticed(path, busy):
    original = path.read_bytes()
    for word in (b"SUBMITTING", b"ACKED", b"AAPL", b"ann", b"looked", b"SEND_AGAIN", b"ACC"):
        if word not in original:
            continue
        flipped = bytearray(original)
        flipped[original.rindex(word)] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(JournalError):
            SqliteJournal(path)


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.99])
def test_a_cut_file_is_noticed(path, busy, keep):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(JournalError, match=r"damaged|no journal"):
        SqliteJournal(path)


def copied(path, to):
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy(source, to.with_name(to.name + suffix))


@pytest.mark.fault("F24: the journal is an old copy")
def test_an_older_copy_in_its_place_is_noticed(path, busy, make_intent, tmp_path):
    older = tmp_path / "older.sqlite"
    copied(path, older)
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(9), "ACC")], [], 0)
    journal.close()
    copied(older, path)
    with pytest.raises(JournalError, match="older copy"):
        SqliteJournal(path)


def test_a_lost_write_ahead_log_is_an_older_copy(path, busy, make_intent, tmp_path):
    """A plane that was killed leaves its newest transactions in the log beside the file."""
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(9), "ACC")], [], 0)
    copied(path, tmp_path / "as-killed.sqlite")
    journal.close()
    copied(tmp_path / "as-killed.sqlite", path)
    log = path.with_name(path.name + "-wal")
    assert log.stat().st_size > 0
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    with pytest.raises(JournalError, match="older copy"):
        SqliteJournal(path)


def test_a_foreign_journal_in_its_place_is_noticed(path, busy, tmp_path):
    foreign = tmp_path / "foreign.sqlite"
    SqliteJournal(foreign).close()
    copied(foreign, path)
    with pytest.raises(JournalError, match="foreign journal"):
        SqliteJournal(path)


def test_a_journal_moved_without_its_lock_file_is_taken_as_it_is(path, busy, tmp_path):
    moved = tmp_path / "moved.sqlite"
    path.rename(moved)
    assert opened(moved) == busy


@pytest.mark.fault("F28: the journal was copied, to another host or from a backup")
@pytest.mark.parametrize("locked", [True, False])
def test_a_copy_is_another_journal_with_the_same_content_and_stays_the_one_it_is(path, busy, tmp_path, locked):
    (tmp_path / "two").mkdir()
    copy = tmp_path / "two" / path.name
    copied(path, copy)
    if locked:
        shutil.copy(f"{path}.lock", f"{copy}.lock")
    first = opened(copy)
    assert first[0] != busy[0]
    assert first[1:] == busy[1:]
    assert opened(copy) == first
    assert opened(path) == busy


def test_a_backup_put_back_as_another_file_is_another_journal(path, busy, tmp_path):
    copied(path, tmp_path / "backup.sqlite")
    (tmp_path / "backup.sqlite").rename(path)
    assert opened(path)[0] != busy[0]


def test_a_copy_whose_first_start_died_over_its_new_name_starts_again(path, busy, tmp_path, monkeypatch):
    copy = tmp_path / "copy.sqlite"
    copied(path, copy)
    shutil.copy(f"{path}.lock", f"{copy}.lock")
    with monkeypatch.context() as dying:
        dying.setattr(SqliteDatabase, "written", lambda *known: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            SqliteJournal(copy)
    assert opened(copy)[1:] == busy[1:]


def test_a_journal_from_before_places_were_noted_keeps_its_name(path, busy):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM notes")
    assert opened(path) == busy


def test_a_long_log_is_copied_into_the_file_when_nobody_waits(path, make_command):
    journal = SqliteJournal(path)
    size = path.stat().st_size
    for number in range(550):
        journal.record_command(make_command(True, number + 1))
    assert path.stat().st_size == size
    journal.rest()
    grown = path.stat().st_size
    assert grown > size
    journal.record_command(make_command(True, 551))
    journal.rest()
    assert path.stat().st_size == grown
    journal.close()
    assert len(view(path).commands()) == 551


def test_a_note_that_waits_for_no_disk_is_there_for_others_and_the_next_write_waits_again(path):
    database = SqliteDatabase(path)
    journal = SqlJournal(database)
    journal.note({"a": "1"}, synced=False)
    assert view(path).notes() == {"a": "1"}
    with pytest.raises(JournalError, match="cannot be written"):
        journal.note({"a": None}, synced=False)
    assert database.rows("PRAGMA synchronous") == [(2,)]
    journal.close()


def test_tables_that_were_changed_are_noticed(path, busy):
    connection = sqlite3.connect(path)
    connection.execute("CREATE INDEX reports_by_body ON reports (body)")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="not those of a journal"):
        SqliteJournal(path)


def test_a_journal_can_be_looked_at_beside_its_plane_and_not_be_written(path, busy, make_intent):
    active = SqliteJournal(path)
    active.begin([SubmitOrder(make_intent(9), "ACC")], [], 0)
    watching = view(path)
    assert held(watching) == held(active)
    with pytest.raises(JournalError, match="reading only"):
        watching.begin([SubmitOrder(make_intent(10), "ACC")], [], 0)
    watching.close()
    active.close()


def test_what_a_venue_writes_is_kept_however_odd_it_is(path, make_intent, noon):
    journal = SqliteJournal(path)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    odd = Fact(
        make_intent(1).intent_id, FactKind.FILL, "x\0y", noon + timedelta(1), "\udcff", 10, -0.0, 1, 0, "a\0\ud800"
    )
    journal.conclude([], [odd], [], 0)
    journal.close()
    journal = SqliteJournal(path)
    (fact,) = journal.past(make_intent(1).intent_id).facts
    assert (fact.fact_id, fact.quantity, fact.price, fact.reason) == ("x y", 10.0, 0.0, "a ?")
    journal.close()
