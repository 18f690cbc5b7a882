"""The directory of a run: same facts, same bytes, never overwritten, and it can tell when it was touched."""

import hashlib
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from backtest.artifacts import (
    Failures,
    NotARun,
    RunExists,
    content_digests,
    git_revision,
    load,
    run_directory,
    table_digest,
    verify,
    write_run,
)
from contracts.trading import OrderStatus, Side

FAILURES = Failures(dead_letters={"NOT_JSON": 2}, quarantined={"gap": 1, "duplicate": 3})


def content(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_two_runs_with_the_same_facts_are_byte_identical(market, recorded, provenance, tmp_path):
    first = write_run(tmp_path / "one", recorded(market.messages), provenance, FAILURES)
    second = write_run(tmp_path / "two", recorded(market.messages), provenance, FAILURES)
    assert content(first) == content(second)
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"run-1"}, "no draft is left behind"


def test_late_and_repeated_messages_leave_no_mark_in_any_file(market, recorded, provenance, tmp_path):
    straight = write_run(tmp_path / "backtest", recorded(market.messages), provenance)
    late = market.messages[::-1] + market.messages[: len(market.messages) // 3]
    assert content(write_run(tmp_path / "kafka", recorded(late), provenance)) == content(straight)


def test_the_manifest_holds_the_sha256_of_every_other_file(market, recorded, provenance, tmp_path):
    directory = write_run(tmp_path, recorded(market.messages), provenance)
    files = json.loads((directory / "manifest.json").read_text())["files"]
    expected = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.name != "manifest.json"
    }
    assert files == expected
    assert set(files) == {
        *("bars.parquet", "orders.parquet", "fills.parquet", "positions.parquet", "equity.parquet", "summary.json")
    }
    assert verify(directory) == ()


def test_the_rows_refused_are_part_of_the_run_once_each(market, recorded, provenance, tmp_path):
    findings = tmp_path / "quarantine.jsonl"
    findings.write_text('{"line":7}\n{"line":3}\n{"line":7}\n{"li')  # found again after a restart, and cut off
    directory = write_run(tmp_path / "runs", recorded(market.messages), provenance, Failures(findings=findings))
    assert (directory / "quarantine.jsonl").read_text() == '{"line":7}\n{"line":3}\n'
    assert verify(directory) == ()
    (directory / "quarantine.jsonl").write_text("")
    assert [str(each) for each in verify(directory)] == ["quarantine.jsonl: changed"]


@pytest.mark.parametrize("text", [None, ""])
def test_a_run_without_findings_has_no_file_of_them(market, recorded, provenance, tmp_path, text):
    findings = tmp_path / "quarantine.jsonl"
    if text is not None:
        findings.write_text(text)
    directory = write_run(tmp_path / "runs", recorded(market.messages), provenance, Failures(findings=findings))
    assert not (directory / "quarantine.jsonl").exists()
    assert verify(directory) == ()


def test_a_run_reads_back_as_it_was_recorded(market, recorded, provenance, tmp_path):
    record = recorded(market.messages)
    run = load(write_run(tmp_path, record, provenance))
    assert content_digests(run.tables) == content_digests(record)
    assert run.bars()["symbol"].to_pylist()[:3] == ["AAA", "BBB", "CCC"]
    assert str(run.bars().schema.field("timestamp").type) == "timestamp[us, tz=UTC]"


def test_the_summary_counts_and_names_where_the_run_comes_from(market, recorded, provenance, tmp_path):
    summary = load(write_run(tmp_path, recorded(market.messages), provenance, FAILURES)).summary
    orders = [m for m in market.messages if getattr(m, "event_type", "") == "order_intent"]
    refused = [m for m in market.messages if getattr(m, "status", None) is OrderStatus.REJECTED]
    assert summary["counts"]["bars"] == market.days * len(market.symbols)
    assert summary["counts"]["intents"] == len(orders)
    assert summary["rejections"] == {"MAX_ORDER_VALUE": len(refused)}
    assert summary["dead_letters"] == {"NOT_JSON": 2}
    assert summary["quarantined"] == {"duplicate": 3, "gap": 1}
    assert summary["provenance"]["data_hash"] == provenance.data_hash


def test_an_existing_run_is_refused_and_left_as_it_is(market, recorded, provenance, tmp_path):
    directory = write_run(tmp_path, recorded(market.messages), provenance)
    before = content(directory)
    with pytest.raises(RunExists, match="choose another run id"):
        write_run(tmp_path, recorded(market.messages[:50]), provenance)
    assert content(directory) == before


@pytest.mark.parametrize("run_id", ["", "../elsewhere", "a/b", ".hidden", "a" * 129, "white space"])
def test_a_run_id_is_a_plain_name(tmp_path, run_id):
    with pytest.raises(ValueError, match="run_id"):
        run_directory(tmp_path, run_id)


def test_a_failed_write_leaves_nothing(market, recorded, provenance, tmp_path):
    broken = replace(provenance, configuration={"leverage": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_run(tmp_path / "runs", recorded(market.messages), broken)
    assert list((tmp_path / "runs").iterdir()) == []


def test_verify_names_what_was_changed_removed_and_added(market, recorded, provenance, tmp_path):
    directory = write_run(tmp_path, recorded(market.messages), provenance)
    (directory / "summary.json").write_text("{}")
    (directory / "fills.parquet").unlink()
    (directory / "note.txt").write_text("hello")
    (directory / "report.html").write_text("made later, not part of the run")
    assert [str(difference) for difference in verify(directory)] == [
        "fills.parquet: missing",
        "note.txt: unexpected",
        "summary.json: changed",
    ]


def test_a_directory_that_is_no_run_is_refused_with_what_is_wrong(tmp_path):
    with pytest.raises(NotARun, match=r"manifest\.json"):
        verify(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(NotARun, match="holds no object"):
        load(tmp_path)


def test_digests_tell_which_table_differs(recorded, scenario):
    at = scenario.start
    order = scenario.intent("AAA", at, Side.BUY, 1)
    story = [order, scenario.bar("AAA", at, 10.0), scenario.moment(at, "AAA")]
    cheap = content_digests(recorded([*story, scenario.fill(order, at, 1, 10.0, commission=0.0)]))
    dear = content_digests(recorded([*story, scenario.fill(order, at, 1, 10.0, commission=0.000001)]))
    none = content_digests(recorded(story))
    assert len({cheap.fills, dear.fills, none.fills}) == 3
    assert len({cheap.equity, dear.equity, none.equity}) == 3
    assert cheap.orders != none.orders


def test_a_digest_tells_missing_from_empty_and_one_text_from_two():
    tables = [["ab", "c"], ["a", "bc"], [None, "abc"], ["", "abc"], ["abc", None]]
    assert len({table_digest(pa.table({"x": pa.array(texts, pa.string())})) for texts in tables}) == len(tables)


def test_a_digest_does_not_depend_on_how_a_table_is_cut_into_chunks():
    whole = pa.table({"x": [1.0, -0.0, None, 4.0]})
    cut = pa.concat_tables([whole.slice(0, 1), pa.table({"x": [0.0, None]}), whole.slice(3)])
    assert table_digest(cut) == table_digest(whole)


def test_outside_a_working_tree_the_revision_is_unknown(tmp_path):
    assert git_revision(tmp_path) == "unknown"
