"""How the topics of a broker are shown."""

import pytest
from typer.testing import CliRunner

from contracts.topics import TOPICS
from kernel.kafka_admin import TopicState
from launcher.cli import app

PREFIX = "up-20261122-103539-5160."


@pytest.mark.parametrize("partitions", [None, 0, 77])
def test_every_topic_is_readable_in_a_terminal_of_80_columns(monkeypatch, partitions):
    given = [
        TopicState(each, PREFIX + name, each.partitions if partitions is None else partitions, 1_234_567)
        for name, each in TOPICS.items()
    ]
    monkeypatch.setattr("launcher.topics_cli.list_topics", lambda settings: given)
    options = ["topics", "list", "--bootstrap", "127.0.0.1:1", "--prefix", PREFIX]
    done = CliRunner().invoke(app, options, env={"COLUMNS": "80"})
    assert done.exit_code == (0 if partitions is None else 1)
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in done.output
    assert done.output.count(PREFIX) == 1
    for heading in ("topic", "partitions", "messages", "kept", "cleanup", "state"):
        assert heading in lines[1]
    for name, topic in TOPICS.items():
        (row,) = [line.split() for line in lines if line.split()[:1] == [name]]
        assert row[1:6] == [
            str(partitions or topic.partitions),
            "1,234,567",
            str(topic.retention.days),
            "d",
            topic.cleanup_policy,
        ]
