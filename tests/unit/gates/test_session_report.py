import csv
import io
import re
from datetime import UTC, datetime
from uuid import UUID

import pyarrow as pa
import pytest

from backtest.tables import Tables
from domain.go_live import CodeVersion, Evidence
from gates.artifact import PaperLog, Subject
from gates.context import check
from gates.session_measures import latencies
from gates.session_report import metrics_csv, report_html

FIRST, SECOND = UUID(int=1), UUID(int=2)
AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.fixture
def subject():
    code = CodeVersion(version="0.1.0", commit="c" * 40, dirty=True, digest="d" * 64)
    return Subject("DU1", "a" * 64, "b" * 64, "e" * 64, code)


@pytest.fixture
def tables():
    orders = pa.table({"intent_id": [str(FIRST), str(SECOND)], "symbol": ["AAPL", "MSFT"]})
    return Tables(orders, pa.table({}), pa.table({}), pa.table({"timestamp": [AT, AT], "equity": [100.0, 101.0]}))


@pytest.fixture
def found():
    figures = {"seconds", "planned_seconds", "fill_rate", "latency_delta", "equity_first", "equity_last"}
    counts = {
        "bars",
        "orders",
        "filled_orders",
        "refused_orders",
        "refused_by_gateway",
        "pacing_violations",
        "connects",
    }
    none = {"market_from", "market_to", "sharpe_paper", "sharpe_backtest"}
    return PaperLog(
        begun_at=AT, client_library="ib_async 2.1.0", flat_at_the_end=True, notices={},
        latency=latencies({}), mock_latency=latencies({}),
        **dict.fromkeys(figures, 1.0), **dict.fromkeys(counts, 1), **dict.fromkeys(none),
    )  # fmt: skip


def test_each_line_of_the_metrics_names_configuration_and_code(tables, subject):
    rows = list(csv.DictReader(io.StringIO(metrics_csv(tables, {FIRST: 0.002}, {SECOND: 0.1}, subject))))
    assert [(row["symbol"], row["acknowledged_ms"], row["mock_ms"]) for row in rows] == [
        ("AAPL", "2.0000", ""),
        ("MSFT", "", "100.0000"),
    ]
    code = {"code_version": "0.1.0", "code_commit": "c" * 40, "code_dirty": "True", "code_digest": "d" * 64}
    assert all(row.items() >= {"configuration": "a" * 64, **code}.items() for row in rows)


def test_the_page_names_configuration_code_and_client_library(found, tables, subject):
    checks, source = [check("it", True, "so", "so")], (Evidence.SIMULATED, ("a < b",))
    page = report_html(found, checks, tables, tables, source, subject)
    told = dict(re.findall(r"<tr><td>([^<]*)</td><td>([^<]*)</td></tr>", page))
    assert told["configuration"] == "a" * 64
    assert told["code"] == f"0.1.0, {'c' * 40} with uncommitted changes, sources {'d' * 64}"
    assert told["client_library"] == "ib_async 2.1.0"
    assert "<b>simulated</b> (a &lt; b)" in page
