"""What an order plane in its own process shows while it runs: no secret, and not ready while its account differs."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from test_kill_over_kafka import Plane, a_moment, an_intent, report_on

from kernel.clock import monotonic
from kernel.kafka_settings import KafkaSettings
from order_plane.command_channel import SOCKET, CommandRefused, ask

CANARY = "c4n4ry-Zq7"
PATIENCE = 60.0


def records(kafka: KafkaSettings) -> Iterator[bytes]:
    """Every key, value and header of every topic."""
    reader = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "canary", "enable.partition.eof": True}
    )
    topics = reader.list_topics(timeout=PATIENCE).topics
    waiting = {(name, number) for name, topic in topics.items() for number in topic.partitions}
    reader.assign([TopicPartition(name, number, 0) for name, number in waiting])
    deadline = monotonic() + PATIENCE
    while waiting and monotonic() < deadline:
        message = reader.poll(1.0)
        if message is None:
            continue
        if message.error() is not None:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            waiting.discard((message.topic(), message.partition()))
            continue
        yield repr((message.topic(), message.key(), message.value(), message.headers())).encode()
    reader.close()
    assert not waiting


def answer(plane: Plane, path: str) -> tuple[int, str]:
    """What the plane's health server says at ``path``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{plane.port()}{path}", timeout=10) as said:
            return said.status, said.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def becomes(plane: Plane, failing: list[str]) -> bool:
    """Whether `/ready` comes to name just ``failing``, with the code that goes with it."""
    deadline = monotonic() + PATIENCE
    while monotonic() < deadline:
        code, said = answer(plane, "/ready")
        if json.loads(said)["failing"] == failing:
            return code == (503 if failing else 200)
        plane.others.poll(0.2)
    return False


@pytest.mark.timeout(200)
def test_no_secret_of_its_configuration_is_in_anything_that_a_running_plane_writes_or_answers(
    embedded_settings: KafkaSettings, postgres_journal_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = postgres_journal_address.replace("?", f"?password={CANARY}&", 1)
    assert CANARY in database
    monkeypatch.setenv("ALGOTRADE_ORDER__JOURNAL_DATABASE", database)
    monkeypatch.setenv("ALGOTRADE_KAFKA__SASL_PASSWORD", CANARY)
    monkeypatch.setenv("ALGOTRADE_KAFKA__SSL_KEY_PASSWORD", CANARY)
    said = []
    with ExitStack() as stack:
        plane = Plane(embedded_settings, tmp_path / "state", stack)
        plane.start(reconciliation={"opening_cash": 5.0})
        plane.say(*a_moment(0, 100.0), an_intent(1, 0))
        plane.wait(report_on(1, "REJECTED"))
        for command in ("status", "cancel", "kill", "nothing of the kind"):
            try:
                said.append(repr(ask(plane.state / SOCKET, command, {"operator": "ann", "reason": "drill"})))
            except CommandRefused as refusal:
                said.append(repr(refusal))
        said += [plane.ask(*words)[1] for words in (("kill", "status"), ("orders", "list"))]
        said += [answer(plane, path)[1] for path in ("/health", "/ready", "/metrics")]
        told = [*records(embedded_settings)]
        plane.process.terminate()
        assert plane.process.wait(PATIENCE) == 0
    left = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    for kind in (b"order_intent", b"execution_report"):
        assert any(b'"event_type":"%b"' % kind in each for each in told)
    assert any(b'"event":"OPENED"' in each for each in left)
    assert [each for each in (*told, *left, *(each.encode() for each in said)) if CANARY.encode() in each] == []


@pytest.mark.timeout(200)
def test_a_plane_whose_account_differs_from_the_venues_is_not_ready_before_a_person_released_it(
    embedded_settings: KafkaSettings, tmp_path: Path
) -> None:
    signed = ("--operator", "ann", "--reason", "asked the venue")
    with ExitStack() as stack:
        plane = Plane(embedded_settings, tmp_path / "state", stack)
        plane.start(reconciliation={"opening_cash": 5.0})
        plane.say(*a_moment(0, 100.0), an_intent(1, 0))
        plane.wait(report_on(1, "REJECTED"))
        assert becomes(plane, ["reconciled"])
        code, shown = plane.ask("orders", "release-symbol", "*", *signed)
        assert code == 0, shown
        assert becomes(plane, [])
