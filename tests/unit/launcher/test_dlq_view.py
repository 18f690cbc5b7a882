"""How dead letters look in a terminal."""

from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from contracts.codec import ErrorCode, FieldError
from contracts.dead_letter import Refuser, SourceRecord, dead_letter_headers, parse_dead_letter
from kernel.dead_letters import Entry
from launcher.dlq_view import counts, detail, listing

NOW = datetime(2024, 1, 2, tzinfo=UTC)


def entry(offset, source_offset, group, path=""):
    source = SourceRecord("demo.market_events", 0, source_offset, b"A", b"junk")
    error = FieldError(path, "not JSON", ErrorCode.NOT_JSON)
    headers = dead_letter_headers(source, error, Refuser(group, "1", "1.0"), NOW)
    letter = parse_dead_letter(headers, b"A", b"junk")
    return Entry("dlq_market_events", 0, offset, NOW, b"A", b"junk", tuple(headers), letter)


def shown(*what, width=80):
    console = Console(width=width)
    with console.capture() as said:
        console.print(*what)
    return said.get()


TWICE = [
    entry(0, 7, "demo.algotrade-strategy"),
    entry(1, 7, "demo.algotrade-order"),
    entry(2, 9, "demo.algotrade-order", "/low"),
]


def test_each_row_names_the_plane_that_refused():
    for width in (80, 160):
        rows = [line for line in shown(listing(TWICE, width), width=width).splitlines() if "dlq_market" in line]
        assert ["strategy" in row for row in rows] == [True, False, False]
        assert [" order " in row for row in rows] == [False, True, True]


def test_the_closing_line_counts_messages_beside_their_letters():
    assert "3 dead letters of 2 source records" in shown(counts(TWICE))
    assert "1 dead letter of 1 source record\n" in shown(counts(TWICE[:1])).replace(" \n", "\n")


def test_a_fault_of_the_whole_message_is_said_in_words():
    assert "the message" in shown(detail(TWICE[0]))
    assert "/low" in shown(detail(TWICE[2]))
    assert str(FieldError("", "not JSON", ErrorCode.NOT_JSON)) == "the message: not JSON [NOT_JSON]"
    assert dict(TWICE[0].headers).get("dlq.error.path") is None


def test_a_row_of_bytes_is_one_line_in_a_terminal_of_80_columns():
    raw = bytes(range(128, 160))
    rows = [line for line in shown(detail(replace(TWICE[0], value=raw))).splitlines() if "." * 16 in line]
    assert [row.split()[1] for row in rows] == ["000000", "000010"]
    assert all(row.count("|") == 2 for row in rows)
