import json
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from typer.testing import CliRunner

from contracts.codec import encode
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import OrderStatus
from kernel.audit_trail import AuditTrail, entries, verify
from kernel.ports import Unprocessable
from kernel.signing import public_key_at
from launcher.audit_cli import app as audit_app
from order_plane.command_channel import CommandRefused
from order_plane.composition import build_stage, durable_journal
from order_plane.effects import SubmitOrder
from order_plane.facts import Fact, FactKind
from order_plane.journals.audited import AuditedJournal, gaps
from order_plane.journals.memory import MemoryJournal
from order_plane.journals.port import Answer, Refused, Resolution, RowState, Verdict
from order_plane.lifecycle import History
from order_plane.operator_commands import operator_commands
from order_plane.reports import execution_report
from order_plane.settings import Mode, OrderSettings

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)


class Kept:
    def __init__(self):
        self.batches = []

    def write(self, entries):
        self.batches.append(entries)

    def rest(self):
        self.batches.append("rest")

    def close(self):
        pass


def test_the_log_rests_when_the_journal_does():
    log = Kept()
    AuditedJournal(MemoryJournal(), log).rest()
    assert log.batches[1:] == ["rest"]


def test_every_decision_is_told_once_in_one_batch_for_each_transaction(make_intent, make_command, noon):
    log = Kept()
    journal = AuditedJournal(MemoryJournal(), log)
    refusal = execution_report(make_intent(2), "none", 1, OrderStatus.REJECTED, History(0.0), noon, "LIMIT: too much")
    journal.begin([SubmitOrder(make_intent(1), "ACC")], [Refused(make_intent(2), "ACC", refusal)], 0)
    name = UUID(int=1)
    report = execution_report(make_intent(1), "o", 1, OrderStatus.IN_DOUBT, History(0.0), noon)
    fact = Fact(name, FactKind.CANCEL_REQUESTED, "kill", noon)
    journal.conclude([Answer(name, 1, RowState.IN_DOUBT)], [fact], [report], 0)
    journal.record_command(make_command(True))
    journal.record_command(make_command(True))
    journal.sign(Resolution(name, 1, Verdict.NOT_SENT, "ann", "looked", noon))
    journal.sign(Resolution(name, 1, Verdict.NOT_SENT, "bob", "late", noon))
    told = [[entry["event"] for entry in batch] for batch in log.batches]
    assert told == [
        ["OPENED"],
        ["INTENT", "INTENT", "SUBMIT"],
        ["ANSWER", "FACT", "REPORT"],
        ["KILL_SWITCH"],
        ["RESOLUTION"],
        ["RESOLUTION"],
    ]
    flat = [entry for batch in log.batches for entry in batch]
    assert [entry["verdict"] for entry in flat if entry["event"] == "INTENT"] == ["ADMITTED", "LIMIT: too much"]
    assert [(entry["operator"], entry["done"]) for entry in flat[-2:]] == [("ann", True), ("bob", False)]
    numbers = [batch[0]["transaction"] for batch in log.batches]
    assert numbers == [0, 1, 2, 3, 4, 4]


def test_a_paper_plane_is_audited_and_a_backtest_is_not(tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "j.sqlite", paper_store_path=tmp_path / "p.sqlite")
    build_stage(settings).close()
    assert settings.audit_path.exists()
    assert settings.audit_path.with_suffix(".pub").exists()
    elsewhere = tmp_path / "quiet"
    quiet = OrderSettings(mode=Mode.SIMULATION, journal_path=elsewhere / "j.sqlite")
    build_stage(quiet).close()
    durable_journal(OrderSettings(journal_path=elsewhere / "j.sqlite", audit=False)).close()
    assert not [path for path in elsewhere.iterdir() if "audit" in path.name]


def test_a_change_of_limits_is_in_the_chain_with_who_why_and_both_values(tmp_path):
    settings = OrderSettings(
        journal_path=tmp_path / "j.sqlite", paper_store_path=tmp_path / "p.sqlite", limits={"restricted": ["X", "A"]}
    )
    stage = build_stage(settings)
    reload = operator_commands(stage, list)["limits"]
    signed = {"operator": "ann", "reason": "a calmer day"}
    tighter = settings.limits.model_copy(update={"max_order_value": 10.0, "restricted": frozenset("AXB")})
    assert reload({"limits": tighter.model_dump(mode="json"), **signed}) == {
        "changed": ["max_order_value", "restricted"]
    }
    with pytest.raises(CommandRefused, match="looser"):
        reload({"limits": settings.limits.model_dump(mode="json"), **signed})
    for missing in signed:
        with pytest.raises(CommandRefused, match="named operator"):
            reload({"limits": tighter.model_dump(mode="json"), **signed, missing: " "})
    stage.close()
    done, refused = [each for each in entries(settings.audit_path) if each["event"] == "LIMITS"]
    assert (done["operator"], done["reason"], done["done"]) == ("ann", "a calmer day", True)
    assert done["changed"] == {"max_order_value": [1_000_000.0, 10.0], "restricted": [["A", "X"], ["A", "B", "X"]]}
    assert (refused["done"], refused["sha256_before"]) == (False, done["sha256_after"])
    assert refused["sha256_after"] == done["sha256_before"] != done["sha256_after"]
    assert "looser" in refused["refusal"]


def a_plane(tmp_path):
    settings = OrderSettings(journal_path=tmp_path / "j.sqlite", paper_store_path=tmp_path / "p.sqlite")
    stage = build_stage(settings)
    stage.recover()
    return settings, stage


def refusals(settings):
    return [each for each in entries(settings.audit_path) if each["event"] == "COMMAND_REFUSED"]


def a_release(command_id, **changes):
    fields = {"command_id": UUID(int=command_id), "timestamp": NOON, "engage": False, "operator": "mallory"}
    return KillSwitchCommand(**fields, reason="let me trade", **changes)


SIGNED = {"operator": "mallory", "reason": "it is mine", "intent_id": str(UUID(int=5))}


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("cancel", SIGNED),
        ("replace", SIGNED | {"quantity": 5.0}),
        ("replace", SIGNED),
        ("book", SIGNED | {"fill": "f-1", "quantity": 1.0, "price": 2.0, "at": NOON.isoformat()}),
        ("resolve", SIGNED | {"attempt": 1, "verdict": "SEND_AGAIN", "at": NOON.isoformat()}),
        ("resolve", SIGNED),
        ("limits", SIGNED | {"limits": {"max_order_valeu": 1.0}}),
        ("cancel", SIGNED | {"operator": {"deep": [float("nan"), "x" * 9_999]}, "event": "OPENED", "done": True}),
        ("kill", {"message": "no command, says mallory"}),
        ("kill", {"message": encode(a_release(1)).decode()}),
        ("release", {"message": encode(a_release(2, scope=KillScope.SYMBOL, target="AAPL")).decode()}),
    ],
)
def test_a_command_that_is_refused_is_in_the_chain_once_with_who_wanted_what_and_why_not(tmp_path, name, fields):
    settings, stage = a_plane(tmp_path)
    with pytest.raises(CommandRefused) as refused:
        operator_commands(stage, list)[name](fields)
    stage.close()
    (entry,) = refusals(settings)
    assert (entry["command"], entry["done"], entry["refusal"]) == (name, False, str(refused.value)[:512])
    assert "mallory" in str(entry) or "deep" in str(entry)
    assert len(json.dumps(entry)) < 6_000
    assert verify(settings.audit_path, public_key_at(settings.audit_path.with_suffix(".pub"))).unanchored == 0


@pytest.mark.parametrize("way", ["socket", "Kafka"])
def test_a_release_that_is_refused_is_in_the_chain_once_however_often_it_is_heard(tmp_path, way):
    settings, stage = a_plane(tmp_path)
    kill = KillSwitchCommand(command_id=UUID(int=1), timestamp=NOON, engage=True, operator="ann", reason="drill")
    commands = operator_commands(stage, list)
    commands["kill"]({"message": encode(kill).decode()})
    release = a_release(2)
    ways = {
        "socket": lambda: commands["kill"]({"message": encode(release).decode()}),
        "Kafka": lambda: stage.handlers[KillSwitchCommand](release),
    }
    for _ in range(3):
        with pytest.raises((CommandRefused, Unprocessable)):
            ways[way]()
    stage.close()
    (entry,) = refusals(settings)
    assert (entry["operator"], entry["reason"], entry["command"]) == ("mallory", "let me trade", "kill")
    assert "newest command" in entry["refusal"]


class Killed(BaseException):
    """What ends a life between the journal's commit and the log."""


@pytest.mark.parametrize("lost", ["SUBMIT", "ANSWER", None])
def test_what_a_kill_kept_from_the_log_is_named_and_the_chain_still_holds(
    tmp_path, monkeypatch, lost, make_bar, make_intent
):
    write = AuditTrail.write

    def killed(trail, told):
        if lost is not None and any(each["event"] == lost for each in told):
            raise Killed
        write(trail, told)

    settings, stage = a_plane(tmp_path)
    monkeypatch.setattr(AuditTrail, "write", killed)
    with suppress(Killed):
        for message in (make_bar(), make_intent(1)):
            stage.handlers[type(message)](message)
        stage.settle()
    with suppress(Killed):
        stage.close()
    monkeypatch.undo()
    a_plane(tmp_path)[1].close()
    found = [*gaps(entries(settings.audit_path))]
    assert len(found) == (lost is not None)
    assert all(gap.first <= gap.last for gap in found)
    assert verify(settings.audit_path, public_key_at(settings.audit_path.with_suffix(".pub"))).unanchored == 0
    shown = CliRunner().invoke(audit_app, ["verify", str(settings.audit_path)])
    assert (shown.exit_code, shown.output.count("have no entry")) == (0, len(found))


def test_a_log_that_begins_after_its_journal_says_so_and_another_journal_begins_anew():
    def opened(name, number):
        return {"event": "OPENED", "journal": name, "transaction": number}

    told = [opened("a", 3), {"event": "SUBMIT", "transaction": 4}, opened("a", 4), opened("b", 0), opened("b", 2)]
    assert [*gaps(told)] == [("a", 1, 3), ("b", 1, 2)]
