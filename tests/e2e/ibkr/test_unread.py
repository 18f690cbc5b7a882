"""What the library could not hand on is told: an execution that is lost in silence is the worst of losses."""

import pytest
import structlog

from ibkr_client.inbox import Inbox
from ibkr_client.library import load_library, new_client
from ibkr_client.messages import Deaf

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
STATUS = ["3", "1", "Filled", "5", "0", "100.0", "900", "0", "100.0", "1", "", "0"]


class Failing(Deaf):
    """Hears of an order's progress and fails."""

    def order_progress(self, progress):
        """Fail."""
        raise KeyError("secret DU1234567")


@pytest.mark.parametrize("fields", [STATUS, ["3", "1", "Filled", "many"], ["11", "x"]])
def test_a_message_that_could_not_be_taken_in_is_told_without_what_was_in_it(ibkr_library, fields):
    client = new_client(load_library(ibkr_library.__name__), Inbox(Failing()))
    client.decoder.serverVersion = 176
    with structlog.testing.capture_logs() as said:
        client.decoder.interpret([*fields])
    (told,) = said
    assert (told["event"], told["log_level"]) == ("a message of the gateway could not be taken in", "error")
    assert told["error"].endswith("Error")
    assert ".py:" in told["where"]
    assert "DU1234567" not in str(told)
