"""A Kafka broker that comes with the client library, in a process of its own, for demo, paper, tests and CI.

It is librdkafka's mock cluster, reached through ctypes because the Python client does not wrap it. Its
limits, as measured:

* volatile: everything is gone when the process ends, and it comes back on another port;
* each partition keeps 5 MiB or 100,000 batches and **drops the oldest silently**, read or not, so a source
  must never run far ahead of its consumers;
* no compaction and no retention by time; messages over about 5 MB are acknowledged and then unreadable;
* no fencing: transactions are accepted and not isolated, and the idempotent producer is not enforced;
* no topic administration over the network: topics are made by the process that runs it;
* it never wakes a waiting fetch, so latency is half of the consumers' ``fetch.wait.max.ms``.

Live orders are therefore refused on it; use a real Apache Kafka.
"""

import argparse
import ctypes
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, TracebackType
from typing import Self

import confluent_kafka.cimpl

from contracts.topics import TOPICS, qualified
from kernel.clock import monotonic
from kernel.kafka_errors import BrokerUnavailable

WIDEST_WINDOW = 5_000
"""Messages a source may be ahead of its consumers: with the quarter more that a window lets through unseen, and all of
them in one partition, 5 MiB hold so many of 800 bytes, which is more than twice a bar with its headers."""
_PRODUCER = 0
_SESSION_TIMEOUT_MS = 6000
_HEARTBEAT_INTERVAL_MS = 500


class MockCluster:
    """librdkafka's broker inside this process; one node, topics made by name and partition count."""

    def __init__(self) -> None:
        self._library = _library()
        reason = ctypes.create_string_buffer(512)
        config = self._library.rd_kafka_conf_new()
        self._library.rd_kafka_conf_set(config, b"log_level", b"2", reason, len(reason))  # it never connects anywhere
        self._client = self._library.rd_kafka_new(_PRODUCER, config, reason, len(reason))
        if not self._client:
            raise RuntimeError(f"the client library cannot start a broker: {reason.value.decode()}")
        self._cluster = self._library.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise RuntimeError("the client library cannot start a broker: no port on the loopback is free")
        self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self._library.rd_kafka_mock_set_group_consumer_session_timeout_ms(self._cluster, _SESSION_TIMEOUT_MS)
        self._library.rd_kafka_mock_set_group_consumer_heartbeat_interval_ms(self._cluster, _HEARTBEAT_INTERVAL_MS)
        self.bootstrap_servers: str = self._library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create_topics(self, prefix: str = "") -> None:
        """Make every topic of the table under ``prefix``; existing ones stay as they are."""
        for topic in TOPICS.values():
            self.create_topic(qualified(topic.name, prefix), topic.partitions)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make one topic, of any name and width; an existing one stays as it is."""
        self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)

    def refuse_topic(self, name: str, error_code: int) -> None:
        """Answer every request for topic ``name`` with ``error_code`` of the protocol; 0 ends it."""
        self._library.rd_kafka_mock_topic_set_error(self._cluster, name.encode(), error_code)

    def fail_requests(self, api_key: int, error_codes: Sequence[int]) -> None:
        """Answer the next requests of kind ``api_key`` with ``error_codes``, one each."""
        codes = (ctypes.c_int * len(error_codes))(*error_codes)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, api_key, len(error_codes), codes)

    def go_down(self) -> None:
        """Close every connection and refuse new ones, with all data kept."""
        self._library.rd_kafka_mock_broker_set_down(self._cluster, 1)

    def come_up(self) -> None:
        """Answer again."""
        self._library.rd_kafka_mock_broker_set_up(self._cluster, 1)

    def answer_after(self, milliseconds: int) -> None:
        """Let every answer wait for so long."""
        self._library.rd_kafka_mock_broker_set_rtt(self._cluster, 1, milliseconds)

    def close(self) -> None:
        """Stop answering and drop all data."""
        if self._cluster:
            self._library.rd_kafka_mock_cluster_destroy(self._cluster)
            self._cluster = None
            self._library.rd_kafka_destroy(self._client)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: Mapping[str, tuple[object, list[object]]] = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_topic_set_error": (None, [pointer, text, number]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(number)],
        ),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_set_group_consumer_session_timeout_ms": (None, [pointer, number]),
        "rd_kafka_mock_set_group_consumer_heartbeat_interval_ms": (None, [pointer, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class EmbeddedBroker:
    """The broker as a child process; ends with its parent, however that ends, because its input then closes."""

    def __init__(self, process: "subprocess.Popen[str]", bootstrap_servers: str) -> None:
        self.process = process
        self.bootstrap_servers = bootstrap_servers

    def create_topics(self, prefix: str) -> None:
        """Make every topic of the table under ``prefix``."""
        assert self.process.stdin is not None  # noqa: S101 - started with a pipe
        self.process.stdin.write(prefix + "\n")
        self.process.stdin.flush()
        _read_line(self.process, 10.0)

    def close(self) -> None:
        """Stop it and drop all data."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_embedded_broker(prefix: str = "", timeout_seconds: float = 20.0) -> EmbeddedBroker:
    """Start the broker in a process of its own, with every topic of the table under ``prefix``.

    Raises:
        BrokerUnavailable: when it is not up within ``timeout_seconds``.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "kernel.embedded_broker", "--prefix", prefix],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C in the terminal goes to the parent, which stops the planes first
    )
    broker = EmbeddedBroker(process, "")
    try:
        broker.bootstrap_servers = _read_line(process, timeout_seconds)
    except BaseException:
        broker.close()
        raise
    return broker


def _read_line(process: "subprocess.Popen[str]", timeout_seconds: float) -> str:
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    deadline = monotonic() + timeout_seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if selector.select(max(0.0, deadline - monotonic())):
            line = process.stdout.readline().strip()
            if line:
                return line
    raise BrokerUnavailable("the embedded broker", f"no answer from its process (exit code {process.poll()})")


def _stop(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until standard input closes or a signal arrives; each line read is a prefix to make topics for."""
    parser = argparse.ArgumentParser(prog="python -m kernel.embedded_broker", description=__doc__)
    parser.add_argument("--prefix", default="", help="prefix of the topics to create")
    prefix = parser.parse_args(arguments).prefix
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    cluster = MockCluster()
    try:
        cluster.create_topics(prefix)
        _say(cluster.bootstrap_servers)
        for line in sys.stdin:
            cluster.create_topics(line.strip())
            _say("created")
    finally:
        cluster.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
