import json

import pytest

from order_plane.claim_log import claim_of, running_of
from order_plane.journals.audited import AuditedJournal
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import JournalError
from order_plane.last_start import Running, compared
from order_plane.settings import OrderSettings

FIRST = Running("one", "1.0", "c" * 64, "f" * 64, "a" * 64)


class Shared(MemoryJournal):
    """A journal that order planes of several hosts take turns on."""

    shared = True


class Log:
    """An audit log in memory."""

    def __init__(self):
        self.entries = []

    def write(self, entries):
        self.entries += entries


@pytest.fixture
def log():
    return Log()


def details(journal, running, noon):
    return [(each.code, each.detail) for each in compared(journal, running, noon)]


def test_a_start_like_the_last_says_nothing(noon):
    journal = MemoryJournal()
    assert [details(journal, FIRST, noon) for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize("name", ["version", "code", "configuration", "limits"])
def test_what_changed_is_said_once_with_both_values(noon, name):
    journal = MemoryJournal()
    compared(journal, FIRST, noon)
    other = FIRST._replace(**{name: "e" * 64})
    detail = f"changed since the last start, on one: {name} {getattr(FIRST, name)[:12]} -> {'e' * 12}"
    assert details(journal, other, noon) == [("STARTED_OTHERWISE", detail)]
    assert details(journal, other, noon) == []


def test_every_start_is_in_the_audit_log_with_what_it_runs(noon, log):
    journal = AuditedJournal(MemoryJournal(), log)
    compared(journal, FIRST, noon)
    compared(journal, FIRST._replace(limits="b" * 64), noon)
    told = [each for each in log.entries if each["event"] == "STARTED"]
    assert [(each["code"], each["limits"], each["changed"], each["done"]) for each in told] == [
        ("c" * 64, "a" * 64, [], True),
        ("c" * 64, "b" * 64, ["limits"], True),
    ]


def test_a_host_that_was_left_behind_does_not_trade_on_a_shared_journal(noon, log):
    journal = AuditedJournal(Shared(), log)
    compared(journal, FIRST, noon)
    assert details(journal, FIRST._replace(host="two"), noon) == [], "the same there takes over"
    new = FIRST._replace(host="two", code="d" * 64)
    assert details(journal, new, noon) != [], "what is new begins where the last start was"
    with pytest.raises(JournalError, match=r"another code traded on this journal last, on two.*Bring this one \(one\)"):
        compared(journal, FIRST, noon)
    assert log.entries[-1]["done"] is False
    assert details(journal, new, noon) == [], "the host that was refused changed nothing"


def test_a_journal_of_one_host_may_be_moved_to_another(noon):
    journal = MemoryJournal()
    compared(journal, FIRST, noon)
    assert len(details(journal, FIRST._replace(host="two", code="d" * 64), noon)) == 1


@pytest.mark.parametrize("text", ["", "{", "3", "[]", '["one"]', json.dumps([*FIRST, "more"])])
def test_what_cannot_be_read_refuses_to_start(noon, text):
    journal = MemoryJournal()
    journal.note({"last start": text})
    with pytest.raises(JournalError, match="last start"):
        compared(journal, FIRST, noon)


@pytest.mark.parametrize(("named", "host"), [(None, "pod-7f3"), ("orders", "orders")])
def test_a_container_goes_by_the_name_it_was_given(monkeypatch, named, host):
    monkeypatch.setattr("socket.gethostname", lambda: "pod-7f3")
    settings = OrderSettings(host=named)
    assert running_of(settings).host == claim_of(settings, "a" * 32).host == host
    assert running_of(settings)._replace(host="") == running_of(OrderSettings())._replace(host="")


def test_where_things_are_and_how_long_a_host_waits_is_no_difference_and_a_limit_is():
    plain = OrderSettings()
    places = {"journal_path": "elsewhere.sqlite", "paper_store_path": "venue", "journal_wait": 3600}
    assert running_of(OrderSettings.model_validate(places)) == running_of(plain)
    tighter = running_of(OrderSettings.model_validate({"limits": {"max_order_quantity": 5.0}}))
    same = running_of(plain)._replace(limits=tighter.limits, configuration=tighter.configuration)
    assert (tighter == running_of(plain), tighter == same) == (False, True)
