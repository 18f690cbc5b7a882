"""What tests share: how hypothesis searches, daily bars, Kafka embedded and real, PostgreSQL, a simulated gateway."""

import importlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from hypothesis import settings

sys.path.append(str(Path(__file__).parent))  # for `order_messages`

from contracts.market import BarEvent, SliceEvent
from contracts.topics import TOPICS
from kernel.code_version import source_digest
from kernel.embedded_broker import EmbeddedBroker, MockCluster, start_embedded_broker
from kernel.kafka_admin import create_topics
from kernel.kafka_offsets import watermarks
from kernel.kafka_settings import KafkaSettings
from launcher.apache_kafka import ApacheKafka, fetch_jars, missing_tools
from launcher.postgres_server import PostgresServer, missing_server

# Who runs tests in several processes may say how wide its terminal is, and a table must be as wide as a test says.
for _size in ("COLUMNS", "LINES"):
    os.environ.pop(_size, None)
_NUMBERS = itertools.count()
WIDE = 4
_TESTED = pytest.StashKey[str]()
IBKR_LIBRARIES = "ib_insync,ib_async,ibapi"

# A shared machine is slow at times, which is no fault of the code. A developer's run searches where no run has been;
# CI tries the same examples each time, so that it fails for what was changed.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


Days = list[list[BarEvent | SliceEvent]]


def daily_bars(closes: np.ndarray, symbols: Sequence[str], first: datetime, volume: float = 0.0) -> Days:
    """For each row of ``closes``, shape (days, symbols), the bars of a day, by symbol, and their slice."""
    listed, days = tuple(sorted(symbols)), []
    for day, row in enumerate(closes.tolist()):
        at, prices = first + timedelta(days=day), dict(zip(symbols, row, strict=True))
        bars = [
            BarEvent(symbol=name, timestamp=at, open=p, high=p, low=p, close=p, volume=volume, bar_size="1d")
            for name, p in sorted(prices.items())
        ]
        days.append([*bars, SliceEvent(timestamp=at, bar_size="1d", symbols=listed)])
    return days


@pytest.fixture(scope="session", name="daily_bars")
def _daily_bars() -> Callable[..., Days]:
    """`daily_bars`."""
    return daily_bars


def pytest_sessionstart(session: pytest.Session) -> None:
    """Which code is tested, as it is before the first test."""
    session.config.stash[_TESTED] = source_digest()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A JUnit report says which code was tested, so that nobody takes it for a report of other code.

    Pytest's own fixture for this is silent where the tests run in several processes.
    """
    path = getattr(session.config.option, "xmlpath", None)
    if not path or hasattr(session.config, "workerinput"):
        return
    report = ElementTree.parse(path)
    for suite in report.iter("testsuite"):
        properties = suite.find("properties")
        if properties is None:
            properties = ElementTree.Element("properties")
            suite.insert(0, properties)
        ElementTree.SubElement(properties, "property", name="code_digest", value=session.config.stash[_TESTED])
    report.write(path, "utf-8", xml_declaration=True)


def fresh_prefix() -> str:
    """A topic prefix that no other test uses."""
    return f"test{os.getpid()}-{next(_NUMBERS)}."


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """The embedded broker in its own process; `create_topics(prefix)` makes room for a test."""
    with start_embedded_broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def embedded_broker(embedded: EmbeddedBroker) -> str:
    """Bootstrap servers of the embedded broker."""
    return embedded.bootstrap_servers


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers of a real broker; skips where it cannot run, fails with ALGOTRADE_REQUIRE_KAFKA=1."""
    problem = missing_tools()
    if problem is not None:
        if os.environ.get("ALGOTRADE_REQUIRE_KAFKA") == "1":
            pytest.fail(f"ALGOTRADE_REQUIRE_KAFKA=1, and {problem}")
        pytest.skip(f"no real Apache Kafka here: {problem}")
    with ApacheKafka(tmp_path_factory.mktemp("kafka"), jars=fetch_jars()) as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; skips where it cannot run, fails with ALGOTRADE_REQUIRE_POSTGRES=1."""
    problem = missing_server()
    if problem is None and find_spec("psycopg") is None:
        problem = "psycopg is missing; pip install algo-trade[postgres]"
    if problem is not None:
        if os.environ.get("ALGOTRADE_REQUIRE_POSTGRES") == "1":
            pytest.fail(f"ALGOTRADE_REQUIRE_POSTGRES=1, and {problem}")
        pytest.skip(f"no PostgreSQL here: {problem}")
    # Its socket needs a short path, and its account a directory that it can reach.
    directory = Path(tempfile.mkdtemp(prefix="algotrade-pg-"))
    try:
        with PostgresServer(directory) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def postgres_journal_address(postgres: PostgresServer) -> Iterator[str]:
    """A database of this test alone."""
    import psycopg

    name = f"journal_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield postgres.address.replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres.address, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def embedded_settings(embedded: EmbeddedBroker) -> KafkaSettings:
    """Topics of this test alone on the embedded broker."""
    prefix = fresh_prefix()
    embedded.create_topics(prefix)
    return KafkaSettings(bootstrap_servers=embedded.bootstrap_servers, topic_prefix=prefix, embedded=True)


@pytest.fixture
def apache_settings(apache_kafka: str) -> KafkaSettings:
    """Topics of this test alone on a real broker."""
    settings = KafkaSettings(bootstrap_servers=apache_kafka, topic_prefix=fresh_prefix())
    create_topics(settings)
    return settings


@pytest.fixture
def apache_topics(apache_kafka: str) -> Callable[[Mapping[str, int]], KafkaSettings]:
    """Makes topics of this test alone on Apache Kafka, each with so many partitions, or not at all."""

    def make(widths: Mapping[str, int]) -> KafkaSettings:
        settings = KafkaSettings(bootstrap_servers=apache_kafka, topic_prefix=fresh_prefix())
        wanted = {name: width for name, width in widths.items() if width}
        new = [NewTopic(settings.topic(name), num_partitions=width) for name, width in wanted.items()]
        admin = AdminClient({"bootstrap.servers": apache_kafka})
        for made in admin.create_topics(new).values():
            made.result()
        watermarks(settings, wanted)  # answered only once every partition has a leader
        return settings

    return make


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def wide_settings(request: pytest.FixtureRequest) -> Iterator[KafkaSettings]:
    """Topics of this test alone with more partitions than the table says, as an operator may have made them."""
    widths = {name: 1 if topic.total_order else WIDE for name, topic in TOPICS.items()}
    if request.param == "apache":
        yield request.getfixturevalue("apache_topics")(widths)
        return
    prefix = fresh_prefix()
    with closing(MockCluster()) as cluster:
        for name, width in widths.items():
            cluster.create_topic(prefix + name, width)
        yield KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, topic_prefix=prefix, embedded=True)


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def kafka_settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Topics of this test alone, on each kind of broker in turn."""
    settings: KafkaSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings


def required_ibkr() -> set[str]:
    """Client libraries that must be there: ALGOTRADE_REQUIRE_IBKR=1 for all, or names with commas."""
    wanted = os.environ.get("ALGOTRADE_REQUIRE_IBKR", "")
    return set((IBKR_LIBRARIES if wanted == "1" else wanted).split(",")) - {"", "0"}


def ibkr_library_called(name: str) -> ModuleType:
    """The library, or a skip that says how to install it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library's own imports
            return importlib.import_module(name)
    except ImportError as problem:
        if name.partition(".")[0] in required_ibkr():
            pytest.fail(f"ALGOTRADE_REQUIRE_IBKR asks for {name}, and it cannot be imported: {problem}")
        pytest.skip(f"{name} is not installed here (pip install {name})")


@dataclass
class Simulator:
    """A running simulator."""

    process: subprocess.Popen[str]
    port: int
    control_port: int
    said: str

    def control(self, *asked: dict[str, Any]) -> dict[str, Any]:
        """Inject faults, or ask for the state."""
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=5) as link, link.makefile("rw") as file:
            file.write(json.dumps(asked[0] if len(asked) == 1 else list(asked)) + "\n")
            file.flush()
            answer: dict[str, Any] = json.loads(file.readline())
        return answer

    def fault(self, **fault: Any) -> None:
        """Inject one fault."""
        assert self.control(fault) == {"ok": True}

    def state(self) -> dict[str, Any]:
        """Orders, positions, clients."""
        return self.control({"show": "state"})


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Start simulators on free ports; they end with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Simulator:
        command = [sys.executable, "-m", "ibkr_sim", "--port", "0", "--control-port", "0", "--seed", "7", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        port, control = map(int, re.findall(r":(\d+)", said))
        return Simulator(process, port, control, said)

    yield start
    for process in running:
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def simulator(simulate: Callable[..., Simulator]) -> Simulator:
    """A simulator with its defaults."""
    return simulate()


@pytest.fixture(params=["ib_insync", "ib_async"])
def ibkr_library(request: pytest.FixtureRequest) -> ModuleType:
    """Each asynchronous client library of Interactive Brokers in turn."""
    return ibkr_library_called(request.param)


@pytest.fixture
def library_of() -> Callable[[str], ModuleType]:
    """Import a client library of Interactive Brokers or a module of it, or skip."""
    return ibkr_library_called
