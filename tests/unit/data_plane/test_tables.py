"""Point-in-time tables are registered only with a knowledge time, and published in the order of it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contracts.codec import decode, encode
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent
from data_plane.composition import build_connector, build_stage, input_files
from data_plane.connectors.layout import UnreadableSourceError
from data_plane.connectors.port import BadRow, RawFact
from data_plane.connectors.table_source import TableFile, TableSource, UnknownKnowledgeTimeError
from data_plane.settings import DataSettings
from data_plane.store import EventStore, read_events

EARNINGS = """symbol,event_time,knowledge_time,eps,revenue
MSFT,2004-09-30,2004-10-21T20:15:00Z,0.27,9.19
IBM,2004-09-30,2004-10-18T20:30:00Z,1.17,
IBM,2004-06-30,2004-07-15,1.16,23.15
"""


@pytest.fixture
def csv(tmp_path: Path):
    def write(text: str = EARNINGS, name: str = "earnings.csv") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def rows(path: Path, **changes: object) -> list:
    return list(TableSource([TableFile(path, "earnings", **changes)]).rows())


def test_rows_come_in_the_order_in_which_they_became_known(csv):
    found = rows(csv())
    assert [(row.symbol, row.timestamp) for row in found] == [
        ("IBM", datetime(2004, 7, 16, tzinfo=UTC)),  # a day without an hour is over before its news count
        ("IBM", datetime(2004, 10, 18, 20, 30, tzinfo=UTC)),
        ("MSFT", datetime(2004, 10, 21, 20, 15, tzinfo=UTC)),
    ]
    assert found[0].event_time == datetime(2004, 6, 30, tzinfo=UTC)
    assert found[0].values == {"eps": 1.16, "revenue": 23.15}
    assert (found[2].source, found[2].line) == ("earnings.csv", 2)


def test_a_day_ends_in_the_zone_of_the_table(csv):
    assert rows(csv(), timezone="America/New_York")[0].timestamp == datetime(2004, 7, 16, 4, tzinfo=UTC)


def test_parquet_and_csv_tables_are_the_same(csv, tmp_path):
    table = pa.table(
        {
            "symbol": ["IBM"],
            "event_time": [date(2004, 6, 30)],
            "knowledge_time": pa.array([datetime(2004, 7, 16, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "eps": [1.16],
            "revenue": [23.15],
        }
    )
    pq.write_table(table, tmp_path / "earnings.parquet")
    (found,) = rows(tmp_path / "earnings.parquet")
    assert found._replace(source="", line=0) == rows(csv())[0]._replace(source="", line=0)


def test_a_table_without_knowledge_time_cannot_be_registered(csv):
    path = csv(EARNINGS.replace("knowledge_time", "report_date"))
    with pytest.raises(UnknownKnowledgeTimeError, match=r"'knowledge_time'.*tables\.earnings\.columns\.knowledge_time"):
        TableSource([TableFile(path, "earnings")])
    settings = with_tables(path)
    with pytest.raises(UnknownKnowledgeTimeError):
        build_connector(settings)


def test_columns_are_renamed_chosen_and_missed(csv):
    path = csv(EARNINGS.replace("knowledge_time", "announced").replace("eps", "EPS diluted"))
    columns = {"knowledge_time": "announced", "eps": "EPS diluted"}
    assert rows(path, columns=columns)[0].values == {"eps": 1.16, "revenue": 23.15}
    assert rows(path, columns=columns, fields=("eps",))[0].values == {"eps": 1.16}
    with pytest.raises(UnreadableSourceError, match="sales"):
        rows(path, columns=columns, fields=("sales",))
    with pytest.raises(UnreadableSourceError, match="symbol"):
        rows(csv(EARNINGS.replace("symbol,", "ticker,")))
    with pytest.raises(UnreadableSourceError, match="no column of values"):
        rows(csv("symbol,event_time,knowledge_time\n"))
    with pytest.raises(UnreadableSourceError, match=r"only \.parquet"):
        rows(csv("", "earnings.txt"))
    with pytest.raises(ValueError, match="no time zone"):
        rows(csv(), timezone="Mars")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("IBM,2004-09-30,soon,1,1", "knowledge_time is not an ISO 8601 date or time"),
        ("IBM,,2004-09-30,1,1", "event_time is not an ISO 8601 date or time"),
        ("IBM,2004-09-30,2004-10-18,1_0,1", "eps is not a number"),
        ("IBM,2004-09-30,2004-10-18,many,1", "eps is not a number"),
        ("IBM,2004-09-30", "knowledge_time is missing"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_finding_and_the_others_go_on(csv, line: str, reason: str):
    found = rows(csv(EARNINGS + line + "\n"))
    assert found[0] == BadRow("earnings.csv", 5, reason)
    assert len(found) == 4


def with_tables(path: Path, **changes: object) -> DataSettings:
    given = {
        "sources": [{"files": ["fixtures/bars/IBM.parquet", "fixtures/bars/MSFT.parquet"]}],
        "tables": {"earnings": {"files": [str(path)]}},
        "symbols": ["IBM", "MSFT"],
        "start": "2004-10-15",
        "end": "2004-10-25",
    }
    return DataSettings.model_validate(given | changes)


def published(settings: DataSettings, findings: list | None = None) -> list:
    stage = build_stage(settings, (lambda finding: None) if findings is None else findings.append)
    messages = [message for row in build_connector(settings).rows() for message in stage.handle(row)]
    return [*messages, *stage.finish()]


def test_a_fact_is_out_before_the_first_bar_that_may_use_it(csv):
    messages = published(with_tables(csv()))
    facts = [message for message in messages if isinstance(message, FactEvent)]
    assert [(fact.symbol, fact.values) for fact in facts] == [
        ("IBM", {"eps": 1.16, "revenue": 23.15}),
        ("IBM", {"eps": 1.17}),  # an empty cell is unknown, not zero
        ("MSFT", {"eps": 0.27, "revenue": 9.19}),
    ]
    for fact in facts:
        place = messages.index(fact)
        slices = [message for message in messages if isinstance(message, SliceEvent)]
        before, after = (
            [each for each in slices if (messages.index(each) < place) is earlier] for earlier in (True, False)
        )
        assert all(each.timestamp <= fact.timestamp for each in before)
        assert after[0].timestamp > fact.timestamp
    assert all(decode(encode(message)) == message for message in messages)
    assert {fact.partition_key for fact in facts} == {slices[0].partition_key}  # so no slice overtakes a fact


def test_facts_known_before_the_period_are_known_in_it_and_later_ones_are_not(csv):
    first = published(with_tables(csv()))[0]
    assert isinstance(first, FactEvent)
    messages = published(with_tables(csv(), end="2004-10-19"))
    assert [m.symbol for m in messages if isinstance(m, FactEvent)] == ["IBM", "IBM"]


def test_bars_are_the_same_with_and_without_tables(csv):
    with_facts, without = (published(each) for each in (with_tables(csv()), with_tables(csv(), tables={})))
    assert [m for m in with_facts if not isinstance(m, FactEvent)] == without
    assert any(isinstance(m, BarEvent) for m in without)


def test_only_wanted_symbols_are_published(csv):
    text = EARNINGS.replace("MSFT", "INDEX")
    assert len([m for m in published(with_tables(csv(text))) if isinstance(m, FactEvent)]) == 2
    settings = with_tables(csv(text), tables={"earnings": {"files": [str(csv(text))], "market": ["INDEX"]}})
    assert len([m for m in published(settings) if isinstance(m, FactEvent)]) == 3
    stage = build_stage(with_tables(csv(text)))
    stage.handle(
        RawFact(
            "earnings",
            "INDEX",
            datetime(2004, 10, 1, tzinfo=UTC),
            datetime(2004, 10, 1, tzinfo=UTC),
            {"eps": 1.0},
            "x",
            1,
        )
    )
    assert stage.ignored == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": {"eps": float("nan")}}, "SCHEMA"),
        ({"values": {"eps": float("inf")}}, "SCHEMA"),
        ({"symbol": "two words"}, "SCHEMA"),
        ({"timestamp": datetime(2004, 9, 1, tzinfo=UTC)}, "OUT_OF_ORDER"),
        ({"table": "order_flow", "values": {"ofi_value": 1.0}}, "SCHEMA"),
        ({"table": "order_flow", "values": {"ofi_value": 1.0, "bid_volume": -1.0, "ask_volume": 1.0}}, "SCHEMA"),
    ],
)
def test_gates_of_facts(csv, changes: dict, reason: str):
    findings = []
    stage = build_stage(with_tables(csv()), findings.append)
    at = datetime(2004, 10, 1, tzinfo=UTC)
    row = RawFact("earnings", "IBM", at, at - timedelta(days=30), {"eps": 1.0}, "x", 1)
    assert len(stage.handle(row)) == 1
    assert stage.handle(row._replace(**changes)) == ()
    assert [finding.reason for finding in findings] == [reason]


def test_a_row_that_replaces_the_one_before_it_is_published_and_reported(csv):
    header = "symbol,event_time,knowledge_time,score"
    news = ("IBM,2004-10-15,2004-10-15,0.1", "IBM,2004-10-15,2004-10-15,0.9", "IBM,2004-10-18,2004-10-18,0.5")
    correction = "IBM,2004-10-18,2004-10-19,0.4"
    other = "MSFT,2004-10-15,2004-10-15,0.2"
    path, findings = csv("\n".join([header, *news, other, correction]) + "\n", "news.csv"), []
    messages = published(with_tables(path, tables={"news": {"files": [str(path)]}}), findings)
    assert len([message for message in messages if isinstance(message, FactEvent)]) == 5
    assert [(f.line, f.symbol, f.reason, f.refused) for f in findings] == [
        (3, "IBM", "REPLACED", False),
        (6, "IBM", "REPLACED", False),
    ]


def test_items_of_news_with_times_of_their_own_are_not_reported(csv):
    header = "symbol,event_time,knowledge_time,score"
    news = ("IBM,2004-10-15T14:00:00Z,2004-10-15T14:00:00Z,0.1", "IBM,2004-10-15T15:00:00Z,2004-10-15T15:00:00Z,0.9")
    path, findings = csv("\n".join([header, *news]) + "\n", "news.csv"), []
    published(with_tables(path, tables={"news": {"files": [str(path)]}}), findings)
    assert findings == []


def test_a_table_of_order_flow_gives_order_flow(csv):
    moment = "2004-10-15T19:30:00Z"
    header = "symbol,event_time,knowledge_time,ofi_value,bid_volume,ask_volume"
    text = f"{header}\nIBM,{moment},{moment},-5,30,10\n"
    path = csv(text, "flow.csv")
    (flow,) = (
        m
        for m in published(with_tables(path, tables={"order_flow": {"files": [str(path)]}}))
        if isinstance(m, OFIEvent)
    )
    assert (flow.ofi_value, flow.volume_imbalance) == (-5.0, 0.5)


def test_a_name_that_is_no_table_is_refused(csv):
    with pytest.raises(ValueError, match="tables"):
        with_tables(csv(), tables={"Earnings!": {"files": ["x"]}})


def test_tables_belong_to_the_inputs_of_a_run(csv):
    assert csv() in input_files(with_tables(csv()))
    with pytest.raises(FileNotFoundError, match=r"tables\.earnings"):
        build_connector(with_tables(csv().with_name("none.csv")))


def test_facts_are_stored_and_read_back(csv, tmp_path):
    facts = [message for message in published(with_tables(csv())) if isinstance(message, FactEvent)]
    with EventStore(tmp_path / "events") as store:
        for each in facts:
            store.append(each)
    assert list(read_events(tmp_path / "events", FactEvent)) == facts
