"""The part of the report that says what each signal has shown."""

from collections.abc import Mapping
from html import escape

from backtest.summary import JSON

_COLUMNS = {
    "observations": ("Labels", "{:,}"),
    "mean": ("IC", "{:+.3f}"),
    "ratio": ("ICIR", "{:+.2f}"),
    "statistic": ("t", "{:+.1f}"),
    "earned": ("Earned a year", "{:+.1%}"),
    "turnover": ("Turnover", "{:.2f}"),
    "contribution": ("Contribution", "{:+.2%}"),
}
_NOTE = (
    "IC is the rank correlation of a score with the return that followed, its mean over the labels that have ended; "
    "ICIR is that mean over its deviation, and t counts overlapping labels once. Earned is the annual return, before "
    "costs, of a long-short portfolio of gross one that follows the score alone; turnover is its change from one "
    "scoring to the next; contribution is what it earned times the signal's share in the ensemble, nothing while it "
    "is silent: hypothetical and before costs, so contributions do not add up to the return of the run. In the chart "
    "of equity, calm is shaded green and storm red, and amber where the regime could not be told and the tightest gate "
    "held."
)


def signal_section(study: Mapping[str, JSON]) -> str:
    """A section with one row for each signal of ``study``; nothing when there are none."""
    signals = study.get("signals")
    if not isinstance(signals, dict) or not signals:
        return ""
    head = "".join(f'<th scope="col">{title}</th>' for title, _ in _COLUMNS.values())
    rows = "".join(_row(name, figures) for name, figures in signals.items() if isinstance(figures, dict))
    table = f'<table><thead><tr><th scope="col">Signal</th>{head}</tr></thead><tbody>{rows}</tbody></table>'
    notes = f'{_made_up(study.get("generated"))}<p class="note">{_NOTE}</p>'
    return f'<section class="card"><h2>Signals</h2><div class="scroll">{table}</div>{notes}</section>'


def _made_up(tables: JSON) -> str:
    if not isinstance(tables, list) or not tables:
        return ""
    names = escape(", ".join(map(str, tables)))
    return f'<p class="banner">Made-up tables, from which anything earned is luck: {names}</p>'


def _row(name: str, figures: Mapping[str, JSON]) -> str:
    cells = "".join(f"<td>{_cell(figures.get(figure), form)}</td>" for figure, (_, form) in _COLUMNS.items())
    return f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>'


def _cell(value: JSON, form: str) -> str:
    return form.format(value) if isinstance(value, int | float) else "-"
