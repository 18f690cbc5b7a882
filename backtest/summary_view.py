"""The figures of a run as a person reads them: in words and numbers, and as a table for a terminal."""

from collections.abc import Callable, Mapping

from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from backtest.summary import JSON


def _percent(value: float) -> str:
    return f"{value:+.2%}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


FIGURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "final_equity": ("Final equity", _money),
    "total_return": ("Total return", _percent),
    "cagr": ("Annual growth (CAGR)", _percent),
    "volatility": ("Volatility, annual", _share),
    "sharpe": ("Sharpe", _ratio),
    "sortino": ("Sortino", _ratio),
    "max_drawdown": ("Maximum drawdown", _percent),
    "longest_drawdown_days": ("Longest drawdown, days", _count),
    "calmar": ("Calmar", _ratio),
    "gross_exposure": ("Gross exposure, mean", _share),
    "net_exposure": ("Net exposure, mean", _share),
    "time_in_market": ("Time in the market", _share),
    "turnover": ("Turnover, times a year", _ratio),
    "closed_trades": ("Closed trades", _count),
    "hit_rate": ("Winning trades", _share),
    "profit_factor": ("Profit factor", _ratio),
    "winning_days": ("Winning days", _share),
    "best_day": ("Best day", _percent),
    "worst_day": ("Worst day", _percent),
    "traded_value": ("Value traded", _money),
    "commission": ("Commission", _money),
}
"""Name and format of every figure a person is shown, in reading order."""
_ANNUALISED = frozenset({"cagr", "volatility", "sharpe", "sortino", "calmar", "turnover"})
_SIGNED = frozenset({"total_return", "cagr"})
_SHORT = 0.25
"""Years of which a person is told that figures of a year were made from less."""


def caveat(summary: Mapping[str, JSON]) -> str:
    """What the mark behind a figure's name means; empty when the run is long enough for it, or has no days."""
    period = summary.get("period")
    days, year = (period.get(name) if isinstance(period, dict) else None for name in ("days", "periods_per_year"))
    if not isinstance(days, int) or not isinstance(year, int | float) or not 0 < days < _SHORT * year:
        return ""
    return f"* annualised from {days} day{'s' * (days > 1)}"


def titled(summary: Mapping[str, JSON], figure: str, name: str = "") -> str:
    """``name`` of a figure (default: that of `FIGURES`), marked when `caveat` has something to say of it."""
    mark = " *" if figure in _ANNUALISED and caveat(summary) else ""
    return f"{name or FIGURES[figure][0]}{mark}"


def shown(summary: Mapping[str, JSON], figure: str) -> str:
    """A figure of a summary as a person reads it; a dash when it is not defined for the run."""
    metrics = summary.get("metrics")
    value = metrics.get(figure) if isinstance(metrics, dict) else None
    return FIGURES[figure][1](value) if isinstance(value, int | float) else "-"


def sign(summary: Mapping[str, JSON], figure: str) -> str:
    """``+`` or ``-`` of a figure that says whether money was made or lost; empty for any other, or when undefined."""
    text = shown(summary, figure)
    return text[0] if figure in _SIGNED and text != "-" else ""


def render(summary: Mapping[str, JSON]) -> RenderableType:
    """The summary as a table for a terminal; below it what was annualised, alarmed, refused or lost, if any."""
    grid = Grid(box=None, show_header=False, pad_edge=False)
    for _ in range(2):
        grid.add_column(style="dim")
        grid.add_column(justify="right")
    names = list(FIGURES)
    half = (len(names) + 1) // 2
    for left, right in zip(names[:half], [*names[half:], None], strict=False):
        cells: list[RenderableType] = [titled(summary, left), _coloured(summary, left)]
        cells += [f"   {titled(summary, right)}", _coloured(summary, right)] if right else []
        grid.add_row(*cells)
    short = [Text(caveat(summary), "dim")] if caveat(summary) else []
    return Group(grid, *short, *_alerts(summary), *_losses(summary))


def _coloured(summary: Mapping[str, JSON], figure: str) -> Text:
    return Text(shown(summary, figure), {"+": "green", "-": "red"}.get(sign(summary, figure), ""))


def told_alerts(summary: Mapping[str, JSON]) -> list[tuple[str, Mapping[str, JSON]]]:
    """What the summary says of the alerts of each code, the most frequent first; older summaries say nothing."""
    alerts = summary.get("alerts")
    told = [(code, each) for code, each in alerts.items() if isinstance(each, dict)] if isinstance(alerts, dict) else []
    return sorted(told, key=lambda pair: (-int(str(pair[1]["count"])), pair[0]))


def _alerts(summary: Mapping[str, JSON]) -> list[RenderableType]:
    return [
        Text(f"Alert {code}, times {each['count']}, first {str(each['first'])[:16]}: {each['detail']}", style)
        for code, each in told_alerts(summary)
        for style in ("bold red" if each["severity"] == "CRITICAL" else "yellow",)
    ]


def _losses(summary: Mapping[str, JSON]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for name, title in (
        ("rejections", "Orders rejected"),
        ("dead_letters", "Dead letters"),
        ("quarantined", "Source rows quarantined"),
    ):
        counts = summary.get(name)
        if isinstance(counts, dict) and counts:
            listed = ", ".join(f"{reason} {count}" for reason, count in counts.items())
            lines.append(Text(f"{title}: {listed}", "yellow"))
    idle = summary.get("idle")
    if isinstance(idle, str):
        lines.append(Text(idle, "yellow"))
    unseen = summary.get("unseen")
    if isinstance(unseen, list) and unseen:
        lines.append(Text(f"Symbols without a bar: {', '.join(map(str, unseen))}", "yellow"))
    return lines
