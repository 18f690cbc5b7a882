"""Promise: a fault of the machine, the clock or the market stops orders, and loses and doubles none."""

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID

import pytest
from drills import FIRST, NOON, SYMBOLS, Drill, a_bar, an_intent, script
from lives import begin, end

import kernel.clock
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import OrderStatus, OrderType, Side, TimeInForce
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError, RowState
from order_plane.journals.sqlite import SqliteJournal

PROGRAM = Path(__file__).with_name("order_plane_life.py")


def rejected(drill):
    return {name for name, end in drill.ends().items() if end.status is OrderStatus.REJECTED}


@pytest.mark.fault("F15: a market event that is ten minutes late")
def test_a_late_bar_is_no_reference_price():
    chance = Random(FIRST)
    drill = Drill(MemoryJournal())
    drill.tell([a_bar("AAPL", 20, chance)])
    before = drill.stage.desk.now
    drill.tell([a_bar("AAPL", 10, chance, open=1.0, high=1.0, low=1.0, close=1.0)])
    assert drill.stage.desk.now == before
    dear = an_intent(1, "AAPL", 20, chance).model_copy(update={"quantity": 50_000.0})
    drill.tell([dear])
    assert drill.ends()[dear.intent_id].reject_reason.startswith("NOTIONAL_EXCEEDS"), "it was valued at the late price"


@pytest.mark.fault("F15: a market event from the future")
def test_a_bar_from_the_future_lets_nothing_pass_that_has_no_price_of_its_time():
    chance = Random(FIRST)
    drill = Drill(MemoryJournal())
    drill.tell([a_bar(symbol, 0, chance) for symbol in SYMBOLS])
    drill.tell([a_bar("IBM", 60 * 24 * 365, chance)])
    drill.tell([an_intent(number, symbol, 1, chance) for number, symbol in enumerate(SYMBOLS[:2], start=1)])
    assert rejected(drill) == drill.intents.keys()
    assert not drill.at_venue()


@pytest.mark.fault("F17: the clock of the machine is five minutes off, and jumps back")
def test_the_clock_of_the_machine_decides_nothing(monkeypatch):
    seen = []
    for offset in (0, 300, -300):
        true = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda true=true, offset=offset: true() + offset)
            moment = datetime.fromtimestamp(true() + offset, NOON.tzinfo)
            patch.setattr(kernel.clock.SystemClock, "now", lambda self, moment=moment: moment)
            drill = Drill(MemoryJournal(retain=10_000))
            for number, batch in enumerate(script(Random(FIRST))):
                moment -= timedelta(minutes=number)
                drill.tell(batch)
            seen.append(drill.reports)
    assert seen[0] == seen[1] == seen[2]


@pytest.mark.fault("F23: the disk is full before anything is sent")
@pytest.mark.parametrize("seed", range(FIRST, FIRST + 3))
def test_a_full_disk_stops_the_plane_before_it_sends(tmp_path, seed):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    drill = Drill(journal, seed=seed)
    batches = list(script(Random(seed)))
    connection = journal._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    stopped_at = None
    for number, batch in enumerate(batches):
        try:
            drill.tell(batch)
        except (JournalError, sqlite3.Error):
            stopped_at = number
            break
    assert stopped_at is not None, "the disk was large enough"
    journal.close()
    drill.journal = SqliteJournal(tmp_path / "journal.sqlite")
    known = {past.intent.intent_id: past for past in drill.journal.pasts()}
    begun = {name for name, past in known.items() if past.state is not RowState.REJECTED}
    assert drill.at_venue() <= begun, "something left that the journal knows nothing of"
    drill.start()
    for batch in batches[max(0, stopped_at - 1) :]:
        drill.tell(batch)
    assert drill.venue.duplicates_refused == 0
    assert drill.ends().keys() == drill.intents.keys()
    assert drill.stage.upkeep.reconciled
    drill.journal.close()


@pytest.mark.fault("F23: the disk is full when a kill comes")
def test_a_kill_that_cannot_be_latched_cancels_what_works_before_the_plane_ends(tmp_path):
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    drill = Drill(journal)
    wishes = [an_intent(number, symbol, 0, Random(FIRST)) for number, symbol in enumerate(SYMBOLS, 1)]
    terms = {"order_type": OrderType.LIMIT, "limit_price": 96.0, "time_in_force": TimeInForce.GTC}
    terms |= {"direction": Side.BUY}
    drill.tell([a_bar(symbol, 0, Random(FIRST)) for symbol in SYMBOLS])
    drill.tell([wish.model_copy(update=terms) for wish in wishes])
    working = {order.intent_id for order in drill.venue.snapshot().open_orders}
    assert working == {wish.intent_id for wish in wishes}
    connection = journal._database._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")

    def kill(number, **scope):
        command = {"command_id": UUID(int=number), "engage": True, "operator": "ann", "reason": "a" * 400}
        drill.stage.handlers[KillSwitchCommand](KillSwitchCommand(timestamp=NOON, **command, **scope))

    def fill():
        for number in range(500):
            kill(number, scope=KillScope.STRATEGY, target=f"s{number}")

    with pytest.raises((JournalError, sqlite3.Error)):
        fill()
    assert {order.intent_id for order in drill.venue.snapshot().open_orders} == working
    with pytest.raises((JournalError, sqlite3.Error)):
        kill(999)
    assert drill.venue.snapshot().open_orders == ()
    journal.close()


@pytest.mark.fault("F24: the journal is flipped or cut")
def test_a_damaged_journal_refuses_to_start_or_is_what_it_was(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal(path)
    drill = Drill(journal)
    for batch in script(Random(FIRST)):
        drill.tell(batch)
    journal.close()
    whole, before = path.read_bytes(), None
    chance, refused = Random(FIRST), 0
    for number in range(40):
        damaged = bytearray(whole)
        if number:
            damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        if number % 8 == 7:
            damaged = damaged[: chance.randrange(len(damaged))]
        path.write_bytes(damaged)
        for left in path.parent.glob("journal.sqlite-*"):
            left.unlink()
        try:
            with closing(SqliteJournal(path)) as opened:
                now = list(opened.pasts())
        except JournalError:
            refused += 1
            continue
        before = before or now
        assert now == before, f"seed {FIRST}: damage {number} went unnoticed"
    assert refused > 5


@pytest.mark.fault("F29: the order plane that holds the journal is stopped, and goes on")
def test_a_stopped_holder_is_not_taken_over(tmp_path):
    first = begin(tmp_path)
    try:
        lock = tmp_path / "journal.sqlite.lock"
        deadline = time.monotonic() + 60
        while not _held(lock) and first.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(first.pid, signal.SIGSTOP)
        second = subprocess.run(
            [sys.executable, str(PROGRAM), str(tmp_path)], timeout=60, check=False, capture_output=True, text=True
        )
        assert "is held by another order plane" in second.stderr
        assert second.returncode == 1
        os.kill(first.pid, signal.SIGCONT)
        assert end(first) == 0
    finally:
        with suppress(ProcessLookupError):
            os.kill(first.pid, signal.SIGCONT)
        end(first, 0)
    with closing(sqlite3.connect(tmp_path / "venue.sqlite")) as venue:
        sent = [name for (name,) in venue.execute("SELECT intent_id FROM orders")]
    assert len(sent) == len(set(sent)) > 10


def _held(lock):
    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True
