"""Run a real Apache Kafka (KRaft, one node, loopback) without Docker: Java 17 and jars from Maven."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from kernel.clock import monotonic

KAFKA_VERSION = "4.3.1"
_POM = Path(__file__).with_name("kafka") / "pom.xml"
_MAIN_CLASS = "kafka.Kafka"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_FETCH_SECONDS = 600.0
_JVM = (
    *("-Xms256m", "-Xmx512m"),
    # A concurrent collector takes more of a small machine than one broker's work does.
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
# The optimising compiler earns its time back in minutes; a broker that stays needs half the processor with it.
_JVM_FOR_A_RUN = (*_JVM, "-XX:TieredStopAtLevel=1")
_PROPERTIES: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A few clients on one machine; more threads only wake each other.
    "num.network.threads": "1",
    "num.io.threads": "2",
    # A member that died hands over its partitions within seconds; the defaults take 45.
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "500",
    "group.consumer.heartbeat.interval.ms": "1000",
    # After a crash the old session of the only broker must expire before it may serve again.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}


class BrokerSetupError(RuntimeError):
    """The broker cannot be fetched or started on this machine; the text says what to install or look at."""


def kafka_home() -> Path:
    """Where jars and data live: ``$ALGOTRADE_HOME/kafka``, else ``.algotrade/kafka`` in the working directory."""
    return Path(os.environ.get("ALGOTRADE_HOME") or ".algotrade").absolute() / "kafka"


def missing_tools() -> str | None:
    """Which program to install before a broker can be fetched and started; None when nothing is missing."""
    if (java := java_version()) is None:
        return "java is missing; install Java 17 or newer (Debian: apt install openjdk-17-jre-headless)"
    if java < 17:
        return f"java is version {java}; Apache Kafka {KAFKA_VERSION} needs 17 or newer"
    if shutil.which("mvn") is None and not _fetched(kafka_home()):
        return "mvn is missing; install Maven (Debian: apt install maven) or use docker/compose.yaml"
    return None


def java_version() -> int | None:
    """Major version of the ``java`` on the path; None when there is none."""
    if shutil.which("java") is None:
        return None
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', said.stderr + said.stdout)
    return int(found.group(1)) if found else None


def fetch_jars(home: Path | None = None) -> Path:
    """Directory with the broker's jars, copied from Maven (about 54 MB) unless they are there already.

    Raises:
        BrokerSetupError: when a program is missing or Maven fails.
    """
    home = home or kafka_home()
    if _fetched(home):
        return _jars(home)
    if problem := missing_tools():
        raise BrokerSetupError(problem)
    partial = home / f"partial-{os.getpid()}"
    partial.mkdir(parents=True, exist_ok=True)
    pom = shutil.copy(_POM, partial / "pom.xml")  # Maven writes beside its pom
    command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    said = subprocess.run(
        [*command, f"-DoutputDirectory={partial / 'jars'}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_FETCH_SECONDS,
    )
    if said.returncode:
        shutil.rmtree(partial, ignore_errors=True)
        raise BrokerSetupError(f"Maven could not fetch Apache Kafka {KAFKA_VERSION}:\n{said.stdout[-2000:]}")
    if not _fetched(home):
        (partial / "jars").rename(_jars(home))
    shutil.rmtree(partial, ignore_errors=True)
    return _jars(home)


class ApacheKafka:
    """One broker with data, log and process id in ``directory``, for one run or ``lasting``; ports stay over restarts.

    Raises:
        BrokerSetupError: from `start`, when Java or Maven is missing or the broker does not come up.
    """

    def __init__(self, directory: Path, port: int = 0, jars: Path | None = None, *, lasting: bool = False) -> None:
        self._directory = directory
        self._jvm = _JVM if lasting else _JVM_FOR_A_RUN
        self._port = port
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start it, unless it runs, and return its bootstrap servers once metadata answers."""
        if self.pid is not None:
            return self.bootstrap_servers
        jars = self._jars or fetch_jars()
        self._directory.mkdir(parents=True, exist_ok=True)
        if not self._config.exists():
            self._format(jars)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["java", *self._jvm, "-cp", f"{jars}/*", _MAIN_CLASS, str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._pid_file.write_text(str(self._process.pid), "ascii")
        self._await_metadata()
        return self.bootstrap_servers

    def stop(self) -> None:
        """Shut it down cleanly; data stays."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would; data stays."""
        self._end(signal.SIGKILL)

    def restart(self) -> str:
        """Stop and start on the same ports and data."""
        self.stop()
        return self.start()

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        try:
            pid = int(self._pid_file.read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return None
        # The number may have been given to another program since.
        said = command_line(pid)
        return pid if _MAIN_CLASS in said and str(self._config) in said else None

    @property
    def bootstrap_servers(self) -> str:
        """Its address; raises FileNotFoundError before the first start."""
        found = re.search(r"PLAINTEXT://([\d.:]+)", self._config.read_text("utf-8"))
        return found.group(1) if found else ""

    @property
    def log(self) -> Path:
        """File with what the broker says."""
        return self._log

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _config(self) -> Path:
        return self._directory.absolute() / "server.properties"

    @property
    def _log(self) -> Path:
        return self._directory / "broker.log"

    @property
    def _pid_file(self) -> Path:
        return self._directory / "broker.pid"

    def _format(self, jars: Path) -> None:
        broker, controller = self._port or _free_port(), _free_port()
        lines = {
            **_PROPERTIES,
            "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "log.dirs": str(self._directory.absolute() / "data"),
        }
        draft = self._config.with_suffix(".draft")
        draft.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), "utf-8")
        tool = ["java", "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
        cluster = _said([*tool, "random-uuid"]).split()[-1]
        _said([*tool, "format", "--standalone", "-t", cluster, "-c", str(draft)])
        draft.rename(self._config)

    def _await_metadata(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        deadline = monotonic() + _START_SECONDS
        while monotonic() < deadline:
            if self.pid is None:
                break
            try:
                admin.list_topics(timeout=0.5)
            except KafkaException:
                continue
            return
        self.kill()
        tail = self._log.read_text("utf-8", "replace")[-1500:]
        raise BrokerSetupError(
            f"Apache Kafka did not come up at {self.bootstrap_servers}; {self._log} ends with:\n{tail}"
        )

    def _end(self, how: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            os.kill(pid, how)
            if not self._ended(_STOP_SECONDS):
                os.kill(pid, signal.SIGKILL)
                self._ended(_STOP_SECONDS)
        self._pid_file.unlink(missing_ok=True)
        self._process = None

    def _ended(self, seconds: float) -> bool:
        deadline = monotonic() + seconds
        while self.pid is not None:
            if monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def _jars(home: Path) -> Path:
    return home / f"jars-{KAFKA_VERSION}"


def _fetched(home: Path) -> bool:
    return any(_jars(home).glob("kafka_2.13-*.jar"))


def command_line(pid: int) -> tuple[str, ...]:
    """The program and arguments of a process, whole; empty when it is gone."""
    processes = Path("/proc")
    if (processes / "self").exists():
        try:
            said = (processes / str(pid) / "cmdline").read_bytes()
        except OSError:
            return ()
        return tuple(os.fsdecode(said).split("\0")[:-1])
    listing = ["ps", "-ww", "-p", str(pid), "-o", "args="]  # without -ww a line ends where the terminal does
    done = subprocess.run(listing, capture_output=True, text=True, check=False, timeout=10)
    return tuple(done.stdout.split())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _said(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_START_SECONDS)
    if said.returncode:
        raise BrokerSetupError(f"{command[-1]} failed:\n{(said.stdout + said.stderr)[-2000:]}")
    return said.stdout
