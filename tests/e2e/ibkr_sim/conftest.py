"""The simulator as a process of its own, and the real client libraries that speak to it."""

import asyncio
import importlib
import json
import os
import re
import socket
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

ALL = "ib_insync,ib_async,ibapi"
DEADLINE_SECONDS = 60


def required() -> set[str]:
    """Client libraries that must be there: ALGOTRADE_REQUIRE_IBKR=1 for all, or names with commas."""
    wanted = os.environ.get("ALGOTRADE_REQUIRE_IBKR", "")
    return set((ALL if wanted == "1" else wanted).split(",")) - {"", "0"}


def client_library(name: str) -> ModuleType:
    """The library, or a skip that says how to install it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library's own imports
            return importlib.import_module(name)
    except ImportError as problem:
        if name.partition(".")[0] in required():
            pytest.fail(f"ALGOTRADE_REQUIRE_IBKR asks for {name}, and it cannot be imported: {problem}")
        pytest.skip(f"{name} is not installed here (pip install {name})")


@dataclass
class Simulator:
    """A running simulator."""

    process: subprocess.Popen[str]
    port: int
    control_port: int

    def control(self, *asked: dict[str, Any]) -> dict[str, Any]:
        """Inject faults, or ask for the state."""
        with socket.create_connection(("127.0.0.1", self.control_port), timeout=5) as link, link.makefile("rw") as file:
            file.write(json.dumps(asked[0] if len(asked) == 1 else list(asked)) + "\n")
            file.flush()
            answer: dict[str, Any] = json.loads(file.readline())
        return answer

    def fault(self, **fault: Any) -> None:
        """Inject one fault."""
        assert self.control(fault) == {"ok": True}

    def state(self) -> dict[str, Any]:
        """Orders, positions, clients."""
        return self.control({"show": "state"})


@pytest.fixture
def simulate() -> Iterator[Callable[..., Simulator]]:
    """Start simulators on free ports; they end with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> Simulator:
        command = [sys.executable, "-m", "ibkr_sim", "--port", "0", "--control-port", "0", "--seed", "7", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        port, control = map(int, re.findall(r":(\d+)", said))
        return Simulator(process, port, control)

    yield start
    for process in running:
        process.terminate()
        assert process.wait(10) == 0
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def simulator(simulate: Callable[..., Simulator]) -> Simulator:
    """A simulator with its defaults."""
    return simulate()


class Clients:
    """One of the two asynchronous client libraries, and what a test needs of it."""

    def __init__(self, library: ModuleType) -> None:
        self.library = library
        self.errors: list[tuple[int, int]] = []

    @asynccontextmanager
    async def connected(self, simulator: Simulator, client_id: int = 1, **options: Any) -> AsyncIterator[Any]:
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


@pytest.fixture(params=["ib_insync", "ib_async"])
def clients(request: pytest.FixtureRequest) -> Clients:
    """Each library in turn."""
    return Clients(client_library(request.param))


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


@pytest.fixture
def library_of() -> Callable[[str], ModuleType]:
    """Import a client library or a module of it, or skip."""
    return client_library
