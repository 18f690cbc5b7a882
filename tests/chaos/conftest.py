"""Makes the programs beside the tests importable by them, gives them a broker, and says how to see a failure again."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from drills import FIRST, SCHEDULES

from kernel.embedded_broker import MockCluster
from kernel.kafka_settings import KafkaSettings


@pytest.fixture
def cluster():
    """A broker in this process that can be made to fail."""
    cluster = MockCluster()
    cluster.create_topics()
    yield cluster
    cluster.close()


@pytest.fixture
def kafka(cluster):
    """How planes reach it."""
    return KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and item.path.parent == Path(__file__).parent:
        test = os.path.relpath(item.path)
        again = f"ALGOTRADE_CHAOS_SEED={FIRST} ALGOTRADE_CHAOS_SCHEDULES={SCHEDULES} pytest '{test}::{item.name}'"
        report.sections.append(("Seed", f"first seed {FIRST}, {SCHEDULES} schedules; the same again: {again}"))
    return report
