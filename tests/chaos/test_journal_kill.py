"""Promise: kill -9 at any named moment, restart, redelivery: one order for each intent, fills of a quiet run."""

import json
import signal
import sqlite3

import pytest
from drills import LONG
from lives import begin, end

HARMLESS = ("before_intended", "after_intended", "after_acked", "after_report", "before_commit")
DOUBTFUL = ("after_submitting", "after_send")
"""A kill at these leaves orders of which nobody knows whether they left."""


def live(directory, crash_point="", overlapping=False):
    """One life of the order plane over what is left of the script; returns its exit code."""
    return end(begin(directory, crash_point, overlapping=overlapping))


def told(directory):
    """What a consumer that recognises repeated reports ends up with: each report once, by intent and sequence."""
    reports = {}
    for line in (directory / "said.jsonl").read_text().splitlines():
        report = json.loads(line)
        earlier = reports.setdefault(report["report_id"], report)
        assert earlier == report, "a repeated report must repeat its content"
    return sorted(reports.values(), key=lambda report: (report["intent_id"], report["sequence"]))


def orders_at_venue(directory):
    connection = sqlite3.connect(directory / "venue.sqlite")
    try:
        return connection.execute("SELECT intent_id, filled FROM orders ORDER BY intent_id").fetchall()
    finally:
        connection.close()


def states(directory):
    connection = sqlite3.connect(directory / "journal.sqlite")
    try:
        return dict(connection.execute("SELECT state, count(*) FROM intents GROUP BY state").fetchall())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    directory = tmp_path_factory.mktemp("quiet")
    assert live(directory) == 0
    return directory


def test_the_script_exercises_every_kind_of_end(quiet):
    assert {report["status"] for report in told(quiet)} == {
        "ACKNOWLEDGED",
        "PARTIAL_FILL",
        "FILLED",
        "REJECTED",
        "CANCELED",
        "EXPIRED",
    }


@pytest.mark.fault("F3 F4 F7 F8: kill -9 of the order plane where nothing is in flight")
@pytest.mark.parametrize("passage", [1, 2, 5] if LONG else [2])
@pytest.mark.parametrize("moment", HARMLESS)
def test_a_kill_changes_nothing(quiet, tmp_path, moment, passage):
    assert live(tmp_path, f"{moment}:{passage}") == -signal.SIGKILL, "the crash point was never reached"
    assert live(tmp_path) == 0
    assert orders_at_venue(tmp_path) == orders_at_venue(quiet)
    assert told(tmp_path) == told(quiet)
    assert states(tmp_path) == states(quiet)


@pytest.mark.fault("F5 F6: kill -9 of the order plane around the sending")
@pytest.mark.parametrize("passage", [2, 5] if LONG else [2])
@pytest.mark.parametrize("moment", DOUBTFUL)
def test_a_kill_around_the_sending_leaves_no_order_twice_and_none_unseen(quiet, tmp_path, moment, passage):
    assert live(tmp_path, f"{moment}:{passage}") == -signal.SIGKILL, "the crash point was never reached"
    assert live(tmp_path) == 0
    found_again(quiet, tmp_path)


@pytest.mark.fault("F6: kill -9 of the order plane between the orders that a venue has and has not answered to")
@pytest.mark.parametrize("passage", [1, 2, 4, 5] if LONG else [2])
def test_a_kill_among_orders_that_overlap_leaves_no_order_twice_and_none_unseen(quiet, tmp_path, passage):
    assert live(tmp_path, f"after_dispatch:{passage}", overlapping=True) == -signal.SIGKILL
    assert len(orders_at_venue(tmp_path)) == passage
    assert states(tmp_path)["SUBMITTING"] == 3, "some of one settlement have left and some have not, unanswered all"
    assert live(tmp_path, overlapping=True) == 0
    found_again(quiet, tmp_path)


def test_a_venue_that_overlaps_comes_to_the_same_end(quiet, tmp_path):
    assert live(tmp_path, overlapping=True) == 0
    assert orders_at_venue(tmp_path) == orders_at_venue(quiet)
    assert states(tmp_path) == states(quiet)


def found_again(quiet, tmp_path):
    """After a kill among orders on their way: those the venue has are adopted, the others shown in doubt."""
    sent = [intent_id for intent_id, _ in orders_at_venue(tmp_path)]
    assert len(sent) == len(set(sent))
    ends = {report["intent_id"]: report["status"] for report in told(tmp_path)}
    assert ends.keys() == {report["intent_id"] for report in told(quiet)}
    doubtful = {intent_id for intent_id, status in ends.items() if status == "IN_DOUBT"}
    assert doubtful
    assert doubtful.isdisjoint(sent), "the venue shows it, so it must be adopted"
    assert states(tmp_path)["IN_DOUBT"] == len(doubtful)


@pytest.mark.fault("F3 F4 F7 F8: one kill -9 after another")
def test_a_kill_in_every_life_changes_nothing(quiet, tmp_path):
    for moment in HARMLESS:
        assert live(tmp_path, f"{moment}:2") in (0, -signal.SIGKILL)
    assert live(tmp_path) == 0
    assert orders_at_venue(tmp_path) == orders_at_venue(quiet)
    assert told(tmp_path) == told(quiet)


@pytest.mark.fault("F31: order_intents again from offset 0")
def test_the_whole_script_again_from_the_start_makes_no_order(quiet, tmp_path):
    assert live(tmp_path) == 0
    (tmp_path / "committed").unlink()
    assert live(tmp_path) == 0
    assert orders_at_venue(tmp_path) == orders_at_venue(quiet)
    assert told(tmp_path) == told(quiet)
