"""What tests share: how hypothesis searches, the embedded broker, and a real Apache Kafka where Java is installed."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from kernel.embedded_broker import EmbeddedBroker, start_embedded_broker
from kernel.kafka_admin import create_topics
from kernel.kafka_settings import KafkaSettings
from launcher.apache_kafka import ApacheKafka, fetch_jars, missing_tools
from launcher.postgres_server import PostgresServer, missing_server

_NUMBERS = itertools.count()

# A shared machine is slow at times, which is no fault of the code. A developer's run searches where no run has been;
# CI tries the same examples each time, so that it fails for what was changed.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


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


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def kafka_settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Topics of this test alone, on each kind of broker in turn."""
    settings: KafkaSettings = request.getfixturevalue(f"{request.param}_settings")
    return settings
