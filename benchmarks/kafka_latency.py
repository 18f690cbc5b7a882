"""Bar published to execution report read, over three hops, beside a bare relay that makes the same disk syncs.

This process publishes bars at a fixed rate as the data plane does and reads execution reports as the strategy plane
does; a real strategy process and a real order process stand between. Each bar makes the strategy trade, so each
bar has a report; with ``--every 10`` one bar in ten does, and the relay passes on as many. The relay is two processes
that only poll, produce and flush; the second one syncs a file to disk as often per message as the order plane's journal
does. Rounds alternate, on one broker, in one run; the first of each is not counted, since a new Java broker compiles
itself meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import yaml
from confluent_kafka import Consumer, Producer, TopicPartition

from contracts.market import BarEvent, SliceEvent
from contracts.trading import ExecutionReport
from domain.ids import intent_id
from kernel.embedded_broker import start_embedded_broker
from kernel.kafka_admin import create_topics
from kernel.kafka_bus import KafkaBus
from kernel.kafka_settings import KafkaSettings, producer_config, reader_config
from launcher.apache_kafka import ApacheKafka
from launcher.local import LocalRun
from launcher.settings import load_settings
from launcher.supervisor import Supervisor

START = datetime(2024, 1, 2, tzinfo=UTC)
SYNCS_PER_ORDER = 3
"""The journal's transactions per bar: the last order's fill, INTENDED with SUBMITTING, the answer with its report."""
WARM_UP = 200


def config() -> dict:
    """A strategy that trades on every bar, and an order plane that lets it."""
    return {
        "data": {"bar_size": "1min", "sources": [{"files": ["unused"]}]},
        "strategy": {
            "bar_size": "1min",
            "strategy": {"name": "moving_average_cross", "fast": 1, "slow": 2, "units": 1.0},
        },
        "order": {
            "calendar": "24/7",
            "journal_path": "journal.sqlite",
            "paper_store_path": "venue.sqlite",
            "volume_cap": None,
            # The same order each second bar is the point here, not a mistake.
            "limits": {"duplicate_window": "PT0S", "reference_max_age": "P30D"},
            "throttle": {"rate_per_second": 100000, "burst": 1000000},
        },
    }


def pair(number: int, every: int) -> tuple[BarEvent, SliceEvent]:
    """Bar ``number`` and its slice; closes alternate after each ``every`` bars, and the averages cross then."""
    at = START + timedelta(minutes=number)
    close = 100.0 + number // every % 2
    bar = BarEvent(symbol="S0", timestamp=at, open=close, high=close, low=close, close=close, volume=1e6)
    return bar, SliceEvent(timestamp=at, bar_size="1min", symbols=("S0",))


def trades(number: int, every: int) -> bool:
    """Whether the strategy trades on bar ``number``: it buys on a rise and sells when the averages meet again."""
    return every == 1 or number % (2 * every) in {every, every + 1}


def through_planes(kafka: KafkaSettings, messages: int, rate: float, every: int, folder: Path) -> list[float]:
    """Milliseconds from each bar's publication to the first report on the intent it caused."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config()))
    run = LocalRun("bench", path, load_settings(path, {}), kafka, folder / "state")
    environment = {
        "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "ALGOTRADE_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
        "ALGOTRADE_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
        "ALGOTRADE_KAFKA__LINGER_MS": "0",
        "ALGOTRADE_KAFKA__FETCH_WAIT_MAX_MS": str(kafka.fetch_wait_max_ms),
    }
    with (
        Supervisor(environment, restart=False) as supervisor,
        KafkaBus(kafka, "data", [ExecutionReport], [BarEvent]) as bus,
    ):
        for plane in ("order", "strategy"):
            run.start(supervisor, plane)
        assert bus.wait_ready(30)
        _await_heartbeats(kafka)
        sent: dict[UUID, float] = {}
        heard: dict[UUID, float] = {}

        def send(number: int) -> None:
            bar, moment = pair(number, every)
            sent[intent_id("default", bar.symbol, bar.timestamp)] = time.perf_counter()
            bus.publish(bar, more=True)
            bus.publish(moment)

        def listen(seconds: float) -> None:
            for received in bus.poll(seconds):
                heard.setdefault(received.message.intent_id, time.perf_counter())

        _paced(messages, rate, send, listen, lambda: len(heard) >= answers(messages, every) - 5)
    return [1000 * (heard[each] - at) for each, at in sent.items() if each in heard][WARM_UP // every :]


def answers(messages: int, every: int) -> int:
    """On how many of the bars the strategy trades."""
    return sum(trades(number, every) for number in range(1, messages + 1))


def through_relay(kafka: KafkaSettings, messages: int, rate: float, every: int, folder: Path) -> list[float]:
    """Milliseconds for the same bytes over the same topics through two processes that do nothing."""
    from contracts.codec import encode

    hops = [("market_events", "order_intents", 0), ("order_intents", "execution_reports", SYNCS_PER_ORDER)]
    with _relays(kafka, hops, every, folder):
        producer = Producer(producer_config(kafka))
        consumer = Consumer(reader_config(kafka, "bench-relay"))
        topic = kafka.topic("execution_reports")
        consumer.assign([TopicPartition(topic, 0, 0)])
        sent: dict[int, float] = {}
        heard: dict[int, float] = {}

        def send(number: int) -> None:
            bar, _ = pair(number, every)
            sent[number] = time.perf_counter()
            producer.produce(kafka.topic("market_events"), encode(bar), str(number).encode())
            producer.poll(0)

        def listen(seconds: float) -> None:
            record = consumer.poll(seconds)
            if record is not None and record.error() is None:
                heard.setdefault(int(record.key()), time.perf_counter())

        time.sleep(3)
        _paced(messages, rate, send, listen, lambda: len(heard) >= answers(messages, every) - 5)
        consumer.close()
    return [1000 * (heard[number] - sent[number]) for number in sorted(heard)][WARM_UP // every :]


def relay(kafka: KafkaSettings, source: str, target: str, syncs: int, every: int, folder: str) -> None:
    """Forward the records of bars that are traded on from one topic to another until killed."""
    producer = Producer(producer_config(kafka))
    consumer = Consumer({**reader_config(kafka, f"relay-{source}"), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(kafka.topic(source), 0, 0)])
    with (Path(folder) / f"{source}.log").open("ab", buffering=0) as file:
        while True:
            first = consumer.poll(1.0)
            if first is None:
                continue
            batch = [first, *consumer.consume(499, 0)]
            batch = [record for record in batch if trades(int(record.key()), every)]
            for _ in range(syncs if batch else 0):
                file.write(b"".join(record.value() for record in batch))
                os.fdatasync(file.fileno())
            for record in batch:
                producer.produce(kafka.topic(target), record.value(), record.key())
            producer.flush()


def _await_heartbeats(kafka: KafkaSettings) -> None:
    from contracts.codec import decode
    from contracts.control import Heartbeat

    consumer = Consumer({**reader_config(kafka, "bench-ready"), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(kafka.topic("heartbeats"), 0, 0)])
    heard: set[str] = set()
    while heard < {"order", "strategy"}:
        record = consumer.poll(1.0)
        if record is not None and record.error() is None:
            heard.add(decode(record.value(), (Heartbeat,)).plane.value)
    consumer.close()


@contextmanager
def _relays(kafka: KafkaSettings, hops, every: int, folder: Path):
    processes = [
        subprocess.Popen(
            [
                sys.executable, __file__, "--relay", kafka.bootstrap_servers, kafka.topic_prefix, source, target,
                str(syncs), str(every), str(folder), str(kafka.fetch_wait_max_ms), str(int(kafka.embedded)),
            ]
        )
        for source, target, syncs in hops
    ]  # fmt: skip
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _paced(messages: int, rate: float, send, listen, done) -> None:
    began = time.perf_counter()
    for number in range(1, messages + 1):
        due = began + number / rate
        while (left := due - time.perf_counter()) > 0:
            listen(left)
        send(number)
    deadline = time.perf_counter() + 10
    while not done() and time.perf_counter() < deadline:
        listen(0.01)


def percentile(values: list[float], share: float) -> float:
    """The value below which ``share`` of them lie."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(broker: str, rounds: int, messages: int, rate: float, every: int) -> dict:
    """Alternate rounds of relay and planes on one broker."""
    results: dict[str, list[tuple[float, float]]] = {"relay": [], "planes": []}
    with _broker(broker) as settings, tempfile.TemporaryDirectory() as folder:
        for number in range(rounds + 1):
            for name, through in (("relay", through_relay), ("planes", through_planes)):
                kafka, place = settings(f"{name}{number}."), Path(folder) / f"{name}{number}"
                place.mkdir()
                times = through(kafka, messages, rate, every, place)
                assert len(times) >= 0.98 * (answers(messages, every) - WARM_UP // every) - 5, (
                    f"{name}: only {len(times)} answers"
                )
                if number:
                    results[name].append((percentile(times, 0.5), percentile(times, 0.99)))
    bare, ours = (
        [statistics.median(column) for column in zip(*results[name], strict=True)] for name in ("relay", "planes")
    )
    ratios = [ours[0] / bare[0], ours[1] / bare[1]]
    return {
        "broker": broker, "every": every,
        "relay_p50_ms": round(bare[0], 2), "relay_p99_ms": round(bare[1], 2),
        "planes_p50_ms": round(ours[0], 2), "planes_p99_ms": round(ours[1], 2),
        "ratio_p50": round(ratios[0], 2), "ratio_p99": round(ratios[1], 2),
        "verdict": "PASS" if ratios[0] <= 1.5 and ratios[1] <= 2.0 else "FAIL",
    }  # fmt: skip


@contextmanager
def _broker(name: str):
    if name == "embedded":
        with start_embedded_broker() as broker:

            def embedded(prefix: str) -> KafkaSettings:
                broker.create_topics(prefix)
                return KafkaSettings(
                    bootstrap_servers=broker.bootstrap_servers, topic_prefix=prefix, embedded=True, linger_ms=0,
                    fetch_wait_max_ms=1,
                )  # fmt: skip

            yield embedded
    else:
        with tempfile.TemporaryDirectory() as folder, ApacheKafka(Path(folder)) as server:

            def real(prefix: str) -> KafkaSettings:
                settings = KafkaSettings(
                    bootstrap_servers=server.bootstrap_servers, topic_prefix=prefix, linger_ms=0, fetch_wait_max_ms=100
                )
                create_topics(settings)
                return settings

            yield real


def main() -> None:
    """Measure on the brokers named and print one JSON line each."""
    if sys.argv[1:2] == ["--relay"]:
        servers, prefix, source, target, syncs, every, folder, wait, embedded = sys.argv[2:]
        kafka = KafkaSettings(
            bootstrap_servers=servers,
            topic_prefix=prefix,
            linger_ms=0,
            fetch_wait_max_ms=int(wait),
            embedded=embedded == "1",
        )
        relay(kafka, source, target, int(syncs), int(every), folder)
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["embedded", "kafka"], action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=2200)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--every", type=int, default=1, help="trade on one bar in so many")
    arguments = parser.parse_args()
    for name in arguments.broker or ["embedded", "kafka"]:
        print(json.dumps(measure(name, arguments.rounds, arguments.messages, arguments.rate, arguments.every)))


if __name__ == "__main__":
    main()
