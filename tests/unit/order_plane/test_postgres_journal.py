import threading

import pytest

from contracts.market import BarEvent
from contracts.trading import OrderIntent
from launcher.order_journal import settings_of
from order_plane.brokers.port import KeyLife
from order_plane.composition import build_stage, durable_journal
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.port import JournalError, JournalHeld, JournalUnavailable, Recall
from order_plane.journals.sql import SqlJournal
from order_plane.settings import OrderSettings

psycopg = pytest.importorskip("psycopg", reason="psycopg is missing; pip install algo-trade[postgres]")
from order_plane.journals.postgres import PostgresDatabase, PostgresJournal, view  # noqa: E402


@pytest.fixture
def address(postgres_journal_address):
    return postgres_journal_address


def test_one_order_plane_is_active_and_the_other_waits(address, make_intent):
    first = PostgresJournal(address)
    with pytest.raises(JournalError, match="held by another order plane"):
        PostgresJournal(address, wait_seconds=0.3)
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(PostgresJournal(address, wait_seconds=20.0)))
    waiting.start()
    first.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    first.close()
    waiting.join(20.0)
    assert taken[0].recall(make_intent(1)) is Recall.KNOWN
    taken[0].close()


def test_a_restart_meets_the_session_of_its_own_last_life_and_waits_for_its_end(address, tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "j.sqlite", journal_database=address, audit=False)
    last_life = PostgresJournal(address)
    ending = threading.Timer(1.0, last_life.close)
    ending.start()
    durable_journal(settings).close()
    ending.join()


def test_a_command_waits_for_no_order_plane(address, tmp_path):
    held = PostgresJournal(address)
    assert not settings_of(tmp_path, address).journal_wait
    with pytest.raises(JournalHeld):
        durable_journal(settings_of(tmp_path, address))
    held.close()


def cut_off(address, journal):
    """End a plane's session at the server, as a partition of the network would."""
    pid = journal._database._connection.info.backend_pid
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_a_plane_that_was_cut_off_can_write_nothing_more(address, make_intent):
    first = PostgresJournal(address)
    cut_off(address, first)
    second = PostgresJournal(address, wait_seconds=10.0)
    with pytest.raises(JournalError, match="cannot be written"):
        first.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    assert second.begin([SubmitOrder(make_intent(1), "ACC")], [], 0) == [SubmitOrder(make_intent(1), "ACC")]
    first.close()
    second.close()


def test_a_plane_of_an_earlier_epoch_is_refused_even_with_a_live_session(address, make_intent):
    stale = SqlJournal(PostgresDatabase(address))
    active = PostgresJournal(address)
    with pytest.raises(JournalError, match="took this journal over"):
        stale.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    assert active.recall(make_intent(1)) is Recall.NEW
    stale.close()
    active.close()


def test_a_plane_learns_without_writing_that_it_was_taken_over(address):
    stale = PostgresJournal(address)
    stale.affirm()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE meta SET epoch = epoch + 1")  # its session lives on, as behind a partition
    with pytest.raises(JournalError, match="took this journal over"):
        stale.affirm()
    stale.close()


def test_of_two_that_write_at_the_same_moment_one_may_send(address, make_intent):
    orders = [SubmitOrder(make_intent(number), "ACC") for number in range(1, 41)]
    journals = [SqlJournal(PostgresDatabase(address)) for _ in range(2)]
    won = [[], []]

    def race(number):
        for order in orders if number else reversed(orders):
            won[number] += journals[number].begin([order], [], 0)

    racers = [threading.Thread(target=race, args=(number,)) for number in range(2)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60.0)
    assert sorted(order.intent.intent_id.int for order in won[0] + won[1]) == list(range(1, 41))
    for journal in journals:
        journal.close()


def test_a_server_that_vanished_is_noticed_within_seconds(address):
    database = PostgresDatabase(address)
    asked = database._connection.info.get_parameters()
    server = database.rows("SELECT reset_val FROM pg_settings WHERE name = 'tcp_user_timeout'")
    database.close()
    assert server == [("5000",)], "an answer that nobody acknowledges would keep the lock for a quarter of an hour"
    silence = sum(int(asked[name]) * count for name, count in (("keepalives_idle", 1), ("keepalives_interval", 3)))
    assert (asked["keepalives_count"], silence, asked["tcp_user_timeout"]) == ("3", 5, "5000")


def test_a_journal_can_be_looked_at_beside_its_plane(address, make_intent):
    active = PostgresJournal(address)
    active.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    watching = view(address)
    assert watching.past(make_intent(1).intent_id) == active.past(make_intent(1).intent_id)
    watching.close()
    active.close()


def test_a_changed_row_refuses_to_start(address, make_intent):
    journal = PostgresJournal(address)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    journal.close()
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE intents SET state = 'INTENDED'")
    with pytest.raises(JournalError, match="intents does not fit its seal"):
        PostgresJournal(address)


def test_a_database_of_something_else_is_refused(address):
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE meta (mine TEXT)")
    with pytest.raises(JournalError, match="no order journal"):
        PostgresJournal(address)


def test_an_error_never_repeats_the_address():
    secret = "postgresql://me:hunter2@127.0.0.1:1/x?connect_timeout=2"
    with pytest.raises(JournalError) as refused:
        PostgresJournal(secret)
    assert "hunter2" not in str(refused.value)
    assert "127.0.0.1" not in str(refused.value)


def test_what_was_written_survives_a_crash_of_the_server(postgres, address, make_intent):
    journal = PostgresJournal(address)
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [], 0)
    postgres.kill()
    with pytest.raises(JournalUnavailable, match="cannot be"):
        journal.begin([SubmitOrder(make_intent(2), "ACC")], [], 0)
    journal.close()
    with pytest.raises(JournalUnavailable, match="cannot be reached"):
        PostgresJournal(address)
    postgres.start()
    journal = PostgresJournal(address)
    assert journal.recall(make_intent(1)) is Recall.KNOWN
    assert journal.recall(make_intent(2)) is Recall.NEW
    journal.close()


class Cutting:
    """A venue that takes every order; with the third one the plane loses its journal."""

    key_life, dormant, converts = KeyLife.NONE, False, False

    def __init__(self, cut):
        self.sent, self.cut = [], cut

    def submit(self, order):
        name = order.intent.intent_id
        self.sent.append(name.int)
        if name.int == 3:
            self.cut()
        return [Fact(name, FactKind.ACK, "ack", order.intent.timestamp, f"v-{name.int}")]

    def drain(self):
        return []

    def observe(self, bar):
        pass

    def close(self):
        pass


@pytest.mark.parametrize("taken_over", [True, False])
def test_a_plane_that_loses_its_journal_in_a_batch_sends_nothing_more_of_it(address, make_intent, make_bar, taken_over):
    def cut():
        if taken_over:
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("UPDATE meta SET epoch = epoch + 1")
        else:
            cut_off(address, journal)

    journal, venue = PostgresJournal(address), Cutting(cut)
    stage = build_stage(OrderSettings(limits={"duplicate_window": 0}, guards=(), reconciliation=None), journal, venue)
    stage.recover()
    stage.handlers[BarEvent](make_bar())
    for number in range(1, 6):
        stage.handlers[OrderIntent](make_intent(number, quantity=float(number)))
    with pytest.raises(JournalError):
        stage.settle()
    assert venue.sent == [1, 2, 3]
    stage.close()
