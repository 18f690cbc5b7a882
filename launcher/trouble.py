"""What keeps a run from trading: intents that were refused and symbols that are halted."""

from collections import Counter
from uuid import UUID

from contracts.base import Message
from contracts.control import KillScope, KillSwitchCommand
from contracts.trading import ExecutionReport, OrderStatus
from order_plane.safety.symbol_halts import SymbolHalts


class Trouble:
    """A fold over what the planes say; ``rejected`` counts intents by the code of the reason."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()
        self._known: set[UUID] = set()
        self._halts = SymbolHalts()

    @property
    def halted(self) -> tuple[str, ...]:
        """Symbols that must not be traded, ``*`` for all."""
        return tuple(sorted(self._halts.reasons))

    def take(self, message: Message) -> None:
        """Take in what was said."""
        if isinstance(message, ExecutionReport):
            if message.status is OrderStatus.REJECTED and message.intent_id not in self._known:
                self._known.add(message.intent_id)
                self.rejected[(message.reject_reason or "").partition(":")[0]] += 1
        elif isinstance(message, KillSwitchCommand) and message.scope is KillScope.SYMBOL:
            self._halts.apply(message)
