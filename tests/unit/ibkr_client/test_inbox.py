from types import SimpleNamespace

import pytest

from ibkr_client.inbox import Inbox
from ibkr_client.messages import Commission, Listener


class Heard(Listener):
    def __init__(self):
        self.told = []

    def commission(self, commission):
        self.told.append(commission)


@pytest.mark.parametrize("amount", [1.7976931348623157e308, float("inf"), float("-inf"), float("nan")])
def test_a_commission_that_is_not_set_is_not_told(amount):
    heard = Heard()
    inbox = Inbox(heard)
    inbox.commissionReport(SimpleNamespace(execId="a.01", commission=amount, currency="USD"))
    assert heard.told == []
    inbox.commissionReport(SimpleNamespace(execId="a.01", commission=-0.25, currency="USD"))
    assert heard.told == [Commission("a.01", -0.25, "USD")]
