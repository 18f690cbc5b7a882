"""The one table of topics: which messages, keyed how, kept how long, written by whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

from contracts.base import Message
from contracts.claims import IntentsHandedOver, JournalClaim
from contracts.control import (
    Heartbeat,
    KillSwitchCommand,
    PlanDecision,
    PlanProgress,
    PortfolioState,
    RebalancePlan,
    RiskAlert,
    RunMarker,
)
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent, TickEvent
from contracts.trading import ExecutionCost, ExecutionReport, OrderIntent

MAX_MESSAGE_BYTES = 256 * 1024
"""A source record larger than this is refused."""
MAX_DEAD_LETTER_BYTES = MAX_MESSAGE_BYTES + 64 * 1024
"""A dead letter holds the whole original and the headers that explain it."""
_FOR_GOOD = timedelta(days=3650)
"""How long what a state is rebuilt from is kept.

Bars count among it: a strategy that looks back on twelve months of them, and trades every so many of them, can go on
after a restart only if none is missing. A million compressed bars take about 70 MB.
"""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the platform.

    ``messages`` are the contracts it accepts (empty for dead letters, which keep any bytes); ``key`` says
    what keeps its order; ``owner`` is the only plane that writes to it in normal operation. Positions are
    rebuilt from the topics flagged ``rebuilds``, so their logs must reach back to their beginning. One partition keeps
    one order for all readers: limits give a different verdict on a different order of wishes. Older brokers may have
    more of them, but not where ``total_order`` decides which journal may send.
    """

    name: str
    messages: tuple[type[Message], ...]
    key: str
    owner: str
    partitions: int = 1
    retention: timedelta = timedelta(days=7)
    cleanup_policy: str = "delete"
    dead_letter: str | None = None
    max_message_bytes: int = MAX_MESSAGE_BYTES
    rebuilds: bool = False
    total_order: bool = False


def _dead_letter_of(name: str, source_retention: timedelta = timedelta(days=7)) -> Topic:
    return Topic(
        f"dlq_{name}",
        (),
        key="as in the source",
        owner=f"consumers of {name}",
        retention=source_retention + timedelta(days=30),
        max_message_bytes=MAX_DEAD_LETTER_BYTES,
    )


_TABLE = (
    Topic(
        "market_events",
        (BarEvent, TickEvent, OFIEvent, FactEvent, SliceEvent),
        key="symbol",
        owner="data",
        retention=_FOR_GOOD,
        dead_letter="dlq_market_events",
        rebuilds=True,
    ),
    Topic(
        "order_intents",
        (OrderIntent, IntentsHandedOver),
        key="symbol",
        owner="strategy",
        retention=_FOR_GOOD,
        dead_letter="dlq_order_intents",
        rebuilds=True,
        total_order=True,
    ),
    Topic(
        "execution_reports",
        (ExecutionReport,),
        key="symbol",
        owner="order",
        retention=_FOR_GOOD,
        dead_letter="dlq_execution_reports",
        rebuilds=True,
    ),
    # Small, and read whole by every order plane that starts: a kill holds until somebody releases it.
    Topic(
        "control",
        (KillSwitchCommand, RunMarker),
        key="none",
        owner="operator",
        retention=_FOR_GOOD,
        dead_letter="dlq_control",
    ),
    Topic(
        "plans",
        (RebalancePlan, PlanDecision, PlanProgress),
        key="strategy",
        owner="strategy",
        retention=_FOR_GOOD,
        dead_letter="dlq_control",
    ),
    # Small, and read whole by every order plane that starts: the first claim of all counts as much as the newest.
    Topic("journal_claims", (JournalClaim,), key="none", owner="order", retention=_FOR_GOOD, total_order=True),
    Topic("risk_alerts", (RiskAlert,), key="none", owner="order", dead_letter="dlq_control"),
    Topic(
        "execution_costs",
        (ExecutionCost,),
        key="symbol",
        owner="order",
        cleanup_policy="compact",
        dead_letter="dlq_control",
    ),
    Topic(
        "portfolio_state",
        (PortfolioState,),
        key="strategy",
        owner="strategy",
        cleanup_policy="compact",
        dead_letter="dlq_control",
    ),
    Topic(
        "heartbeats",
        (Heartbeat,),
        key="plane",
        owner="every plane",
        retention=timedelta(days=1),
        cleanup_policy="compact,delete",
        dead_letter="dlq_control",
    ),
    _dead_letter_of("market_events", _FOR_GOOD),
    _dead_letter_of("order_intents", _FOR_GOOD),
    _dead_letter_of("execution_reports", _FOR_GOOD),
    _dead_letter_of("control", _FOR_GOOD),
    # What was handed in again too often waits here for a person.
    replace(_dead_letter_of("parked"), owner="redrive", retention=timedelta(days=365)),
)

TOPICS: Mapping[str, Topic] = MappingProxyType({topic.name: topic for topic in _TABLE})
"""Every topic by its name without prefix."""
TOPIC_OF: Mapping[type[Message], Topic] = MappingProxyType(
    {message: topic for topic in _TABLE for message in topic.messages}
)
"""Where each message type is published."""


def qualified(name: str, prefix: str = "") -> str:
    """The topic's name on the broker in the environment that ``prefix`` separates."""
    return f"{prefix}{name}"


def unqualified(name: str, prefix: str = "") -> str:
    """The name in the table of the broker's topic ``name``; raises KeyError for a foreign topic."""
    bare = name.removeprefix(prefix)
    if bare not in TOPICS:
        raise KeyError(f"{name} is not a topic of this platform")
    return bare
