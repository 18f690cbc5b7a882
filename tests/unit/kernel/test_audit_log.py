"""Entries of the audit log cannot be changed or removed unnoticed."""

import json

import pytest

from kernel.audit_log import AuditBroken, AuditLog


@pytest.fixture
def log(tmp_path):
    log = AuditLog(tmp_path / "state" / "audit.jsonl")
    for number in range(3):
        log.append({"operator": "ann", "number": str(number)})
    return log


def lines(tmp_path):
    return (tmp_path / "state" / "audit.jsonl").read_text("utf-8").splitlines()


def rewrite(tmp_path, kept):
    (tmp_path / "state" / "audit.jsonl").write_text("".join(line + "\n" for line in kept), "utf-8")


def test_entries_are_read_back_in_order_and_chained(log):
    entries = log.entries()
    assert [entry["number"] for entry in entries] == ["0", "1", "2"]
    assert [entry["previous"] for entry in entries[1:]] == [entry["hash"] for entry in entries[:-1]]
    assert log.head == entries[-1]["hash"]


def test_an_empty_log_has_no_entries(tmp_path):
    assert AuditLog(tmp_path / "none").entries() == []


def test_an_edited_entry_is_found_and_nothing_is_added(log, tmp_path):
    rewrite(tmp_path, [line.replace("ann", "bob") if '"1"' in line else line for line in lines(tmp_path)])
    with pytest.raises(AuditBroken, match="line 2"):
        log.entries()
    with pytest.raises(AuditBroken):
        log.append({"operator": "ann"})
    assert len(lines(tmp_path)) == 3


def test_a_removed_entry_is_found(log, tmp_path):
    first, _, last = lines(tmp_path)
    rewrite(tmp_path, [first, last])
    with pytest.raises(AuditBroken, match="line 2"):
        log.entries()


@pytest.mark.parametrize("junk", ["{}", "[]", "1", "not json", json.dumps({"previous": "0", "hash": 1})])
def test_a_foreign_line_is_found(log, tmp_path, junk):
    rewrite(tmp_path, [*lines(tmp_path), junk])
    with pytest.raises(AuditBroken, match="line 4"):
        log.entries()


def test_a_torn_last_line_is_found(log, tmp_path):
    path = tmp_path / "state" / "audit.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(AuditBroken, match="torn"):
        log.append({"operator": "ann"})
