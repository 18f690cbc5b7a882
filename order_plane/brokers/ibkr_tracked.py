"""What was sent to Interactive Brokers for one attempt of an intent, and what is known of it."""

import re
from datetime import datetime
from uuid import UUID

from domain.exact_sum import ExactSum
from ibkr_client.messages import Execution, Notice
from order_plane.facts import Fact, FactKind

ENDS = frozenset({FactKind.CANCELLED, FactKind.EXPIRED, FactKind.REJECT})
"""After these nothing more trades."""
DUST = 1e-9
"""An order is filled when less than this fraction of it is left."""
_ACCOUNT_NUMBERS = re.compile(r"\b(?:D[UFI][A-Z]?|[UFI])\d{4,}\b")
_OF_A_CORRECTION = 1_000
"""Numbers that a fill may have under one name of its execution: the later its commission is from, the higher."""


class Tracked:
    """One order of ours: what was sent, and what is known of it.

    ``wished`` and ``sent`` are units, ``decided_at`` the event time of its intent; ``lapses`` whether it ends by
    itself.
    """

    __slots__ = (
        "_filled",
        "attempt",
        "cancel_asked",
        "decided_at",
        "executions",
        "facts",
        "held",
        "intent_id",
        "lapses",
        "order_id",
        "over",
        "permanent_id",
        "refusal",
        "sent",
        "symbol",
        "told_filled",
        "twins",
        "untold",
        "wished",
    )

    def __init__(
        self, intent_id: UUID, attempt: int, order_id: int, symbol: str, wished: float, sent: float,
        decided_at: datetime, *, lapses: bool,
    ) -> None:  # fmt: skip
        self.intent_id = intent_id
        self.attempt = attempt
        self.order_id = order_id
        self.symbol = symbol
        self.wished = wished
        self.sent = sent
        self.decided_at = decided_at
        self.lapses = lapses
        self.cancel_asked = False
        self.permanent_id = 0
        self.twins: dict[int, int] = {}
        """Other orders that work under the label of the intent: order id by permanent number."""
        self.held: tuple[FactKind, str] | None = None
        """How it ended and why, not to be told while a twin works."""
        self.refusal = ""
        """The newest error that may say why it ends, if it does; nothing follows from it."""
        self.facts: dict[tuple[FactKind, str], Fact] = {}
        self.executions: dict[str, tuple[int, Execution]] = {}
        self.told_filled = 0.0
        """Units that the gateway says have traded, on earlier days too, whose executions it lists no more."""
        self.untold: set[str] = set()
        """Executions of which no fill was told yet."""
        self.over = False
        """Whether a fact says that it ended; one that was filled says so by its executions."""
        self._filled = ExactSum()

    def trade(self, name: str, revision: int, told: Execution) -> None:
        """Book an execution, in place of an earlier revision of it."""
        earlier = self.executions.get(name)
        if earlier is None:
            self.untold.add(name)
        else:
            self._filled.add(-earlier[1].quantity)
        self._filled.add(told.quantity)
        self.executions[name] = (revision, told)

    @property
    def acked(self) -> bool:
        """Whether the gateway has said that it has the order."""
        return (FactKind.ACK, "ack") in self.facts

    @property
    def answered(self) -> bool:
        """Whether the gateway has said anything of this attempt: that another one works says nothing of it."""
        return any(kind is not FactKind.SECOND_ORDER for kind, _ in self.facts)

    @property
    def ended(self) -> bool:
        """Whether nothing more will trade, as far as is known."""
        return self.over or self.filled >= self.sent * (1 - DUST)

    @property
    def working(self) -> list[int]:
        """The order ids under which something may still trade."""
        own = [] if self.ended or self.held is not None else [self.order_id]
        return [*own, *self.twins.values()]

    @property
    def filled(self) -> float:
        """Units traded by its executions."""
        return self._filled.value

    @property
    def traded(self) -> float:
        """Units traded by the word of the gateway, too."""
        return max(self.filled, self.told_filled)


def split_execution_id(execution_id: str) -> tuple[str, int]:
    """The part that an execution shares with its corrections, and the number of the correction."""
    name, _, last = execution_id.rpartition(".")
    return (name, int(last)) if name and last.isdecimal() else (execution_id, 0)


def fill_number(execution_id: str) -> tuple[str, int]:
    """Name and revision of the fill of an execution whose commission is not known."""
    name, revision = split_execution_id(execution_id)
    return name, _OF_A_CORRECTION * revision


def reason_of(notice: Notice) -> str:
    """Code and text of an error as a report may hold them: 512 characters at most, and no account numbers."""
    return f"IBKR_{notice.code}: {_ACCOUNT_NUMBERS.sub('(account)', notice.text)}"[:512]
