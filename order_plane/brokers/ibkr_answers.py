"""Answers of the gateway, and what stands for them when there are none."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ibkr_client.connection import ConnectionLost, RequestRefused
from ibkr_client.messages import OrderState
from order_plane.brokers.port import BrokerStateUnknown, BrokerUnavailable

NO_ANSWER = (ConnectionLost, RequestRefused, TimeoutError)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an order that was sent: its ``fields``, and who waits for the gateway to show them."""

    fields: Mapping[str, object]
    answer: "asyncio.Future[None]"

    def shows(self, told: OrderState) -> bool:
        """Whether ``told`` is the order as it was to be."""
        shown = {"totalQuantity": told.quantity, "lmtPrice": told.limit_price, "auxPrice": told.stop_price}
        return all(self.fields.get(name, value) == value for name, value in shown.items())


class SharedQuestion:
    """A question to the gateway of which one answer, or one silence, serves everybody who waits for it by then.

    ``asked_at`` is when, by the clock of the loop, the newest one was asked that was answered, whoever asked it.
    """

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._one = asyncio.Lock()
        self._silent_at = 0.0
        self.asked_at = 0.0

    async def since(self, moment: float) -> None:
        """Return when one was answered that was asked at ``moment`` or later; raises what comes of asking.

        A gateway that was still silent after ``moment`` is not asked once more.
        """
        async with self._one:
            if self.asked_at >= moment:
                return
            if self._silent_at >= moment:
                raise TimeoutError("the gateway has left a question unanswered")
            try:
                await self._ask()
            except TimeoutError:
                self._silent_at = asyncio.get_running_loop().time()
                raise


async def clear(asked: Awaitable[Result]) -> Result:
    """The answer, or the failure in the words of the broker's port."""
    try:
        return await asked
    except ConnectionLost:
        raise BrokerUnavailable("the connection was lost") from None
    except (RequestRefused, TimeoutError) as error:
        raise BrokerStateUnknown(f"the gateway gave no clear answer: {named(error)}") from None


def named(error: BaseException) -> str:
    """What went wrong; a timeout has no words of its own."""
    return str(error) or type(error).__name__
