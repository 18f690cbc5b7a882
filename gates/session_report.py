"""A session as a table of orders and as a page that needs nothing but itself."""

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from uuid import UUID

from backtest.tables import Tables
from gates.artifact import Check, Measured, PaperLog, Subject
from gates.context import Source
from gates.render import subject_rows

COLUMNS = ("intent_id", "decided_at", "symbol", "side", "quantity", "filled_quantity", "avg_fill_price", "status")
_WIDTH, _HEIGHT = 800.0, 200.0
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
    ".no{color:#b00020;font-weight:bold}svg{width:100%;height:auto;border:1px solid #ccc}"
)


def metrics_csv(tables: Tables, own: Mapping[UUID, float], mock: Mapping[UUID, float], subject: Subject) -> str:
    """One line for each order: what became of it, and how long it took at the gateway and at the mock (ms).

    Each names configuration and code as the artifact does: any reader of tables takes that, and sessions can be joined.
    """
    text = io.StringIO()
    about = {
        "configuration": subject.configuration,
        **{f"code_{name}": value for name, value in subject.code.model_dump().items()},
    }
    known = [name for name in COLUMNS if name in tables.orders.column_names]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*known, "acknowledged_ms", "mock_ms", *about])
    for row in tables.orders.select(known).to_pylist():
        intent = UUID(row["intent_id"])
        taken = (_milliseconds(own, intent), _milliseconds(mock, intent))
        writer.writerow([*(row[name] for name in known), *taken, *about.values()])
    return text.getvalue()


def report_html(
    found: PaperLog, checks: Sequence[Check], paper: Tables, backtest: Tables, source: Source, subject: Subject
) -> str:
    """The page of a session."""
    why = f" ({'; '.join(source[1])})" if source[1] else ""
    results = [(each.name, "passed" if each.passed else "FAILED", each.required, each.found) for each in checks]
    speeds = [("gateway", *_figures(found.latency)), ("mock", *_figures(found.mock_latency))]
    told = found.model_dump(mode="json").items()
    figures = [(name, "none" if value is None else value) for name, value in told if not isinstance(value, dict)]
    parts = [
        "<h1>Paper session</h1>",
        f"<p>Where this evidence comes from: <b>{escape(source[0].value)}</b>{escape(why)}</p>",
        "<h2>Checks</h2>",
        _table(("check", "result", "required", "found"), results),
        "<h2>Equity</h2><p>solid: the session; dashed: the backtest over the same bars</p>",
        _chart(paper, backtest),
        "<h2>Latency until the gateway had an order, ms</h2>",
        _table(("", "orders", "p50", "p90", "p99", "largest"), speeds),
        "<h2>Figures</h2>",
        _table(("", "value"), figures),
        "<h2>Circumstances</h2>",
        _table(("circumstance", "value"), subject_rows(subject)),
    ]
    head = f'<meta charset="utf-8"><title>Paper session</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _chart(paper: Tables, backtest: Tables) -> str:
    lines = [each.equity.column("equity").to_pylist() for each in (paper, backtest)]
    every = [value for line in lines for value in line]
    if not every:
        return "<p>no slices</p>"
    low, high = min(every), max(every)
    drawn = []
    for line, dash in zip(lines, ("", ' stroke-dasharray="6 4"'), strict=True):
        step = _WIDTH / max(1, len(line) - 1)
        heights = [_HEIGHT * (1.0 - (value - low) / ((high - low) or 1.0)) for value in line]
        points = " ".join(f"{number * step:.1f},{height:.1f}" for number, height in enumerate(heights))
        drawn.append(f'<polyline fill="none" stroke="#1a4f8b"{dash} points="{points}"/>')
    return f'<svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img" aria-label="equity">{"".join(drawn)}</svg>'


def _table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in headings)
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    kind = ' class="no"' if value == "FAILED" else ""
    return f"<td{kind}>{escape(str(value))}</td>"


def _figures(measured: Measured) -> tuple[float, ...]:
    return measured.count, measured.p50, measured.p90, measured.p99, measured.largest


def _milliseconds(seconds: Mapping[UUID, float], intent: UUID) -> str:
    return f"{seconds[intent] * 1000:.4f}" if intent in seconds else ""
