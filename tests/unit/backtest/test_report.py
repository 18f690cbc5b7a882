"""The page of a run: complete, self-contained, and safe whatever the names in it are."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from backtest import report_figures
from backtest.artifacts import Failures, load, write_run
from backtest.report import write_report
from backtest.report_figures import charts, monthly_returns, thinned
from contracts.control import AlertSeverity, RiskAlert
from contracts.trading import OrderStatus, Side

DAY = timedelta(days=1)
HOSTILE = "<b>&x</script>"


class Page(HTMLParser):
    """What a browser would see: tags with attributes, text outside scripts, and the text of each script."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.scripts, self._inside = [], "", [], ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in {"script", "style"} else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.text += data

    @property
    def data(self):
        return json.loads(self.scripts[1])


@pytest.fixture
def run(market, recorded, provenance, tmp_path):
    failures = Failures({"NOT_JSON": 2}, {"gap": 7})
    return write_run(tmp_path / "runs", recorded(market.messages), provenance, failures)


def test_the_page_names_figures_losses_and_where_it_comes_from(run, provenance):
    text = Page(write_report(run)).text
    told = ("Sharpe", "Max drawdown", "MAX_ORDER_VALUE", "NOT_JSON", "gap", "simulated fills by the paper broker")
    assert all(words in text for words in told)
    hashes = json.loads((run / "manifest.json").read_text())["files"].values()
    assert all(digest in text for digest in [*hashes, provenance.config_hash, provenance.data_hash, provenance.git_sha])
    assert "not as it was written" not in text


def test_the_page_of_a_short_run_marks_what_is_annualised(market, recorded, provenance, tmp_path):
    days = sorted({each.timestamp.date() for each in market.messages})[:5]
    few = [each for each in market.messages if each.timestamp.date() in days]
    text = Page(write_report(write_run(tmp_path / "few", recorded(few), provenance))).text
    assert "CAGR *" in text
    assert "Turnover, times a year *" in text
    assert text.count("* annualised from 5 days") == 2  # beside the key figures, and beside all of them
    assert "Max drawdown *" not in text
    whole = Page(write_report(write_run(tmp_path / "all", recorded(market.messages), provenance))).text
    assert "annualised from" not in whole


def test_the_page_and_the_summary_say_what_was_alarmed(market, recorded, provenance, tmp_path):
    said = [
        RiskAlert(
            timestamp=each.timestamp, severity=AlertSeverity.WARNING, code="OPTIMIZER_KEPT", detail=f"net {HOSTILE}"
        )
        for each in market.messages[:1]
    ]
    run = write_run(tmp_path / "runs", recorded([*market.messages, *said]), provenance)
    page = Page(write_report(run))
    assert load(run).summary["alerts"]["OPTIMIZER_KEPT"]["count"] == 1
    assert f"net {HOSTILE}" in page.text
    assert "What the first said" in page.text


def test_a_quiet_run_has_no_card_of_alerts(run):
    assert load(run).summary["alerts"] == {}
    assert "What the first said" not in Page(write_report(run)).text


STUDY = {
    "signals": {
        "OFI": {
            "observations": 1200,
            "mean": 0.0123,
            "ratio": None,
            "statistic": -1.24,
            "earned": 0.034,
            "turnover": 1.5,
            "contribution": -0.001,
        },
        HOSTILE: {},
    },
    "regimes": [["STORM", "2020-01-01T21:00:00+00:00", "2020-01-05T21:00:00+00:00"]],
    "generated": ["earnings", HOSTILE],
}


def test_the_page_says_what_each_signal_has_shown_and_shades_the_regimes(market, recorded, provenance, tmp_path):
    run = write_run(tmp_path / "runs", recorded(market.messages), provenance, more={"study": STUDY})
    page = Page(write_report(run))
    made_up = f"Made-up tables, from which anything earned is luck: earnings, {HOSTILE}"
    for told in ("OFI", "1,200", "+0.012", "-1.2", "+3.4%", "1.50", "-0.10%", HOSTILE, made_up, "do not add up"):
        assert told in page.text
    assert page.data["regimes"] == STUDY["regimes"]
    assert load(run).summary["study"] == STUDY


def test_the_page_of_a_run_without_signals_has_no_section_of_them(run):
    page = Page(write_report(run))
    assert "Signals" not in page.text
    assert page.data["regimes"] == []
    assert "study" not in load(run).summary


def test_the_page_is_one_file_that_asks_the_network_for_nothing(run):
    page = Page(write_report(run))
    assert {tag for tag, _ in page.tags} & {"link", "img", "iframe", "base"} == set()
    assert not [attrs for _, attrs in page.tags if {"src", "href", "action"} & attrs.keys()]
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert not re.search("https?:|connect-src", policy)


def test_every_fill_and_decision_is_on_the_chart_of_its_symbol(run):
    tables, prices = load(run).tables, Page(write_report(run)).data["prices"]
    assert {one["symbol"] for one in prices} == {"AAA", "BBB", "CCC"}
    for one in prices:
        mine = [row for row in tables.fills.to_pylist() if row["symbol"] == one["symbol"]]
        assert [abs(units) for units in one["fills"]["units"]] == [row["quantity"] for row in mine]
        assert one["fills"]["t"] == [round(row["timestamp"].timestamp() * 1000) for row in mine]
        decided = [row for row in tables.orders.to_pylist() if row["symbol"] == one["symbol"]]
        assert one["orders"]["status"] == [row["status"] for row in decided]


def test_exposure_and_positions_are_the_tables_over_equity(run):
    equity, exposure = load(run).tables.equity, Page(write_report(run)).data["exposure"]
    net = equity["net"].to_numpy() / equity["equity"].to_numpy()
    assert exposure["net"] == pytest.approx(net, abs=1e-6)
    assert np.sum(exposure["weights"], axis=0) == pytest.approx(net, abs=1e-6)


def test_names_are_never_markup(recorded, scenario, provenance, tmp_path):
    at = scenario.start
    filled = scenario.intent(HOSTILE, at, Side.BUY, 1, strategy=HOSTILE)
    refused = scenario.intent(HOSTILE, at + DAY, Side.BUY, 1, strategy=HOSTILE)
    messages = [
        filled,
        refused,
        scenario.fill(filled, at, 1, 10.0),
        scenario.report(refused, at, 1, OrderStatus.REJECTED, reject_reason=f"{HOSTILE}: {HOSTILE}"),
        scenario.bar(HOSTILE, at, 10.0),
        scenario.moment(at, HOSTILE),
    ]
    hostile = replace(provenance, mode=HOSTILE, git_sha=HOSTILE, configuration={HOSTILE: HOSTILE})
    failures = Failures({HOSTILE: 1}, {HOSTILE: 1})
    page = Page(write_report(write_run(tmp_path / "runs", recorded(messages), hostile, failures)))
    assert len(page.scripts) == 3
    assert "b" not in {tag for tag, _ in page.tags}
    assert page.text.count(HOSTILE) >= 7
    assert page.data["prices"][0]["symbol"] == HOSTILE


def test_a_run_with_a_foreign_file_says_so_on_its_page(run):
    (run / "extra.txt").write_text("x")
    assert "not as it was written: extra.txt: unexpected" in Page(write_report(run)).text


def test_the_same_run_gives_the_same_page_and_can_go_elsewhere(run, tmp_path):
    beside, elsewhere = write_report(run), write_report(run, tmp_path / "page.html")
    assert beside == run / "report.html"
    assert beside.read_bytes() == elsewhere.read_bytes()


def test_a_run_without_any_trade_or_bar_has_a_page(recorded, provenance, tmp_path):
    page = Page(write_report(write_run(tmp_path / "runs", recorded([]), provenance)))
    assert "Nothing was traded." in page.text
    assert page.data["prices"] == []


def test_a_large_run_is_thinned_and_says_so(recorded, scenario, provenance, tmp_path, monkeypatch):
    monkeypatch.setattr(report_figures, "CURVE_POINTS", 20)
    monkeypatch.setattr(report_figures, "STRETCHES", 10)
    monkeypatch.setattr(report_figures, "SYMBOLS", 1)
    messages = []
    for step in range(300):
        at = scenario.start + step * DAY
        for symbol, close in (("AAA", 100.0 + step), ("BBB", 10.0)):
            messages.append(scenario.bar(symbol, at, close))
        order = scenario.intent("AAA", at, Side.BUY if step % 2 else Side.SELL, 1)
        messages += [order, scenario.fill(order, at, 1, 100.0 + step), scenario.moment(at, "AAA", "BBB")]
    drawn = charts(load(write_run(tmp_path / "runs", recorded(messages), provenance)))
    assert len(drawn.data["equity"]["t"]) <= 21
    assert len(drawn.data["exposure"]["t"]) == 10
    assert [one["symbol"] for one in drawn.data["prices"]] == ["AAA"]
    assert "of 300 points" in drawn.notes["equity"]
    assert "mean of 30 moments" in drawn.notes["exposure"]
    assert "the 1 of 2 symbols traded most" in drawn.notes["prices"]


@pytest.mark.parametrize("count", [1, 99, 100, 101, 1_000, 12_345])
def test_thinning_keeps_ends_and_extremes_within_its_limit(count):
    values = np.random.default_rng(count).normal(size=count)
    rows = thinned(values, 100)
    assert len(rows) <= 100
    assert np.all(np.diff(rows) > 0)
    assert {0, count - 1, int(values.argmin()), int(values.argmax())} <= set(rows.tolist())


def test_monthly_returns_compound_from_the_starting_capital():
    at = ["2020-01-15", "2020-01-31", "2020-02-28", "2020-04-30", "2021-01-04"]
    moments = pa.array(np.array(at, "datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    years = monthly_returns(pa.table({"timestamp": moments, "equity": [90.0, 110.0, 99.0, 108.9, 217.8]}), 100.0)
    expected = [0.1, -0.1, None, 0.1, *[None] * 8, 0.089]
    assert [value is None for value in years[2020]] == [value is None for value in expected]
    assert [v for v in years[2020] if v is not None] == pytest.approx([v for v in expected if v is not None])
    assert years[2021][0] == years[2021][12] == pytest.approx(1.0)


def test_a_ruined_run_has_no_monthly_returns():
    moments = pa.array(np.array(["2020-01-15"], "datetime64[us]")).cast(pa.timestamp("us", "UTC"))
    assert monthly_returns(pa.table({"timestamp": moments, "equity": [-1.0]}), 100.0) == {}
