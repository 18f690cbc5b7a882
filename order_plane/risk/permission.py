"""Controls on whether an order of this kind may be sent here at all."""

from collections.abc import Callable, Set

from contracts.trading import OrderIntent
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def own_account(account: str) -> RiskCheck:
    """Refuse an intent that names another account than the one traded here."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.account is None or intent.account == account:
            return None
        return Refusal("WRONG_ACCOUNT", "the intent is for another account than the one traded here")

    return check


def not_restricted(symbols: Set[str]) -> RiskCheck:
    """Refuse every order in ``symbols``."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.symbol not in symbols:
            return None
        return Refusal("RESTRICTED", "the symbol is on the restricted list")

    return check


def approved_plan(objection: Callable[[OrderIntent, RiskView], str | None]) -> RiskCheck:
    """Refuse an intent that names a plan to which there is an ``objection``."""

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        if intent.plan_id is None:
            return None
        found = objection(intent, view)
        return None if found is None else Refusal("UNAPPROVED_PLAN", found)

    return check
