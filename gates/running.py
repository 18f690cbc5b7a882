"""Starts one stage, with a simulator when that is wanted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gates import account_probe, artifact_validation, go_live, integration_flow, interface_map, paper_session, suites
from gates.artifact import AnyArtifact
from gates.context import Context
from gates.mock_gateway import simulator
from gates.session_plan import STEPPED, STEPPED_MARKET, SessionPlan
from gates.stages import stage

REHEARSAL_MARKET = ("--speed", "60", "--seed", "7")


class Choices(NamedTuple):
    """What the stages are told: reports to read, the length of a session, whom a decision is for."""

    coverage: Path = Path("coverage.json")
    junit: Sequence[Path] = ()
    hours: float | None = None
    account: str | None = None
    days: int = 90
    sim: bool = False


def run_stage(context: Context, number: int, choices: Choices) -> AnyArtifact:
    """Run a stage and return its artifact.

    Raises:
        RecordSigned: when a record is in force, or may be; nothing was touched then.
        Others: as the stages do.
    """
    context.shelf.require_unsigned()
    if choices.sim and stage(number).needs_gateway:
        with simulated(context, number) as (simulation, control_port):
            return _run(simulation, number, choices, control_port)
    return _run(context, number, choices, None)


@contextmanager
def simulated(context: Context, number: int) -> Iterator[tuple[Context, int]]:
    """The context with a simulator as its gateway, and the simulator's control port.

    Where the gateway is, is no part of what artifacts are about.
    """
    market = STEPPED_MARKET if number == 7 else REHEARSAL_MARKET
    account = context.order.account
    with simulator(*market, "--account", account, symbols=context.data.symbols) as (port, control_port):
        gateway = context.order.ibkr.model_copy(update={"host": "127.0.0.1", "port": port, "paper_ports": (port,)})
        yield replace(context, order=context.order.model_copy(update={"ibkr": gateway})), control_port


def _run(context: Context, number: int, choices: Choices, control_port: int | None) -> AnyArtifact:
    plan = STEPPED if choices.sim else SessionPlan()
    if choices.hours is not None:
        plan = replace(plan, seconds=choices.hours * 3_600.0)
    stages = {
        1: lambda: artifact_validation.run(context, choices.coverage),
        2: lambda: integration_flow.run(context),
        3: lambda: interface_map.run(context),
        4: lambda: suites.run_suites(context, choices.junit),
        5: lambda: suites.run_collection(context),
        6: lambda: account_probe.run(context),
        7: lambda: paper_session.run(context, plan, control_port),
        8: lambda: go_live.run(context, choices.account or context.order.account, choices.days),
    }
    return stages[number]()
