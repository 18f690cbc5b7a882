"""What `algotrade orders take-over` refuses; what it does is tried with order planes around it."""

import pytest
from typer.testing import CliRunner

from contracts.codec import decode
from contracts.control import KillScope, KillSwitchCommand
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from launcher.cli import app
from order_plane.claim_log import KafkaClaims, claim_of
from order_plane.holding import Holding
from order_plane.journals.sqlite import SqliteJournal
from order_plane.settings import OrderSettings


@pytest.fixture
def take_over(embedded_settings, tmp_path):
    def run(name="new", operator="ann"):
        place = ["--state", str(tmp_path / name)]
        kafka = ["-b", embedded_settings.bootstrap_servers, "--prefix", embedded_settings.topic_prefix]
        return CliRunner().invoke(
            app, ["orders", "take-over", "--operator", operator, "--reason", "gone", *place, *kafka]
        )

    return run


@pytest.fixture
def journal(embedded_settings, tmp_path):
    """Makes a journal, and claims for it if wanted; returns its name."""

    def make(name, *, claims=False):
        settings = OrderSettings(journal_path=tmp_path / name / "order_journal.sqlite")
        made = SqliteJournal(settings.journal_path)
        if claims:
            log = KafkaClaims(embedded_settings)
            Holding(log, claim_of(settings, made.journal_id)).claim()
            log.close()
        made.close()
        return made.journal_id

    return make


def test_it_says_who_is_followed_and_what_to_do_next(take_over, journal, tmp_path):
    old, new = journal("old", claims=True), journal("new")
    result = take_over()
    assert result.exit_code == 0
    for word in (
        old,
        new,
        str(tmp_path / "old"),
        "orders in-doubt",
        "NOTHING HERE STOPS THAT ORDER PLANE",
        "algotrade kill on",
        "release-symbol",
    ):
        assert word in result.output


def test_every_symbol_is_halted_until_a_person_releases_it(take_over, journal, embedded_settings):
    journal("old", claims=True)
    journal("new")
    assert take_over().exit_code == 0
    records = list(read_logs(embedded_settings, watermarks(embedded_settings, ["control"])))
    (told,) = [decode(record.value(), (KillSwitchCommand,)) for record in records]
    assert (told.scope, told.target, told.operator, told.engage) == (KillScope.SYMBOL, "*", "ann", True)


def test_nothing_is_taken_where_nobody_ever_sent(take_over, journal):
    journal("new")
    result = take_over()
    assert (result.exit_code, "nothing is to be taken" in result.output) == (1, True)


def test_who_sends_already_takes_nothing(take_over, journal):
    journal("old", claims=True)
    assert (take_over("old").exit_code, take_over("old").output.count("is the one that sends")) == (1, 1)


def test_a_second_take_over_by_the_same_journal_changes_nothing(take_over, journal):
    journal("old", claims=True)
    journal("new")
    assert [take_over().exit_code for _ in range(2)] == [0, 1]


def test_a_journal_that_does_not_exist_cannot_send(take_over, journal):
    journal("old", claims=True)
    result = take_over("nowhere")
    assert (result.exit_code, "there is no journal" in result.output) == (2, True)


@pytest.mark.parametrize("operator", ["", "two words", "x" * 65])
def test_a_person_has_a_name(take_over, journal, operator):
    journal("old", claims=True)
    journal("new")
    assert take_over(operator=operator).exit_code == 2
