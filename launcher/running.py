"""Which local run is alive on this machine, so that a command in another terminal finds its broker."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kernel.kafka_settings import KafkaSettings

FILE = "running.json"
"""Name of the file in the state directory."""


@dataclass(frozen=True, slots=True)
class Running:
    """A local run: its name, its process and its Kafka."""

    run_id: str
    pid: int
    bootstrap_servers: str
    topic_prefix: str

    @property
    def alive(self) -> bool:
        """Whether its process still exists."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's, and alive
        return True


def current(directory: Path) -> Running | None:
    """The newest run of ``directory`` that is still alive, if any; a file that cannot be read counts as none."""
    try:
        found = Running(**json.loads((directory / FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return found if isinstance(found.pid, int) and found.pid > 0 and found.alive else None


def named(running: Running) -> str:
    """What a command says that was told of no run and takes this one."""
    return f"of the run {running.run_id} (process {running.pid})"


@contextmanager
def announced(directory: Path, run_id: str, kafka: KafkaSettings) -> Iterator[None]:
    """Name the run in ``directory`` while the context is open; afterwards the one before it, if that still lives."""
    before = current(directory)
    mine = Running(run_id, os.getpid(), kafka.bootstrap_servers, kafka.topic_prefix)
    _write(directory, mine)
    try:
        yield
    finally:
        if current(directory) == mine:
            if before is not None and before.alive:
                _write(directory, before)
            else:
                (directory / FILE).unlink(missing_ok=True)


def _write(directory: Path, running: Running) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f"{FILE}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(running), indent=2) + "\n", "utf-8")
    draft.replace(directory / FILE)  # at once: a reader never sees half of it
