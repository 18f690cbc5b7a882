"""What a fault script may ask for, and when each fault is due."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

Trigger = Literal[
    "placeOrder",
    "modifyOrder",
    "cancelOrder",
    "reqHistoricalData",
    "reqMktData",
    "reqTickByTickData",
    "connect",
    "fill",
]
Seconds = Annotated[float, Field(ge=0, le=86_400)]

ON_LINKS = ("drop_link", "nightly_reset", "connectivity", "notice", "slow_answers", "halt", "end_bars")
"""Faults that happen to the gateway or the market."""

ON_ORDERS = (
    "order_error",
    "early_error",
    "reject",
    "silent_ack",
    "lose_request",
    "duplicate_execution",
    "correct_execution",
    "commission_first",
    "shred",
)
"""Faults that happen to the order, modification or cancellation that triggers them."""


class Fault(BaseModel):
    """One fault.

    ``at`` is in seconds since the start; ``on`` waits for the ``nth`` request or event of that name, of ``symbol`` if
    one is given, and happens ``times`` times in a row. With neither it happens at once, or to the next order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    do: Literal[
        "drop_link",
        "nightly_reset",
        "connectivity",
        "notice",
        "slow_answers",
        "halt",
        "end_bars",
        "order_error",
        "early_error",
        "reject",
        "silent_ack",
        "lose_request",
        "duplicate_execution",
        "correct_execution",
        "commission_first",
        "shred",
        "pacing_violation",
        "request_error",
    ]
    at: Seconds | None = None
    on: Trigger | None = None
    nth: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] = 1
    symbol: str = ""
    seconds: Seconds = 0.0
    code: int = 0
    text: str = ""
    data: Literal["lost", "kept"] = "kept"
    quantity: Annotated[float, Field(ge=0)] = 0.0
    price: Annotated[float, Field(ge=0)] = 0.0


class FaultScriptError(ValueError):
    """A fault script that cannot be read; names the fault and the field."""


_FAULTS = TypeAdapter(list[Fault])


def faults_of(listed: object) -> list[Fault]:
    """The faults of a script: a list of mappings, or a mapping with the list under ``faults``.

    Raises:
        FaultScriptError: when a fault is none.
    """
    if isinstance(listed, dict) and set(listed) == {"faults"}:
        listed = listed["faults"]
    try:
        faults = _FAULTS.validate_python(listed)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, found["loc"])) or "the script"
        raise FaultScriptError(f"fault {place}: {found['msg']}") from None
    for number, fault in enumerate(faults):
        if fault.at is not None and (fault.on is not None or fault.do not in ON_LINKS):
            raise FaultScriptError(f"fault {number}: at suits {', '.join(ON_LINKS)} without on; use on for the others")
    return faults


class FaultScript:
    """Faults that wait for a request or an event."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._waiting = [fault for fault in faults if fault.on is not None]
        self._seen: Counter[tuple[int, str]] = Counter()

    def add(self, fault: Fault) -> None:
        """Let one more wait; it counts from now on."""
        self._waiting.append(fault)

    def due(self, trigger: str, symbol: str = "") -> Sequence[Fault]:
        """Faults that this request or event sets off."""
        found = []
        for fault in self._waiting:
            if fault.on != trigger or fault.symbol not in ("", symbol):
                continue
            key = (id(fault), trigger)
            self._seen[key] += 1
            if fault.nth <= self._seen[key] < fault.nth + fault.times:
                found.append(fault)
        return found
