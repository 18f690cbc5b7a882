"""What a user can choose about the connection to Interactive Brokers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=600)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ContractSettings(_Section):
    """How a symbol is found at Interactive Brokers; the defaults find US stocks."""

    symbol: str = ""
    """Their symbol where it is not the platform's with blanks for dots."""
    security_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""
    """The listing exchange, needed where a symbol fits several contracts."""


class GatewaySettings(_Section):
    """Where TWS or IB Gateway listens."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 4002
    """4002 or 7497 for paper trading, 4001 or 7496 for live trading."""
    client_id: Annotated[int, Field(ge=1, le=32_000)] = 1
    """Each connected program needs its own, and must keep it: its orders belong to it."""
    patience_seconds: Seconds = 10.0
    """How long any answer is waited for."""
    first_wait_seconds: Seconds = 0.1
    longest_wait_seconds: Seconds = 30.0
    """Waits between attempts to connect again double from the first to the longest."""
    messages_per_second: Annotated[int, Field(ge=2, le=50)] = 40
    reserved_for_orders: Annotated[int, Field(ge=0, le=49)] = 15
    """How many of those messages only orders and cancels may use."""
    contracts: dict[str, ContractSettings] = {}
    """By the platform's symbol."""
