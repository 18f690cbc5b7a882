"""What a paper session is to be, and what it must reach."""

from dataclasses import dataclass

PACING_CODES = (100, 162, 420)
"""Too many messages, and the historical service's refusals: 162 whatever it says, if not that it cancelled as asked."""

_MOCK = ("--active-orders", "0", "--message-rate", "0")


class NoPaperSession(ValueError):
    """The settings are not those of a paper session; the text says what to change."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How long a session lasts, by the clock of its market, and how many orders it must trade.

    One that lasts less than ``least_seconds`` is a rehearsal and passes nothing. ``journey_ms`` is added to the latency
    of the mock gateway, which is on this machine: what the way from a real gateway to its venue and back is expected to
    take. Within ``closing_seconds`` nothing may be held any more. The gateway may refuse ``largest_refused_share`` of
    the orders: the fill rate is of those that it took.
    """

    seconds: float = 6 * 3_600.0
    least_seconds: float = 6 * 3_600.0
    fewest_trades: int = 50
    most_trades: int = 200
    journey_ms: float = 100.0
    mock_market: tuple[str, ...] = _MOCK
    closing_seconds: float = 180.0
    largest_latency_delta: float = 0.5
    least_fill_rate: float = 0.98
    largest_refused_share: float = 0.02
    least_sharpe_share: float = 0.5


STEPPED_MARKET = ("--stepped", "--seed", "39", "--active-orders", "0", "--depth", "100")
"""How the simulator is started for a session: a market in which the strategy of config/prelive.yaml gains.

The seed was chosen for that: the check of the Sharpe ratio then compares two numbers, and says nothing of a strategy.
"""
STEPPED = SessionPlan(
    seconds=4.5 * 3_600.0,
    least_seconds=4.5 * 3_600.0,
    journey_ms=0.0,
    mock_market=(*STEPPED_MARKET, *_MOCK),
)
"""A session on the simulator, whose market goes on by a minute once everything that follows from the last is done.

So it lasts as long as this machine needs for it, and the load of the machine decides nothing that is traded.
"""
