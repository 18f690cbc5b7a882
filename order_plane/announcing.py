"""Says in the log what a person must see of what the order plane says on its topics."""

from collections.abc import Iterable, Sequence

import structlog

from contracts.base import Message
from contracts.codec import FieldError
from contracts.control import AlertSeverity, KillSwitchCommand, RiskAlert
from kernel.ports import Received
from order_plane.alerts import is_told

_LOG = structlog.get_logger()


class Announcer:
    """Logs every critical alert, that one is over, and every kill switch command; an `Observer` of the pump."""

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """What a message led to."""
        if outputs:
            self.said(outputs)

    def refused(self, received: Received, error: FieldError) -> None:
        """A dead letter is counted elsewhere."""

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """What was said at the end of a batch."""
        self.said(outputs)

    def said(self, outputs: Iterable[Message]) -> Sequence[Message]:
        """Log what is of interest among ``outputs``, and return all of them."""
        messages = list(outputs)
        for each in messages:
            if isinstance(each, KillSwitchCommand):
                _LOG.warning(
                    "trading is stopped" if each.engage else "trading is released",
                    scope=each.scope.value,
                    target=each.target,
                    operator=each.operator,
                    reason=each.reason,
                )
            elif isinstance(each, RiskAlert) and is_told(each):
                critical = each.severity is AlertSeverity.CRITICAL
                tell, event = (_LOG.warning, "critical alert") if critical else (_LOG.info, "all clear")
                tell(event, code=each.code, symbol=each.symbol, detail=each.detail)
        return messages
