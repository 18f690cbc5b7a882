"""A person looks at plans by command line and decides on those that wait, over Kafka."""

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from contracts.base import Message
from contracts.codec import encode
from contracts.control import (
    PlanDecision,
    PlannedTrade,
    PlanProgress,
    PlanState,
    RebalancePlan,
    TradeProgress,
    TradeState,
    Verdict,
)
from contracts.plan_content import signed
from contracts.trading import Side
from domain.ids import plan_id
from kernel.kafka_producer import DurableProducer
from launcher.cli import app
from launcher.plans_cli import read_plans

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
WHO = ("--operator", "ada", "--reason", "looked at")


def a_plan(day: int, *, requires_approval: bool = True) -> RebalancePlan:
    at = NOON + timedelta(days=day)
    trade = PlannedTrade(
        symbol="AAPL", direction=Side.BUY, quantity=10.0, current_weight=0.0, target_weight=0.25, reference_price=100.0
    )
    return signed(
        RebalancePlan(
            plan_id=plan_id("mine", at),
            strategy_id="mine",
            timestamp=at,
            valid_until=at + timedelta(days=5),
            trades=(trade,),
            content_hash="0" * 64,
            requires_approval=requires_approval,
            reasons=("monthly rebalance of 2024-01",),
        )
    )


def progress(plan: RebalancePlan, state: PlanState) -> PlanProgress:
    came = TradeProgress(
        symbol="AAPL", direction=Side.BUY, state=TradeState.SKIPPED, planned=10.0, reason="it aims at more"
    )
    return PlanProgress(plan_id=plan.plan_id, strategy_id="mine", timestamp=NOON, state=state, trades=(came,))


@pytest.fixture
def say(embedded_settings):
    def published(*messages: Message | bytes) -> None:
        producer = DurableProducer(embedded_settings)
        for message in messages:
            raw = message if isinstance(message, bytes) else encode(message)
            producer.send(embedded_settings.topic("plans"), raw, key=b"mine", headers=())
        producer.flush()
        producer.close()

    return published


@pytest.fixture
def run(embedded_settings):
    where = ("--bootstrap", embedded_settings.bootstrap_servers, "--prefix", embedded_settings.topic_prefix)

    def invoke(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["plans", *words, *where], env={"COLUMNS": "160"})
        return result.exit_code, result.output

    return invoke


def test_a_plan_that_waits_is_approved_once_and_by_its_content(say, run, embedded_settings):
    ended, waits, free = a_plan(0), a_plan(1), a_plan(2, requires_approval=False)
    say(ended, progress(ended, PlanState.SUPERSEDED), b"not a message", waits, free)
    said = run("list")[1]
    assert [word for word in said.split() if word in ("SUPERSEDED", "WAITS", "MADE")] == ["SUPERSEDED", "WAITS", "MADE"]
    assert str(ended.plan_id)[:8] not in run("list", "--waiting")[1]
    code, said = run("approve", str(waits.plan_id)[:8], *WHO)
    assert (code, "APPROVED: 1 trades of mine" in said) == (0, True)
    found = {each.plan.plan_id: each for each in read_plans(embedded_settings)}[waits.plan_id]
    assert isinstance(found.decision, PlanDecision)
    assert (found.decision.verdict, found.decision.operator) == (Verdict.APPROVED, "ada")
    assert found.decision.content_hash == waits.content_hash
    for plan, why in ((ended, "it has ended: SUPERSEDED"), (waits, "ada has decided"), (free, "needs no approval")):
        code, said = run("refuse", str(plan.plan_id), *WHO)
        assert (code, why in said) == (2, True), said
    assert "no plan waits" in run("list", "--waiting")[1]


def test_a_plan_is_shown_with_what_came_of_it(say, run):
    plan = a_plan(0)
    say(plan, progress(plan, PlanState.SUPERSEDED))
    said = run("show", str(plan.plan_id)[:8])[1]
    for part in ("because: monthly rebalance", "AAPL", "25.00%", "SKIPPED 0: it aims at more"):
        assert part in said


def test_what_names_no_plan_is_refused(say, run):
    assert "there is no plan" in run("list")[1]
    code, said = run("refuse", "abcd", *WHO)
    assert (code, "no plan has an id that begins with abcd" in said) == (2, True)
