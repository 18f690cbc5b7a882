"""The real client libraries that speak to the simulator."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest

DEADLINE_SECONDS = 60


class Clients:
    """One of the two asynchronous client libraries, and what a test needs of it."""

    def __init__(self, library: ModuleType) -> None:
        self.library = library
        self.errors: list[tuple[int, int]] = []

    @asynccontextmanager
    async def connected(self, simulator: Any, client_id: int = 1, **options: Any) -> AsyncIterator[Any]:
        """A connected client; its errors go to ``errors`` as (id, code)."""
        ib = self.library.IB()
        ib.RaiseRequestErrors = True
        ib.errorEvent += lambda number, code, *_: self.errors.append((number, code))
        await ib.connectAsync("127.0.0.1", simulator.port, clientId=client_id, timeout=5, **options)
        try:
            yield ib
        finally:
            ib.disconnect()
            await asyncio.sleep(0.02)

    def stock(self, symbol: str = "AAPL", **fields: Any) -> Any:
        """A US stock."""
        return self.library.Stock(symbol, "SMART", "USD", **fields)

    async def qualified(self, ib: Any, symbol: str = "AAPL") -> Any:
        """A US stock with its number, without which ib_async takes no subscription."""
        contract = self.stock(symbol)
        await ib.qualifyContractsAsync(contract)
        return contract

    def market(self, action: str, quantity: float, **fields: Any) -> Any:
        """A market order."""
        return self.library.MarketOrder(action, quantity, **fields)

    def limit(self, action: str, quantity: float, price: float, **fields: Any) -> Any:
        """A limit order."""
        return self.library.LimitOrder(action, quantity, price, **fields)

    def codes(self) -> set[int]:
        """Codes of the errors and notices so far."""
        return {code for _, code in self.errors}


@pytest.fixture
def clients(ibkr_library: ModuleType) -> Clients:
    """Each library in turn."""
    return Clients(ibkr_library)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario to its end within a deadline."""
    asyncio.run(asyncio.wait_for(scenario, DEADLINE_SECONDS))


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: when it does not come.
    """
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(name="run")
def _run() -> Callable[[Coroutine[Any, Any, None]], None]:
    return run


@pytest.fixture(name="until")
def _until() -> Callable[..., Coroutine[Any, Any, None]]:
    return until
