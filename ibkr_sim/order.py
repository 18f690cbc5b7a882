"""An order as the gateway holds it, and the executions it had."""

from dataclasses import dataclass, field
from enum import StrEnum

from ibkr_sim.layout import flag, integer, number
from ibkr_sim.listing import Listing


class Status(StrEnum):
    """Order states in the API's words."""

    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"

    @property
    def ended(self) -> bool:
        """Whether the order can trade no more."""
        return self in (Status.FILLED, Status.CANCELLED, Status.INACTIVE)


@dataclass(slots=True)
class Order:
    """``form`` is placeOrder as it came, for the echo; times are market moments in epoch seconds.

    ``due`` is when the order reaches the exchange. ``faults`` are what a fault script does to this order, by name.
    """

    client_id: int
    order_id: int
    permanent_id: int
    listing: Listing
    form: dict[str, str]
    action: str
    quantity: float
    kind: str
    limit: float | None
    stop: float | None
    time_in_force: str
    account: str
    due: float = 0.0
    status: Status = Status.PENDING_SUBMIT
    triggered: bool = False
    filled: float = 0.0
    paid: float = 0.0
    last_price: float = 0.0
    held: str = ""
    warning: str = ""
    ended_at: float = 0.0
    ending: str = ""
    executions: list["Execution"] = field(default_factory=list)
    faults: dict[str, "Mark"] = field(default_factory=dict)

    @property
    def buys(self) -> bool:
        """Whether it buys."""
        return self.action == "BUY"

    @property
    def remaining(self) -> float:
        """Shares still to trade."""
        return round(self.quantity - self.filled, 8)

    @property
    def average_price(self) -> float:
        """Mean price of what was filled."""
        return round(self.paid / self.filled, 8) if self.filled else 0.0

    @property
    def parent_id(self) -> int:
        """Order id of the order that must fill first; 0 without one."""
        return integer(self.form.get("parentId", ""))

    @property
    def transmitted(self) -> bool:
        """Whether the client wants it sent, rather than kept until another order of its bracket is sent."""
        return flag(self.form.get("transmit", "1"))

    @property
    def group(self) -> str:
        """Name of the group of orders of which one cancels or reduces the others; empty without one."""
        named = self.form.get("ocaGroup", "")
        if named:
            return f"group {self.account} {named}"
        return f"parent {self.client_id} {self.parent_id}" if self.parent_id else ""

    @property
    def reduces(self) -> bool:
        """Whether a fill only reduces the group's others (types 2 and 3, and brackets), rather than cancels them."""
        return integer(self.form.get("ocaType", "")) != 1 if self.form.get("ocaGroup") else True

    @property
    def waits_for_stop(self) -> bool:
        """Whether its stop price was not touched yet."""
        return self.kind in ("STP", "STP LMT") and not self.triggered

    @property
    def key(self) -> tuple[int, int]:
        """Client and order id."""
        return self.client_id, self.order_id


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that a fault script does to an order: an error code and text, or a quantity or price."""

    code: int = 0
    text: str = ""
    quantity: float = 0.0
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill; ``cumulative`` and ``average`` are the order's figures just after it."""

    exec_id: str
    order: Order
    time: float
    shares: float
    price: float
    cumulative: float
    average: float
    commission: float
    realized: float
    adds_liquidity: bool


def decoded(form: dict[str, str], client_id: int, permanent_id: int, listing: Listing, account: str) -> Order:
    """The order that a placeOrder message describes.

    Raises:
        MalformedMessageError: when a field is not of its kind.
    """
    cleaned = {name: "" if text.startswith("1.7976931348623") else text for name, text in form.items()}
    return Order(
        client_id,
        integer(cleaned["reqId"]),
        permanent_id,
        listing,
        cleaned,
        cleaned["action"],
        number(cleaned["totalQuantity"]) or 0.0,
        cleaned["orderType"],
        number(cleaned["lmtPrice"]),
        number(cleaned["auxPrice"]),
        cleaned["tif"] or "DAY",
        account,
    )
