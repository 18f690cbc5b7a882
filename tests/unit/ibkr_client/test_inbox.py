import asyncio
from types import SimpleNamespace

import pytest

from ibkr_client.inbox import Inbox
from ibkr_client.messages import Commission, HistoryBar, Listener


class Heard(Listener):
    def __init__(self):
        self.told = []

    def commission(self, commission):
        self.told.append(commission)

    def lost(self):
        self.told.append("lost")


@pytest.mark.parametrize("amount", [1.7976931348623157e308, float("inf"), float("-inf"), float("nan")])
def test_a_commission_that_is_not_set_is_not_told(amount):
    heard = Heard()
    inbox = Inbox(heard)
    inbox.commissionReport(SimpleNamespace(execId="a.01", commission=amount, currency="USD"))
    assert heard.told == []
    inbox.commissionReport(SimpleNamespace(execId="a.01", commission=-0.25, currency="USD"))
    assert heard.told == [Commission("a.01", -0.25, "USD")]


FIRST = ["1720618200", "1.5", "2.5", "0.5", "2.25", "300", "1.7", "12"]
SECOND = ["1720618260", "2.25", "2.75", "2", "2.5", "400.5", "2.4", "9"]
TWO_BARS = ["17", "7", "begin", "end", "2", *FIRST, *SECOND]


async def answered(*messages):
    """What a request with number 7 is answered by messages about bars; None when it still waits."""
    inbox = Inbox(Heard())
    answer = inbox.expect(7)
    for fields in messages:
        inbox.bars(fields)
    return answer.result() if answer.done() else None


def test_bars_of_the_past_are_the_numbers_that_were_sent():
    assert asyncio.run(answered(TWO_BARS)) == [
        HistoryBar("1720618200", 1.5, 2.5, 0.5, 2.25, 300.0),
        HistoryBar("1720618260", 2.25, 2.75, 2.0, 2.5, 400.5),
    ]


def test_an_answer_without_bars_is_an_answer():
    assert asyncio.run(answered(["17", "7", "", "", "0"])) == []


def test_bars_that_nobody_asked_for_answer_nothing():
    assert asyncio.run(answered(["17", "8", *TWO_BARS[2:]])) is None


def test_an_answer_that_breaks_off_is_none():
    for missing in (1, 8):
        with pytest.raises(ValueError, match="fewer"):
            asyncio.run(answered(TWO_BARS[:-missing]))


def test_a_connection_that_is_gone_is_told_once_however_late_its_library_says_so_too():
    heard = Heard()
    inbox = Inbox(heard)
    inbox.close()
    inbox.connectionClosed()
    assert heard.told == ["lost"]
