"""``algotrade plans``: look at plans to rebalance, and approve or refuse those that wait for it."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from contracts.codec import ContractViolation, decode, encode
from contracts.control import PlanDecision, PlannedTrade, PlanProgress, PlanState, RebalancePlan, Verdict
from contracts.topics import TOPIC_OF
from kernel.clock import SystemClock
from kernel.kafka_history import read_logs
from kernel.kafka_offsets import watermarks
from kernel.kafka_producer import DurableProducer
from kernel.kafka_settings import KafkaSettings
from launcher.kafka_options import Bootstrap, Prefix, connection, console, reported
from launcher.order_journal import Operator, Reason

app = typer.Typer(name="plans", help="Plans to rebalance: look at them, approve or refuse them.", no_args_is_help=True)

Reference = Annotated[str, typer.Argument(metavar="PLAN", help="The id, or its first digits, as `plans list` says.")]
_TOPIC = TOPIC_OF[RebalancePlan].name
_ENDED = (PlanState.COMPLETED, PlanState.REFUSED, PlanState.EXPIRED, PlanState.SUPERSEDED)


@dataclass(slots=True)
class PlanOnTopic:
    """A plan, when it was written to the topic, the first decision on its content, and the newest account of it."""

    plan: RebalancePlan
    written: datetime
    decision: PlanDecision | None = None
    progress: PlanProgress | None = None

    @property
    def standing(self) -> str:
        """Where it stands, in a word."""
        if self.progress is not None:
            return self.progress.state.value
        if self.decision is not None:
            return self.decision.verdict.value
        return "WAITS" if self.plan.requires_approval else "MADE"

    def objection(self) -> str | None:
        """Why nobody may decide on it now, if so."""
        if not self.plan.requires_approval:
            return "it needs no approval"
        if self.progress is not None and self.progress.state in _ENDED:
            return f"it has ended: {self.progress.state.value}"
        if self.decision is not None:
            return f"{self.decision.operator} has decided: {self.decision.verdict.value}"
        return None


@app.command("list")
def list_plans(
    *,
    waiting: Annotated[bool, typer.Option("--waiting", help="Those alone that wait for a decision.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show every plan, oldest first: since when, until when, how many trades, and where it stands."""
    with reported():
        plans = [each for each in read_plans(connection(bootstrap, prefix)) if not waiting or each.standing == "WAITS"]
        table = Table(show_edge=False)
        for title in ("plan", "strategy", "made (UTC)", "valid until", "trades", "stands"):
            table.add_column(title, no_wrap=title != "strategy")
        for each in plans:
            plan = each.plan
            made, until = (f"{moment:%Y-%m-%d %H:%M}" for moment in (plan.timestamp, plan.valid_until))
            table.add_row(str(plan.plan_id)[:8], plan.strategy_id, made, until, str(len(plan.trades)), each.standing)
        console.print(table if plans else "no plan waits" if waiting else "there is no plan")


@app.command("show")
def show_plan(reference: Reference, bootstrap: Bootstrap = None, prefix: Prefix = None) -> None:
    """Show a plan in full: why it was made, what it was held against, each trade and what came of it."""
    with reported():
        found = find_plan(read_plans(connection(bootstrap, prefix)), reference)
        plan = found.plan
        _say(f"{plan.plan_id} of {plan.strategy_id}, made {plan.timestamp:%Y-%m-%d %H:%M} UTC: {found.standing}")
        for reason in plan.reasons:
            _say(f"because: {reason}")
        for check in plan.checks:
            _say(f"{'kept' if check.passed else 'NOT KEPT'} {check.name}: {check.detail}")
        if found.decision is not None:
            _say(f"{found.decision.verdict.value} by {found.decision.operator}: {found.decision.reason}")
        console.print(_trades(found))
        for skipped in plan.skipped:
            _say(f"left out {skipped.symbol}: {skipped.reason}, {skipped.detail}")


@app.command()
def approve(
    reference: Reference, operator: Operator, reason: Reason, bootstrap: Bootstrap = None, prefix: Prefix = None
) -> None:
    """Let a plan that waits be traded, as its content is now."""
    with reported():
        _decide(reference, Verdict.APPROVED, (operator, reason), connection(bootstrap, prefix))


@app.command()
def refuse(
    reference: Reference, operator: Operator, reason: Reason, bootstrap: Bootstrap = None, prefix: Prefix = None
) -> None:
    """End a plan that waits: nothing of it is traded."""
    with reported():
        _decide(reference, Verdict.REFUSED, (operator, reason), connection(bootstrap, prefix))


def read_plans(kafka: KafkaSettings) -> list[PlanOnTopic]:
    """Every plan on the topic, oldest first; records that are none are passed over.

    Raises:
        BrokerUnavailable: when no broker answers.
    """
    said = list(_messages(kafka))
    found = {each.plan_id: PlanOnTopic(each, at) for each, at in reversed(said) if isinstance(each, RebalancePlan)}
    for each, _ in said:
        known = found.get(each.plan_id)
        if known is None:
            continue
        if isinstance(each, PlanProgress):
            known.progress = each
        elif isinstance(each, PlanDecision) and each.content_hash == known.plan.content_hash:
            known.decision = known.decision or each
    return list(reversed(found.values()))


def _messages(kafka: KafkaSettings) -> Iterator[tuple[RebalancePlan | PlanDecision | PlanProgress, datetime]]:
    """What is on the topic, and when each was written there."""
    for record in read_logs(kafka, watermarks(kafka, [_TOPIC])):
        with suppress(ContractViolation):
            message = decode(record.value() or b"", (RebalancePlan, PlanDecision, PlanProgress))
            if isinstance(message, RebalancePlan | PlanDecision | PlanProgress):
                yield message, datetime.fromtimestamp(max(0, record.timestamp()[1]) / 1000, UTC)


def find_plan(plans: Sequence[PlanOnTopic], reference: str) -> PlanOnTopic:
    """The plan whose id begins with ``reference``.

    Raises:
        ValueError: when there is none, or more than one.
    """
    found = [each for each in plans if reference and str(each.plan.plan_id).startswith(reference.lower())]
    if len(found) != 1:
        many = "no plan has" if not found else f"{len(found)} plans have"
        raise ValueError(f"{many} an id that begins with {reference}; `algotrade plans list` shows all")
    return found[0]


def _decide(reference: str, verdict: Verdict, who: tuple[str, str], kafka: KafkaSettings) -> None:
    found = find_plan(read_plans(kafka), reference)
    objection = found.objection()
    if objection is not None:
        raise ValueError(f"plan {str(found.plan.plan_id)[:8]} cannot be decided on: {objection}")
    operator, reason = who
    decision = PlanDecision(
        plan_id=found.plan.plan_id,
        strategy_id=found.plan.strategy_id,
        timestamp=_moment(found),
        verdict=verdict,
        operator=operator,
        reason=reason,
        content_hash=found.plan.content_hash,
    )
    producer = DurableProducer(kafka)
    try:
        producer.send(kafka.topic(_TOPIC), encode(decision), key=decision.partition_key.encode(), headers=())
        producer.flush()
    finally:
        producer.close()
    _say(f"{verdict.value}: {len(found.plan.trades)} trades of {found.plan.strategy_id}; published")


def _moment(found: PlanOnTopic) -> datetime:
    """Now, by the time that the plan lives in: as long after it was made as it has been on the topic.

    Trading live this is the time of day; while past bars are played it is the past that they are of, by which the plan
    runs out.
    """
    return found.plan.timestamp + max(SystemClock().now() - found.written, timedelta(0))


def _trades(found: PlanOnTopic) -> Table:
    table = Table(show_edge=False)
    for title in ("trade", "symbol", "units", "price", "weight now", "aimed at", "came of it"):
        table.add_column(title, justify="left" if title in ("trade", "symbol", "came of it") else "right")
    said = {each.symbol: each for each in found.progress.trades} if found.progress else {}
    for trade in found.plan.trades:
        each = said.get(trade.symbol)
        became = f"{each.state.value} {each.filled:g}{': ' + each.reason if each.reason else ''}" if each else ""
        table.add_row(*_cells(trade), became)
    return table


def _cells(trade: PlannedTrade) -> tuple[str, ...]:
    price = "" if trade.reference_price is None else f"{trade.reference_price:,.2f}"
    weights = (f"{weight:.2%}" for weight in (trade.current_weight, trade.target_weight))
    return trade.direction.value, trade.symbol, f"{trade.quantity:,g}", price, *weights


def _say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
