"""Which plans may be ordered from: seen, unchanged, approved where that is needed, and still valid."""

from math import fsum
from uuid import UUID

from contracts.control import PlanDecision, RebalancePlan, Verdict
from contracts.plan_content import content_hash
from contracts.trading import OrderIntent, Side
from order_plane.risk.port import RiskView

_REMEMBERED = 1_000
ROUNDING = 1 + 1e-9
"""By how much a sum of binary fractions may be above what it is compared with."""


class ApprovedPlans:
    """The newest plans and what people decided on them, in any order of arrival.

    A decision counts for the content it names only; of several, the newest one, and a refusal before an approval
    of the same moment. A plan whose content does not have its hash is as if it had never come.
    """

    def __init__(self) -> None:
        self._plans: dict[UUID, RebalancePlan] = {}
        self._decisions: dict[tuple[UUID, str], PlanDecision] = {}

    def proposed(self, plan: RebalancePlan) -> tuple[()]:
        """Take note of a plan; another content under a known name is ignored."""
        if plan.content_hash == content_hash(plan):
            self._plans.setdefault(plan.plan_id, plan)
            if len(self._plans) > _REMEMBERED:
                del self._plans[next(iter(self._plans))]
        return ()

    def decided(self, decision: PlanDecision) -> tuple[()]:
        """Take note of a decision."""
        key = decision.plan_id, decision.content_hash
        known = self._decisions.get(key)
        if known is None or _rank(decision) > _rank(known):
            self._decisions[key] = decision
            if len(self._decisions) > 2 * _REMEMBERED:
                del self._decisions[next(iter(self._decisions))]
        return ()

    def objection(self, intent: OrderIntent, view: RiskView) -> str | None:
        """Why the plan that ``intent`` names does not allow it, if so."""
        plan = None if intent.plan_id is None else self._plans.get(intent.plan_id)
        if plan is None or plan.strategy_id != intent.strategy_id:
            return "the plan that the intent names is not known here"
        if view.now > plan.valid_until:
            return "the plan that the intent names has expired"
        if plan.requires_approval:
            decision = self._decisions.get((plan.plan_id, plan.content_hash))
            if decision is None or decision.verdict is not Verdict.APPROVED:
                return "the plan that the intent names is not approved"
        ordered = view.books.ordered(plan.plan_id, intent.symbol, intent.direction)
        if not intent.quantity + ordered <= self.signed(plan.plan_id, intent.symbol, intent.direction) * ROUNDING:
            return "the intent, with what was ordered of its plan before, wants more than the plan does"
        return None

    def signed(self, plan_id: UUID, symbol: str, side: Side) -> float:
        """The units that a plan wants of ``symbol`` on ``side``; none when it is not known."""
        plan = self._plans.get(plan_id)
        trades = () if plan is None else plan.trades
        return fsum([each.quantity for each in trades if (each.symbol, each.direction) == (symbol, side)])


def _rank(decision: PlanDecision) -> tuple[float, bool]:
    return decision.timestamp.timestamp(), decision.verdict is Verdict.REFUSED
