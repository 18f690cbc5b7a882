"""One self-contained HTML page that shows whether the best of some trials is real or luck."""

import json
import math
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray
from plotly.offline import get_plotlyjs

from backtest.report_figures import thinned
from backtest.summary import JSON
from backtest.trials import Comparison
from strategy_plane.validation.study import Criterion, Study

Vector = NDArray[np.float64]
CURVES = 60
"""Trials that are drawn; all are in the table."""
CURVE_POINTS = 1_000
ACCENT, QUIET, WARNING = "#2f6fdb", "rgba(128,128,128,0.35)", "#d9822b"


def write_validation_report(target: Path, title: str, names: Sequence[str], compared: Comparison, study: Study) -> Path:
    """Write the page of a study to ``target`` and return it; ``names`` are those of the trials, in their order."""
    figures: dict[str, JSON] = {
        "growth": _growth(names, compared, study),
        "sharpes": _sharpes(names, study),
        "logits": _histogram(study.overfitting.logits, 0.0),
        "degradation": _degradation(study),
        "paths": _histogram(study.path_sharpes, 0.0),
    }
    ranked = sorted(zip(names, study.sharpes.tolist(), strict=True), key=lambda pair: -pair[1])
    page = _asset("validation.html").substitute(
        title=escape(title),
        sentence=escape(sentence(study, names)),
        criteria="".join(map(_row, study.criteria)),
        trials="".join(f"<tr><td>{escape(name)}</td><td>{value:.2f}</td></tr>" for name, value in ranked),
        style=_asset("report.css").template,
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
        figures=_embedded(figures),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, "utf-8")
    return target


def sentence(study: Study, names: Sequence[str]) -> str:
    """The verdict in one sentence."""
    return (
        f"{study.verdict.value}: the best of {len(names)} trials ({study.tried.trials} in the ledger) is "
        f"{names[study.best]} with a Sharpe ratio of {study.sharpes[study.best]:.2f}; luck alone would have shown "
        f"{study.lucky_sharpe:.2f}"
    )


def shown(criterion: Criterion) -> str:
    """The figure of a criterion as a person reads it."""
    if math.isinf(criterion.value):
        return "no length suffices"
    return f"{criterion.value:,.0f} days" if criterion.name == "minTRL" else f"{criterion.value:.3f}"


def _row(criterion: Criterion) -> str:
    cells = (criterion.name, shown(criterion), criterion.asked, "yes" if criterion.passed else "no", criterion.meaning)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _growth(names: Sequence[str], compared: Comparison, study: Study) -> dict[str, JSON]:
    order = np.argsort(-study.sharpes)[:CURVES]
    data: list[JSON] = [
        _curve(names[trial], compared, compared.returns[:, trial], QUIET, 1) for trial in order[1:].tolist()
    ]
    data.append(_curve(names[study.best], compared, compared.returns[:, study.best], ACCENT, 3))
    if compared.benchmark.any():
        data.append(_curve("all symbols in equal parts", compared, compared.benchmark, WARNING, 2, "dot"))
    if study.walk is not None:
        skipped = np.zeros(len(compared.returns) - len(study.walk.returns))
        data.append(_curve("chosen on the past", compared, np.append(skipped, study.walk.returns), WARNING, 2, "dash"))
    return {"data": data, "layout": {"yaxis": {"type": "log"}, "hovermode": "closest"}}


def _curve(name: str, compared: Comparison, returns: Vector, color: str, width: int, dash: str = "solid") -> JSON:
    growth: Vector = np.cumprod(1.0 + returns, dtype=np.float64)
    rows = thinned(growth, CURVE_POINTS)
    return {
        "x": [str(day) for day in compared.days[rows]],
        "y": np.round(growth[rows], 5).tolist(),
        "name": name,
        "mode": "lines",
        "line": {"color": color, "width": width, "dash": dash},
    }


def _sharpes(names: Sequence[str], study: Study) -> dict[str, JSON]:
    order = np.argsort(study.sharpes)
    values: list[JSON] = np.round(study.sharpes[order], 4).tolist()
    texts: list[JSON] = [names[trial] for trial in order.tolist()]
    colors: list[JSON] = [ACCENT if trial == study.best else QUIET for trial in order.tolist()]
    places: list[JSON] = list(range(len(values)))
    return {
        "data": [{"type": "bar", "x": places, "y": values, "text": texts, "marker": {"color": colors}}],
        "layout": {"shapes": [_line("y", study.lucky_sharpe)], "xaxis": {"visible": False}},
    }


def _histogram(values: Vector, mark: float) -> dict[str, JSON]:
    return {
        "data": [{"type": "histogram", "nbinsx": 24, "x": np.round(values, 4).tolist(), "marker": {"color": ACCENT}}],
        "layout": {"shapes": [_line("x", mark)], "bargap": 0.05},
    }


def _degradation(study: Study) -> dict[str, JSON]:
    cscv = study.overfitting
    rows = np.linspace(0, len(cscv.inside) - 1, min(len(cscv.inside), 2_000)).astype(np.int64)
    points: JSON = {
        "x": np.round(cscv.inside[rows], 5).tolist(),
        "y": np.round(cscv.outside[rows], 5).tolist(),
        "mode": "markers",
        "marker": {"color": ACCENT, "size": 4, "opacity": 0.4},
    }
    layout: dict[str, JSON] = {"shapes": [_line("y", 0.0)], "xaxis": {"title": {"text": "inside"}}}
    return {"data": [points], "layout": layout | {"yaxis": {"title": {"text": "outside"}}}}


def _line(axis: str, value: float) -> dict[str, JSON]:
    """A dashed line across the chart at ``value`` of ``axis``."""
    other = "y" if axis == "x" else "x"
    place: dict[str, JSON] = {f"{axis}0": value, f"{axis}1": value, f"{other}0": 0, f"{other}1": 1}
    line: JSON = {"color": WARNING, "dash": "dash"}
    return {"type": "line", f"{other}ref": "paper", "line": line, **place}


def _asset(name: str) -> Template:
    return Template(resources.files("backtest").joinpath("assets", name).read_text("utf-8"))


def _embedded(data: dict[str, JSON]) -> str:
    """JSON that can stand in a script element whatever the texts in it are."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
