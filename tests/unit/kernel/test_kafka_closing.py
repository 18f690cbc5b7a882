"""A process is let go of by its consumers, whatever they have been assigned and never asked for."""

import subprocess
import sys

PROGRAM = """
import os
import time
from kernel.embedded_broker import MockCluster
from kernel.kafka_consumer import GroupConsumer
from kernel.kafka_settings import KafkaSettings

cluster = MockCluster()
cluster.create_topics()
settings = KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, embedded=True)
for batch in range(8):
    members = [GroupConsumer(settings, f"group-{batch}-{number}", ["market_events"]) for number in range(15)]
    time.sleep(0.5)
    for member in members:
        member.close()
print("closed", flush=True)
os._exit(0)
"""


def test_members_that_never_answered_their_assignment_can_be_closed():
    """A hang would hold the interpreter's lock, so it is looked for from outside; one close in forty was one."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=90, check=True)
    assert done.stdout == "closed\n"
