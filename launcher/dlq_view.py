"""How dead letters look in a terminal; nothing a stranger wrote reaches it unescaped."""

import json
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from contracts.codec import WHOLE
from contracts.dead_letter import DeadLetter
from kernel.dead_letters import Entry, count_by_code
from kernel.redrive import Action, Decision

_SHOWN_BYTES = 4096
_ROW = 16
_WIDE = 120
_CLASS_STYLE = {"POISON": "red", "TRANSIENT": "yellow", "POLICY": "cyan"}
_ACTION_STYLE = {Action.REDRIVE: "green", Action.PARK: "yellow", Action.REFUSE: "red"}


def listing(entries: Sequence[Entry], width: int) -> Table:
    """One row for each dead letter; a terminal of less than 120 columns shows what is needed to choose one."""
    table = Table(title=_number(len(entries), "dead letter"), title_justify="left", header_style="bold")
    wide = width >= _WIDE
    detailed = ("failed at (UTC)", "class", "tries") if wide else ()
    for heading in ("where", *detailed, "refused by", "code", "key", "reason"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("where", "failed at (UTC)", "code", "class"))
    for entry in entries:
        letter = entry.letter
        more = (
            _moment(letter.failed_at if letter else entry.timestamp.isoformat()),
            _failure_class(letter),
            str(letter.redrive_count) if letter else "",
        )
        reason = Text(_safe(f"{where(letter)}: {letter.reason}")) if letter else Text("a stranger's record", "dim")
        refuser = Text(_safe(plane_of(letter.consumer_group)) if letter else "")
        table.add_row(entry.place, *(more if wide else ()), refuser, entry.code, printable(entry.key), reason)
    return table


def plane_of(group: str) -> str:
    """The plane of a consumer group as it is commonly named; another name as it is, but for its prefix."""
    return group.rpartition(".")[2].removeprefix("algotrade-")


def where(letter: DeadLetter) -> str:
    """Which part of the message broke a rule, for a person: the root of a JSON Pointer is the empty text."""
    return letter.path or WHOLE


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def counts(entries: Sequence[Entry]) -> Group:
    """How many there are by topic and error code, most frequent first, and of how many messages.

    Every plane that reads a topic refuses what breaks the contract, so one message may have several dead letters.
    """
    table = Table(title="by error code", title_justify="left", header_style="bold")
    table.add_column("topic")
    table.add_column("code")
    table.add_column("count", justify="right")
    for (topic, code), count in count_by_code(entries).most_common():
        table.add_row(topic, code, str(count))
    sources = _number(len({entry.source for entry in entries}), "source record")
    return Group(table, Text(f"{_number(len(entries), 'dead letter')} of {sources}"))


def detail(entry: Entry, *, full: bool = False) -> Group:
    """Why one dead letter is there, where it came from, and what it says."""
    letter = entry.letter
    parts: list[RenderableType] = []
    if letter is None:
        parts.append(
            Panel("Something else wrote this record; it carries no reason.", title=entry.place, title_align="left")
        )
    else:
        parts += [_why(entry, letter), _where(letter)]
    parts.append(_headers(entry))
    value = entry.value
    size = "null (a tombstone)" if value is None else f"{len(value):,} bytes"
    parts.append(Panel(body(value, full=full), title=f"value: {size}", title_align="left"))
    return Group(*parts)


def decisions(made: Sequence[Decision]) -> Table:
    """What would become, or became, of each dead letter."""
    table = Table(header_style="bold")
    for heading in ("dead letter", "action", "to", "because"):
        table.add_column(heading, overflow="fold")
    for each in made:
        action = Text(each.action.value, _ACTION_STYLE[each.action])
        table.add_row(each.entry.place, action, each.destination, Text(_safe(each.reason)))
    return table


def body(value: bytes | None, *, full: bool = False) -> Text:
    """``value`` as indented JSON when that hides nothing, else as text, else as a hex dump."""
    if not value:
        return Text("(empty)", "dim")
    shown = value if full else value[:_SHOWN_BYTES]
    rest = (
        Text(f"\n... {len(value) - len(shown):,} bytes more; --full shows them", "dim") if shown != value else Text("")
    )
    pretty = _pretty(value)
    if pretty is not None and (full or len(pretty) <= 2 * _SHOWN_BYTES):
        return Text(_safe(pretty, keep="\n"))
    try:
        text = shown.decode("utf-8")
    except UnicodeDecodeError:
        return Text(_hex(shown)) + rest
    if any(not character.isprintable() and character not in "\r\n\t" for character in text):
        return Text(_hex(shown)) + rest
    return Text(_safe(text, keep="\n")) + rest


def printable(raw: bytes | None) -> Text:
    """Bytes of a key or header as text that cannot steer a terminal."""
    if raw is None:
        return Text("null", "dim")
    return Text(_safe(raw.decode("utf-8", "backslashreplace")))


def _why(entry: Entry, letter: DeadLetter) -> Panel:
    table = _pairs()
    table.add_row("reason", Text(_safe(letter.reason)))
    table.add_row("at", Text(_safe(where(letter))))
    table.add_row("code", f"{letter.code}, refused by {letter.stage} ({letter.class_name})")
    table.add_row("class", _failure_class(letter))
    table.add_row("failed", f"{_moment(letter.failed_at)}, first {_moment(letter.first_failed_at)}")
    table.add_row("tries", f"{letter.redrive_count} redriven")
    table.add_row("dlq.id", letter.dlq_id)
    return Panel(table, title=f"why {entry.place} is here", title_align="left", border_style="red")


def _where(letter: DeadLetter) -> Panel:
    table = _pairs()
    table.add_row("read from", f"{letter.source_topic}/{letter.source_partition}/{letter.source_offset}")
    table.add_row("first from", f"{letter.origin_topic}/{letter.origin_partition}/{letter.origin_offset}")
    table.add_row("key", printable(letter.key))
    table.add_row(
        "refused by", Text(_safe(f"{letter.consumer_group} as {letter.instance}, version {letter.app_version}"))
    )
    table.add_row("written by", Text(_safe(letter.producer_id or "not said")))
    table.add_row(
        "schema", Text(_safe(f"{letter.schema_claimed or 'none'} (expected {letter.schema_expected or 'any'})"))
    )
    table.add_row("intent", letter.intent_id or "none found")
    table.add_row("trace", letter.correlation_id or "none")
    table.add_row("intact", "yes, SHA-256 matches" if letter.intact else Text("NO: the value was changed", "red"))
    return Panel(table, title="where it came from", title_align="left")


def _headers(entry: Entry) -> Panel:
    headers = entry.letter.headers if entry.letter else entry.headers
    table = _pairs()
    for name, value in headers:
        table.add_row(Text(_safe(name)), printable(value))
    return Panel(table if headers else Text("none", "dim"), title="its own headers", title_align="left")


def _pairs() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _failure_class(letter: DeadLetter | None) -> Text:
    name = letter.failure_class if letter else ""
    return Text(_safe(name), _CLASS_STYLE.get(name, ""))


def _moment(text: str) -> str:
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return _safe(text)


def _pretty(value: bytes) -> str | None:
    def each_key_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    try:
        return json.dumps(json.loads(value, object_pairs_hook=each_key_once), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None


def _hex(raw: bytes) -> str:
    lines = []
    for start in range(0, len(raw), _ROW):
        row = raw[start : start + _ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:06x}  {row.hex(' '):<{_ROW * 3 - 1}}  |{text}|")
    return "\n".join(lines)


def _safe(text: str, keep: str = "") -> str:
    return "".join(
        character if character.isprintable() or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )
