"""What a paper session is to be, and what it must reach."""

from dataclasses import dataclass

PACING_CODES = (100, 162, 420)
"""Too many messages, and the historical service's refusals; 162 is counted whatever its text says."""

_MOCK = ("--active-orders", "0", "--message-rate", "0")


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """How long a session lasts and how many orders it must trade.

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


ACCELERATED_MARKET = ("--speed", "360", "--seed", "39", "--active-orders", "0", "--depth", "100")
"""How the simulator is started for it: about five hours of a market in which the strategy of config/prelive.yaml gains.

The seed was chosen for that: the check of the Sharpe ratio then compares two numbers, and says nothing of a strategy.
"""
ACCELERATED = SessionPlan(
    seconds=45.0,
    least_seconds=45.0,
    journey_ms=0.0,
    mock_market=(*ACCELERATED_MARKET, *_MOCK),
    closing_seconds=20.0,
)
"""A session on the simulator, whose market runs many times as fast."""
