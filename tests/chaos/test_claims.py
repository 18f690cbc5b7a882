"""Promise: an order plane on another journal sends nothing of what the first one may have sent, reported or not."""

import json
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from random import Random
from time import sleep
from types import SimpleNamespace
from uuid import UUID

import pytest
from drills import FIRST, SYMBOLS, a_bar, an_intent
from lives import begin_plane, end
from planes_on_kafka import PATIENCE, PlaneInThread
from typer.testing import CliRunner

from contracts.control import KillScope
from contracts.market import BarEvent
from contracts.trading import ExecutionReport, OrderIntent
from kernel.clock import monotonic
from kernel.kafka_bus import KafkaBus
from launcher.cli import app
from launcher.order_socket import what_holds
from order_plane.command_channel import NobodyListens
from order_plane.journals.port import JournalError
from order_plane.journals.sqlite import view
from order_plane.settings import OrderSettings

SETTINGS = OrderSettings(
    mode="paper",
    journal_path="order_journal.sqlite",
    paper_store_path="paper_venue.sqlite",
    limits={"duplicate_window": 0},
    throttle={"burst": 10_000},
)


class Market:
    """Publishes prices and wishes, and hears what becomes of them."""

    def __init__(self, kafka):
        self.bus = KafkaBus(kafka, "strategy", [ExecutionReport], [BarEvent, OrderIntent])
        self.said = {}
        self._chance = Random(FIRST)
        for symbol in SYMBOLS:
            self.bus.publish(a_bar(symbol, 0, self._chance))
        assert self.bus.wait_ready(PATIENCE)

    def wish(self, *numbers, symbols=SYMBOLS[:2]):
        for number in numbers:
            self.bus.publish(an_intent(number, self._chance.choice(symbols), 1, self._chance))
        self.bus.flush()

    def hear(self, *numbers):
        deadline = monotonic() + PATIENCE
        while not self.said.keys() >= set(numbers) and monotonic() < deadline:
            for received in self.bus.poll(0.2):
                report = received.message
                self.said.setdefault(report.intent_id.int, []).append((report.status.value, report.journal_id))
        return {number: self.said.get(number) for number in numbers}


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def kafka(request):
    settings = request.getfixturevalue(f"{request.param}_settings")
    return settings.model_copy(update={"group_protocol": "classic"})


@pytest.fixture
def market(kafka):
    market = Market(kafka)
    yield market
    market.bus.close()


@pytest.fixture
def dead(kafka, market, tmp_path):
    """The directory of an order plane that sent and was killed before it reported anything."""
    directory = tmp_path / "one"
    directory.mkdir()
    market.wish(*range(1, 21))
    life = begin_plane("order", SimpleNamespace(order=SETTINGS), kafka, directory, "after_send:1")
    assert end(life) == -signal.SIGKILL
    return directory


def journal_id(directory):
    journal = view(directory / "order_journal.sqlite")
    try:
        return journal.journal_id
    finally:
        journal.close()


def take_over(kafka, directory):
    place = ["--state", str(directory), "-b", kafka.bootstrap_servers, "--prefix", kafka.topic_prefix]
    return CliRunner().invoke(app, ["orders", "take-over", "--operator", "ann", "--reason", "its host is gone", *place])


def is_halted(directory):
    try:
        return what_holds(directory / "order.sock", KillScope.SYMBOL, "*") is not None
    except NobodyListens:
        return False


def release(directory):
    """Let the order plane trade that took over; it must not before."""
    deadline = monotonic() + PATIENCE
    while not is_halted(directory) and monotonic() < deadline:
        sleep(0.05)
    signed = ["--operator", "ann", "--reason", "looked", "--state", str(directory)]
    done = CliRunner().invoke(app, ["orders", "release-symbol", "*", *signed])
    assert done.exit_code == 0, done.output


def refused(kafka, directory, holder):
    with PlaneInThread(kafka, directory, SETTINGS) as plane, pytest.raises(JournalError) as refusal:
        plane.ended()
    text = str(refusal.value)
    assert holder in text
    assert "take-over" in text
    return text


@pytest.mark.fault("F28: two order planes on two journals, the first dies before it reports")
@pytest.mark.timeout(300)
def test_after_a_death_before_the_report_another_journal_sends_nothing_until_a_person_hands_over(
    kafka, market, dead, tmp_path
):
    first, other = journal_id(dead), tmp_path / "two"
    assert str(dead) in refused(kafka, other, first)
    assert market.said == {}

    done = take_over(kafka, other)
    assert done.exit_code == 0, done.output
    with PlaneInThread(kafka, other, SETTINGS) as plane:
        market.wish(100, symbols=SYMBOLS[2:])
        assert [status for status, _ in market.hear(100)[100]] == ["REJECTED"], "nobody has released it"
        release(other)
        market.wish(101, symbols=SYMBOLS[2:])
        market.wish(7, 8)  # the same wishes once more
        said = market.hear(*range(1, 21), 101)
        plane.running()
    mine = journal_id(other)
    assert all(said[number] == [("IN_DOUBT", mine)] for number in range(1, 21)), said
    assert said[101][0] in (("SUBMITTED", mine), ("ACKNOWLEDGED", mine))
    assert str(other) in refused(kafka, dead, mine)
    assert at_the_venue(other) == {101}
    lines = (other / "order_journal.audit.jsonl").read_text().splitlines()
    audited = [json.loads(line.partition(" ")[2]) for line in lines]
    handed = [(each["operator"], each["journal_id"]) for each in audited if each["event"] == "TAKE_OVER"]
    assert handed == [("ann", first)]


@pytest.mark.fault("F28: a copy of the journal is started on another host, or a backup is put back")
@pytest.mark.timeout(300)
def test_a_copy_of_the_journal_that_sends_is_refused_until_a_person_hands_over(kafka, market, dead, tmp_path):
    first, copy = journal_id(dead), tmp_path / "two"
    shutil.copytree(dead, copy, ignore=shutil.ignore_patterns("*.sock"))
    assert str(dead) in refused(kafka, copy, first)
    assert at_the_venue(copy) == at_the_venue(dead)
    assert market.said == {}
    done = take_over(kafka, copy)
    assert done.exit_code == 0, done.output
    with PlaneInThread(kafka, copy, SETTINGS) as plane:
        said = market.hear(*range(1, 21))
        plane.running()
    assert {journal_of({number: each}) for number, each in said.items()} == {journal_id(copy)}
    assert at_the_venue(copy) == at_the_venue(dead), "nothing was sent again"
    assert journal_id(copy) in refused(kafka, dead, journal_id(copy))


@pytest.mark.fault("F28 F29: the old order plane was only stopped, and goes on after the hand-over")
@pytest.mark.timeout(300)
def test_an_order_plane_that_wakes_after_the_hand_over_sends_nothing_that_its_successor_may_send(
    kafka, market, tmp_path
):
    old, new = tmp_path / "one", tmp_path / "two"
    old.mkdir()
    life = begin_plane("order", SimpleNamespace(order=SETTINGS), kafka, old)
    market.wish(*range(1, 6))
    first = journal_of(market.hear(*range(1, 6)))
    os.kill(life.pid, signal.SIGSTOP)
    market.wish(*range(6, 11))
    refused(kafka, new, first)
    assert take_over(kafka, new).exit_code == 0
    with PlaneInThread(kafka, new, SETTINGS) as plane:
        release(new)
        market.wish(*range(11, 16), symbols=SYMBOLS[2:])
        said = market.hear(*range(6, 16))
        os.kill(life.pid, signal.SIGCONT)
        assert end(life, PATIENCE) not in (0, -signal.SIGKILL)
        plane.running()
    assert {status for number in range(6, 11) for status, _ in said[number]} == {"IN_DOUBT"}
    assert at_the_venue(new) == set(range(11, 16))
    assert at_the_venue(old) >= set(range(1, 6))
    assert at_the_venue(old).isdisjoint(range(11, 16))
    refused(kafka, old, journal_of({number: said[number] for number in range(11, 16)}))


def journal_of(said):
    (name,) = {name for reports in said.values() for _, name in reports}
    return name


def at_the_venue(directory):
    with closing(sqlite3.connect(directory / "paper_venue.sqlite")) as venue:
        return {UUID(name).int for (name,) in venue.execute("SELECT intent_id FROM orders")}
