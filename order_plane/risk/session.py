"""Controls on when an order may be sent."""

from contracts.trading import OrderIntent, TimeInForce
from domain.calendar import OutsideCalendarError, SessionCalendar
from order_plane.risk.port import Refusal, RiskCheck, RiskView


def market_hours(calendar: SessionCalendar) -> RiskCheck:
    """Refuse outside the sessions of ``calendar``; the moments of open and close belong to the session."""
    since = until = None  # two moments of one session: whatever lies between them does so too

    def check(intent: OrderIntent, view: RiskView) -> Refusal | None:
        nonlocal since, until
        now = view.now
        if since is not None and until is not None and since <= now <= until:
            return None
        try:
            since, until = now, calendar.session_end(now)
            if until is not None:
                return None
        except OutsideCalendarError:
            return Refusal("MARKET_CLOSED", f"calendar {calendar.name} does not cover this moment")
        return Refusal("MARKET_CLOSED", f"no session of {calendar.name} is open")

    return check


def not_expired(intent: OrderIntent, view: RiskView) -> Refusal | None:
    """Refuse after the intent's ``valid_until``, and an order good till a date that names none."""
    until = intent.valid_until
    if until is None:
        if intent.time_in_force is TimeInForce.GTD:
            return Refusal("NO_EXPIRY", "time in force GTD needs valid_until")
        return None
    if view.now <= until:
        return None
    return Refusal("INTENT_EXPIRED", "the intent arrived after its valid_until")
