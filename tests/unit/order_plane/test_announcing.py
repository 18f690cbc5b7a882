import pytest
from order_messages import NOON, an_intent
from structlog.testing import capture_logs

from order_plane.alerts import all_clear, critical, warning
from order_plane.announcing import Announcer
from order_plane.safety.symbol_halts import halt_command


def test_halts_and_critical_alerts_are_logged_wherever_they_were_said():
    halt = halt_command("AAPL", "it holds 7", NOON, "7", "RECONCILIATION_MISMATCH")
    announcer = Announcer()
    with capture_logs() as logged:
        announcer.handled(None, (halt, critical("ORDER_IN_DOUBT", "who knows", NOON, "MSFT")), 0.0)
        announcer.settled([an_intent(), warning("RECONCILED", "all well", NOON)], 0.0)
    stopped, alert = logged
    assert (stopped["event"], stopped["target"], stopped["reason"]) == ("trading is stopped", "AAPL", "it holds 7")
    assert (alert["code"], alert["symbol"], alert["detail"]) == ("ORDER_IN_DOUBT", "MSFT", "who knows")
    assert {each["log_level"] for each in logged} == {"warning"}


def test_that_something_critical_is_over_is_logged_without_alarm():
    with capture_logs() as logged:
        Announcer().said([all_clear("DOUBT_SETTLED", "it is known", NOON, "MSFT")])
    assert logged == [
        {"event": "all clear", "log_level": "info", "code": "DOUBT_SETTLED", "symbol": "MSFT", "detail": "it is known"}
    ]


@pytest.mark.parametrize(("engage", "text"), [(True, "trading is stopped"), (False, "trading is released")])
def test_a_command_says_what_it_does(make_command, engage, text):
    with capture_logs() as logged:
        Announcer().said([make_command(engage)])
    assert [each["event"] for each in logged] == [text]
