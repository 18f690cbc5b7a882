"""Start and stop a real Apache Kafka on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.apache_kafka import ApacheKafka, fetch_jars, kafka_home
from launcher.kafka_options import NOTHING, console, reported

app = typer.Typer(name="broker", help="A real Apache Kafka on this machine, without Docker.", no_args_is_help=True)

Directory = Annotated[Path | None, typer.Option(help="Data, log and process id; default .algotrade/kafka/broker.")]


@app.command()
def fetch() -> None:
    """Fetch the broker's jars with Maven (54 MB, once)."""
    with reported():
        console.print(f"jars are in {fetch_jars()}", markup=False, soft_wrap=True)


@app.command()
def start(
    directory: Directory = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on the loopback; 0 takes a free one.")] = 9092,
) -> None:
    """Start it in the background and wait until it answers; the port counts the first time only."""
    with reported(), console.status("starting Apache Kafka"):
        broker = _broker(directory, port)
        servers = broker.start()
    console.print(
        f"Apache Kafka runs at {servers} (process {broker.pid}, log {broker.log})", markup=False, soft_wrap=True
    )


@app.command()
def stop(directory: Directory = None) -> None:
    """Shut it down cleanly; its data stays. Exit code 1 when it does not run."""
    broker = _broker(directory)
    _refuse_unless_running(broker)
    with console.status("stopping Apache Kafka"):
        broker.stop()
    console.print("stopped; the data stays")


@app.command()
def status(directory: Directory = None) -> None:
    """Say whether it runs, and where. Exit code 1 when it does not."""
    broker = _broker(directory)
    _refuse_unless_running(broker)
    console.print(
        f"runs at {broker.bootstrap_servers} (process {broker.pid}, log {broker.log})", markup=False, soft_wrap=True
    )


def _refuse_unless_running(broker: ApacheKafka) -> None:
    if broker.pid is None:
        console.print("does not run")
        raise typer.Exit(NOTHING)


def _broker(directory: Path | None, port: int = 0) -> ApacheKafka:
    return ApacheKafka(directory or kafka_home() / "broker", port, lasting=True)
