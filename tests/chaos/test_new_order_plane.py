"""Promise: a new order plane tells reports of another journal, which it must not trade behind, from mere rubbish."""

import pytest
from planes_on_kafka import FOREIGN_REPORT, PlaneInThread, report

from contracts.codec import encode
from order_plane.journals.port import JournalError


@pytest.mark.fault("F25 F28: poison on the reports of a new order plane")
@pytest.mark.parametrize("value", [b"\xff", b"", encode(FOREIGN_REPORT)[:-1]], ids=["byte", "nothing", "cut off"])
def test_a_record_that_is_no_report_stops_no_new_order_plane(kafka, tmp_path, value):
    report(kafka, value)
    with PlaneInThread(kafka, tmp_path) as plane:
        assert plane.started()


@pytest.mark.fault("F28: two order planes on two journals")
def test_a_new_order_plane_behind_reports_of_another_journal_is_refused(kafka, tmp_path):
    report(kafka, b"\xff")
    report(kafka, encode(FOREIGN_REPORT))
    with PlaneInThread(kafka, tmp_path) as plane, pytest.raises(JournalError, match=r"another journal \(other\)"):
        plane.ended()
