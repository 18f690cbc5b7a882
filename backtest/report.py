"""One self-contained HTML page that shows a run: no network, no server, readable on a phone."""

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
import pyarrow as pa
from plotly.offline import get_plotlyjs

from backtest.artifacts import REPORT, Run, load, verify
from backtest.report_figures import Charts, charts, monthly_returns
from backtest.report_signals import signal_section
from backtest.summary import JSON, paid_commissions, realised_profits, traded_values
from backtest.summary_view import FIGURES, caveat, shown, sign, titled, told_alerts

KEY_FIGURES = {
    "total_return": "Total return",
    "cagr": "CAGR",
    "sharpe": "Sharpe",
    "max_drawdown": "Max drawdown",
    "volatility": "Volatility",
    "final_equity": "Final equity",
    "hit_rate": "Winning trades",
    "commission": "Commission",
}
"""What a reader wants to know first, with names short enough for a phone."""
SYMBOL_ROWS = 100
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Year")


def write_report(run_directory: Path, to: Path | None = None) -> Path:
    """Write the page of a run, by default as ``report.html`` beside its tables, and return its path.

    Raises:
        NotARun: when the directory does not hold a complete run.
    """
    run = load(run_directory)
    differences = [str(difference) for difference in verify(run_directory)]
    page = _page(run, charts(run), differences)
    target = to or run_directory / REPORT
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, delete=False) as draft:
        draft.write(page)
    Path(draft.name).chmod(0o644)
    return Path(draft.name).replace(target)


def _page(run: Run, drawn: Charts, differences: Sequence[str]) -> str:
    summary = run.summary
    provenance = _mapping(summary, "provenance")
    return _asset("report.html").substitute(
        title=escape(str(provenance.get("run_id", run.directory.name))),
        mode=escape(str(provenance.get("mode", "unknown"))),
        subtitle=_subtitle(run),
        banner=_banner(differences),
        tiles="".join(_tile(summary, figure, name) for figure, name in KEY_FIGURES.items()),
        figures=_pairs((titled(summary, figure), escape(shown(summary, figure))) for figure in FIGURES),
        short=escape(caveat(summary)),
        alerts=_alerts(summary),
        months=_months(run),
        signals=signal_section(_mapping(run.summary, "study")),
        symbols=_symbols(run.tables.fills, run.tables.positions),
        statuses=_tally("Orders", _mapping(summary, "orders_by_status")),
        rejections=_tally("Rejected by reason", _mapping(summary, "rejections")),
        dead_letters=_tally("Dead letters by code", _mapping(summary, "dead_letters")),
        quarantined=_tally("Source rows quarantined", _mapping(summary, "quarantined")),
        unseen=_idle(summary.get("idle")) + _unseen(summary.get("unseen")),
        provenance=_provenance(run, provenance),
        configuration=escape(json.dumps(provenance.get("configuration", {}), indent=2, sort_keys=True)),
        style=_asset("report.css").template,
        script=_asset("report.js").template,
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        data=_embedded(drawn.data),
        **{f"{name}_note": escape(drawn.notes.get(name, "")) for name in ("equity", "exposure", "prices")},
    )


def _asset(name: str) -> Template:
    return Template(resources.files("backtest").joinpath("assets", name).read_text("utf-8"))


def _embedded(data: Mapping[str, JSON]) -> str:
    """JSON that can stand in a script element whatever the texts in it are."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _subtitle(run: Run) -> str:
    period, counts = _mapping(run.summary, "period"), _mapping(run.summary, "counts")
    strategies = sorted(set(run.tables.orders["strategy_id"].to_pylist()) - {None})
    parts = [
        " to ".join(str(period.get(end) or "?")[:10] for end in ("first", "last")),
        f"{counts.get('bars', 0):,} bars",
        f"{counts.get('intents', 0):,} orders",
        f"{counts.get('fills', 0):,} fills",
        *([", ".join(strategies[:3]) + (" ..." if len(strategies) > 3 else "")] if strategies else []),
    ]
    return "".join(f"<li>{escape(part)}</li>" for part in parts)


def _banner(differences: Sequence[str]) -> str:
    if not differences:
        return ""
    return f'<p class="banner">This run is not as it was written: {escape("; ".join(differences))}</p>'


def _alerts(summary: Mapping[str, JSON]) -> str:
    """A card of what a person had to know about; nothing when there was nothing."""
    rows = "".join(
        f'<tr><th scope="row">{escape(code)}</th><td>{escape(str(each["severity"]))}</td><td>{each["count"]:,}</td>'
        f'<td>{escape(str(each["first"])[:16])}</td><td class="said">{escape(str(each["detail"]))}</td></tr>'
        for code, each in told_alerts(summary)
    )
    if not rows:
        return ""
    names = ("Alert", "Severity", "Times", "First", "What the first said")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<section class="card"><h2>Alerts</h2><div class="scroll">{table}</div></section>'


def _tile(summary: Mapping[str, JSON], figure: str, name: str) -> str:
    text = shown(summary, figure)
    tone = {"+": "good", "-": "bad"}.get(sign(summary, figure), "")
    size = ' data-long=""' if len(text) > 10 else ""
    name = escape(titled(summary, figure, name))
    return f'<div class="tile"><dt>{name}</dt><dd class="{tone}"{size}>{escape(text)}</dd></div>'


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Rows of a description list; the values are HTML already."""
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in pairs)


def _months(run: Run) -> str:
    years = monthly_returns(run.tables.equity, float(str(_mapping(run.summary, "metrics")["initial_cash"])))
    if not years:
        return '<p class="none">No monthly returns: the run has no equity, or it fell to zero.</p>'
    largest = max(abs(value) for row in years.values() for value in row[:12] if value is not None) or 1.0
    head = "".join(f'<th scope="col">{month}</th>' for month in MONTHS)
    body = "".join(
        f'<tr><th scope="row">{year}</th>{"".join(_month(value, largest) for value in row)}</tr>'
        for year, row in sorted(years.items(), reverse=True)
    )
    return f'<table class="months"><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>'


def _month(value: float | None, largest: float) -> str:
    if value is None:
        return "<td></td>"
    text = f"{100.0 * value:+.1f}"
    if text in {"+0.0", "-0.0"}:
        return "<td>0.0</td>"
    share = 8.0 + 62.0 * min(1.0, abs(value) / largest)
    return f'<td class="{"gain" if value > 0.0 else "loss"}" style="--share:{share:.0f}%">{text}</td>'


def _symbols(fills: pa.Table, positions: pa.Table) -> str:
    names = np.array(fills["symbol"].to_pylist(), np.str_)
    value, commissions = traded_values(fills), paid_commissions(fills)
    left = dict(zip(positions["symbol"].to_pylist(), positions.to_pylist(), strict=True))
    rows = []
    for symbol in np.unique(names).tolist():
        mine = names == symbol
        profit = float(realised_profits(fills.filter(pa.array(mine))).sum())
        traded, paid = float(value[mine].sum()), float(commissions[mine].sum())
        held = left.get(symbol, {"units": 0.0, "value": 0.0})
        rows.append((traded, symbol, int(mine.sum()), profit, paid, held["units"], held["value"]))
    if not rows:
        return '<p class="none">Nothing was traded.</p>'
    head = ("Symbol", "Fills", "Value traded", "Realised profit", "Commission", "Units at end", "Value at end")
    body = "".join(_symbol(row) for row in sorted(rows, key=lambda row: (-row[0], row[1]))[:SYMBOL_ROWS])
    more = f'<p class="note">The {SYMBOL_ROWS} symbols traded most of {len(rows):,}.</p>' * (len(rows) > SYMBOL_ROWS)
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>{more}"


def _symbol(row: tuple[float, str, int, float, float, float, float]) -> str:
    traded, symbol, count, profit, paid, units, value = row
    cells = (f"{count:,}", f"{traded:,.0f}", f"{profit:+,.2f}", f"{paid:,.2f}", f"{units:,.10g}", f"{value:,.2f}")
    tones = ["", "", "good" if profit > 0.0 else "bad" if profit < 0.0 else "", "", "", ""]
    tds = "".join(f'<td class="{tone}">{cell}</td>' for tone, cell in zip(tones, cells, strict=True))
    return f'<tr><th scope="row">{escape(symbol)}</th>{tds}</tr>'


def _tally(title: str, counts: Mapping[str, JSON]) -> str:
    if not counts:
        return f'<div class="tally"><h3>{title}</h3><p class="none">None</p></div>'
    numbers = {name: count for name, count in counts.items() if isinstance(count, int)}
    largest = max(numbers.values(), default=1) or 1
    ranked = sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td><i style="width:{100 * count / largest:.0f}%"></i></td>'
        f"<td>{count:,}</td></tr>"
        for name, count in ranked
    )
    return f'<div class="tally"><h3>{title}</h3><table>{rows}</table></div>'


def _idle(why: JSON) -> str:
    return f'<p class="banner">{escape(why)}</p>' if isinstance(why, str) else ""


def _unseen(symbols: JSON) -> str:
    if not isinstance(symbols, list) or not symbols:
        return ""
    return f'<p class="note">Symbols that were asked for and had no bar: {escape(", ".join(map(str, symbols)))}</p>'


def _provenance(run: Run, provenance: Mapping[str, JSON]) -> str:
    files, digests = _mapping(run.manifest, "files"), _mapping(run.summary, "digests")
    named = ("run_id", "mode", "package_version", "git_sha", "config_hash", "data_hash")
    rows = [(name.replace("_", " "), provenance.get(name, "unknown")) for name in named]
    rows += [(f"content of {name}", digest) for name, digest in digests.items()]
    rows += list(files.items())
    return _pairs((name, f"<code>{escape(str(value))}</code>") for name, value in rows)


def _mapping(values: Mapping[str, JSON], name: str) -> Mapping[str, JSON]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}
