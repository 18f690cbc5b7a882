"""Make and list the topics of the table."""

from collections.abc import Sequence
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from kernel.kafka_admin import TopicState, create_topics, list_topics
from launcher.kafka_options import NOTHING, Bootstrap, Prefix, connection, console, reported

app = typer.Typer(name="topics", help="The topics of the platform on a broker.", no_args_is_help=True)


@app.command("create")
def create_command(
    replication_factor: Annotated[
        int, typer.Option(min=-1, help="Copies of each partition; -1: as the broker likes.")
    ] = -1,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Make every topic that is missing; existing ones stay as they are. Exit code 1 when one cannot be used."""
    with reported():
        settings = connection(bootstrap, prefix)
        _show(create_topics(settings, replication_factor), settings.topic_prefix)


@app.command("list")
def list_command(bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Hold the broker against the table of topics. Exit code 1 when one is missing or cannot be used."""
    with reported():
        settings = connection(bootstrap, prefix)
        _show(list_topics(settings), settings.topic_prefix)


def _show(states: Sequence[TopicState], prefix: str) -> None:
    """One line for each topic within 80 columns; the prefix, which may be long, once above them."""
    table = Table(header_style="bold", box=None, pad_edge=False, collapse_padding=True)
    if prefix:
        console.print(f"before each name: {prefix}", markup=False, soft_wrap=True)
    for heading in ("topic", "partitions", "messages", "kept", "cleanup", "state"):
        justify: Literal["left", "right"] = "right" if heading in ("partitions", "messages") else "left"
        table.add_column(heading, justify=justify, no_wrap=heading == "topic")
    for state in states:
        table.add_row(
            state.name.removeprefix(prefix),
            str(state.partitions or state.needed),
            "" if state.messages is None else f"{state.messages:,}",
            f"{state.topic.retention.days} d",
            state.topic.cleanup_policy,
            Text(state.verdict, "red" if state.problem else "green" if state.verdict == "ok" else "yellow"),
        )
    console.print(table)
    if any(state.problem for state in states):
        raise typer.Exit(NOTHING)
