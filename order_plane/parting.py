"""The last that an order plane does when it has been told to stop."""

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Protocol
from uuid import UUID

import structlog

from contracts.base import Message
from kernel.clock import monotonic
from order_plane.alerts import critical
from order_plane.desk import Desk
from order_plane.effects import CancelOrder

_PATIENCE_SECONDS, _TURN_SECONDS = 5.0, 0.05
_PAUSE = Event()


class Leaving(Protocol):
    """The order plane, as far as this reaches into it."""

    @property
    def desk(self) -> Desk:
        """Its desk."""
        ...

    @property
    def uncancelled(self) -> Mapping[UUID, CancelOrder]:
        """Cancels that are due."""
        ...

    def settle(self) -> Sequence[Message]:
        """Ask for them."""
        ...


def part(stage: Leaving) -> list[Message]:
    """Ask for what is still to be cancelled, for a bounded time; what it returns must be published.

    Orders whose cancel the venue has not taken up by then are listed; the next start asks again.
    """
    said: list[Message] = []
    until = monotonic() + _PATIENCE_SECONDS
    while stage.uncancelled:
        said += stage.settle()
        if monotonic() > until:
            break
        _PAUSE.wait(_TURN_SECONDS)
    left = [f"{each.intent_id} (order {each.order_id})" for each in stage.uncancelled.values()]
    if left:
        structlog.get_logger().error("stopped before the venue took these cancels up; they may work on", orders=left)
        detail = f"the order plane has stopped; {len(left)} orders may work on until it starts: {', '.join(left)}"
        said.append(critical("NOT_CANCELLED", detail, stage.desk.as_of()))
    return said
