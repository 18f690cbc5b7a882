"""Topics with more partitions than the table says go on working, and those that cannot work are told apart."""

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from contracts.codec import ErrorCode, FieldError
from contracts.dead_letter import Refuser, SourceRecord, dead_letter_headers
from contracts.topics import TOPICS
from kernel.clock import SystemClock
from kernel.dead_letters import read_dead_letters
from kernel.kafka_admin import check_topics, topic_states
from kernel.kafka_errors import TopicMismatch
from launcher import dlq_cli, topics_cli

OLD = 4
UNKNOWN = FieldError("/intent_id", "no such order is known", ErrorCode.UNKNOWN_ORDER)


@pytest.fixture
def topics_of(apache_topics):
    """Makes the table's topics, those that are named with so many partitions, or not at all."""

    def make(**widths):
        return apache_topics({name: widths.get(name, 1) for name in TOPICS})

    return make


def topics(settings, *words):
    where = ["--bootstrap", settings.bootstrap_servers, "--prefix", settings.topic_prefix]
    done = CliRunner().invoke(topics_cli.app, [*words, *where], env={"COLUMNS": "160"})
    return done.exit_code, done.output


def rows(output):
    return {words[0]: " ".join(words[1:]) for line in output.splitlines() if (words := line.split())}


@pytest.mark.parametrize("command", ["list", "create"])
def test_wide_topics_are_shown_with_their_width_as_usable(wide_settings, command):
    code, shown = topics(wide_settings, command)
    assert code == 0
    told = rows(shown)["market_events"]
    assert told.startswith("4 ")
    assert told.endswith("wider than the table's 1, usable")
    check_topics(wide_settings)


@pytest.mark.kafka
def test_dead_letter_topics_that_are_missing_are_made_as_wide_as_what_they_come_from(topics_of):
    settings = topics_of(market_events=OLD, plans=2, risk_alerts=3, dlq_market_events=0, dlq_control=0, dlq_parked=0)
    code, shown = topics(settings, "create")
    assert code == 0
    widths = {state.topic.name: state.partitions for state in topic_states(settings)}
    assert (widths["dlq_market_events"], widths["dlq_control"]) == (OLD, 3)
    assert widths["dlq_execution_reports"] == widths["dlq_parked"] == 1
    check_topics(settings)
    assert set(rows(shown)) >= set(TOPICS)


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("widths", "name", "wrong"),
    [
        ({"execution_reports": OLD}, "dlq_execution_reports", "raise it to 4 partitions"),
        ({"order_intents": 2, "dlq_order_intents": 2}, "order_intents", "must have one partition"),
        ({"journal_claims": 2}, "journal_claims", "must have one partition"),
    ],
)
def test_what_no_plane_can_use_fails(topics_of, widths, name, wrong):
    settings = topics_of(**widths)
    code, shown = topics(settings, "list")
    assert code == 1
    assert wrong in rows(shown)[name]
    with pytest.raises(TopicMismatch, match=f"{name} has {widths.get(name, 1)} partitions"):
        check_topics(settings)


@pytest.mark.kafka
def test_a_letter_of_a_wide_topic_is_parked_where_there_is_one_partition(topics_of, tmp_path):
    settings = topics_of(execution_reports=OLD, dlq_execution_reports=OLD)
    source = SourceRecord(
        settings.topic("execution_reports"), 2, 0, b"AAPL", b"{}", (("dlq.redrive.count", b"3"),), timestamp_ms=1
    )
    headers = dead_letter_headers(source, UNKNOWN, Refuser("strategy", "one", "1", ()), SystemClock().now())
    foreign = Producer({"bootstrap.servers": settings.bootstrap_servers, "log_level": 0})
    foreign.produce(settings.topic("dlq_execution_reports"), b"{}", b"AAPL", 2, headers=list(headers))
    assert foreign.flush(10) == 0
    words = ["redrive", "--topic", "execution_reports", "--commit", "--operator", "ann", "--reason", "look later"]
    where = ["--bootstrap", settings.bootstrap_servers, "--prefix", settings.topic_prefix]
    done = CliRunner().invoke(dlq_cli.app, [*words, *where], env={"COLUMNS": "160", "ALGOTRADE_HOME": str(tmp_path)})
    assert done.exit_code == 0, done.output
    [parked] = read_dead_letters(settings, ["dlq_parked"])
    assert (parked.letter.origin_partition, parked.letter.value) == (2, b"{}")
