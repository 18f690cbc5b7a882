"""Promise: two order planes on one PostgreSQL journal: one trades, the other waits and goes on when it dies."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from order_plane.journal import RowState

PROGRAM = Path(__file__).with_name("order_plane_life.py")


def start(directory, address, crash_point=""):
    environment = {**os.environ, "ALGOTRADE_CRASH_POINT": crash_point, "JOURNAL_DATABASE": address}
    return subprocess.Popen([sys.executable, str(PROGRAM), str(directory)], env=environment)


@pytest.mark.fault("F27: two order planes on one journal in PostgreSQL")
@pytest.mark.parametrize("moment", ["after_submitting:2", "after_send:2", "after_acked:3", "before_commit:3"])
def test_the_one_that_waits_takes_over_and_doubles_nothing(tmp_path, postgres_journal_address, moment):
    from order_plane.postgres_journal import view

    first = start(tmp_path, postgres_journal_address, moment)
    second = start(tmp_path, postgres_journal_address, moment)
    try:
        codes = [first.wait(100), second.wait(100)]
        assert -signal.SIGKILL in codes, "the crash point was never reached"
        assert start(tmp_path, postgres_journal_address).wait(100) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.wait(10)
    with closing(sqlite3.connect(tmp_path / "venue.sqlite")) as venue:
        sent = [name for (name,) in venue.execute("SELECT intent_id FROM orders")]
    assert len(sent) == len(set(sent))
    journal = view(postgres_journal_address)
    states = {str(past.intent.intent_id): past.state for past in journal.pasts()}
    journal.close()
    assert {name for name, state in states.items() if state is RowState.ACKED} == set(sent)
    assert set(states.values()) <= {RowState.ACKED, RowState.REJECTED, RowState.IN_DOUBT}
    told = {json.loads(line)["intent_id"] for line in (tmp_path / "said.jsonl").read_text().splitlines()}
    assert told == set(states)
    assert len(states) == 30
