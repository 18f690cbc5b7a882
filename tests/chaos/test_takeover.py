"""Promise: two order planes on one PostgreSQL journal: one trades, the other waits and goes on when it dies."""

import json
import signal
import sqlite3
from contextlib import closing

import pytest
from drills import LONG
from lives import begin, end

from order_plane.journals.port import RowState

MOMENTS = ["after_submitting:2", "after_send:2", "after_acked:3", "before_commit:3"]


@pytest.mark.fault("F27: two order planes on one journal in PostgreSQL")
@pytest.mark.parametrize("moment", MOMENTS if LONG else MOMENTS[1:2])
def test_the_one_that_waits_takes_over_and_doubles_nothing(tmp_path, postgres_journal_address, moment):
    from order_plane.journals.postgres import view

    both = [begin(tmp_path, moment, postgres_journal_address) for _ in range(2)]
    assert -signal.SIGKILL in [end(each) for each in both], "the crash point was never reached"
    assert end(begin(tmp_path, "", postgres_journal_address)) == 0
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
