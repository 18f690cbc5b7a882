"""The gateway on sockets of the loopback: connections of clients, and a control port for tests."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count

from ibkr_sim.faults import FaultScriptError, faults_of
from ibkr_sim.gateway import Gateway
from ibkr_sim.wire import API_PREFIX, ProtocolError, frames, split

_HOST = "127.0.0.1"
_READ_BYTES = 1 << 16
_LONGEST_STEP = 86_400.0
_HANDSHAKE_SECONDS = 10.0
_CONTROL_LINE_BYTES = 1 << 16


class Server:
    """Moves bytes between sockets and a `Gateway`; ``elapsed`` gives the seconds since the start.

    With ``go`` it stands still until the control port has ``go`` let that many seconds pass.
    """

    def __init__(
        self,
        gateway: Gateway,
        elapsed: Callable[[], float],
        go: Callable[[float], None] | None = None,
    ) -> None:
        self._gateway = gateway
        self._elapsed = elapsed
        self._go = go
        self._links = count(1)
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._wake: asyncio.TimerHandle | None = None
        self._servers: list[asyncio.Server] = []

    async def start(self, port: int, control_port: int | None) -> tuple[int, int | None]:
        """Listen; port 0 takes a free one. Returns the ports in use. Raises OSError when one is taken."""
        api = await asyncio.start_server(self._serve_client, _HOST, port)
        self._servers.append(api)
        self._pump()
        if control_port is None:
            return _port(api), None
        control = await asyncio.start_server(self._serve_control, _HOST, control_port, limit=_CONTROL_LINE_BYTES)
        self._servers.append(control)
        return _port(api), _port(control)

    async def stop(self) -> None:
        """Close everything."""
        if self._wake is not None:
            self._wake.cancel()
        for server in self._servers:
            server.close()
        for writer in list(self._writers.values()):
            writer.close()
        await asyncio.sleep(0)

    async def _serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = next(self._links)
        self._writers[link] = writer
        try:
            await self._converse(link, reader)
        except (ProtocolError, asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass  # whoever spoke is no TWS client, or is gone: there is nobody to tell
        except asyncio.CancelledError:
            pass  # the server stops
        finally:
            self._writers.pop(link, None)
            self._gateway.advance(self._elapsed())
            self._gateway.lost(link)
            self._pump()
            writer.close()

    async def _converse(self, link: int, reader: asyncio.StreamReader) -> None:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            if await reader.readexactly(len(API_PREFIX)) != API_PREFIX:
                raise ProtocolError("a client starts with API")
        buffer = bytearray()
        greeted = False
        while data := await reader.read(_READ_BYTES):
            buffer += data
            for payload in frames(buffer):
                self._gateway.advance(self._elapsed())
                if greeted:
                    self._gateway.receive(link, split(payload))
                else:
                    greeted = True
                    self._gateway.greet(link, payload.decode("ascii", "replace").rstrip("\0"))
            self._pump()

    def _pump(self) -> None:
        """Let time pass, send what is due, and come back when the next timer is."""
        self._gateway.advance(self._elapsed())
        self._flush()
        due = self._gateway.next_due()
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        if due is not None and self._go is None:
            delay = max(0.0, due - self._elapsed())
            self._wake = asyncio.get_running_loop().call_later(delay, self._pump)

    def _flush(self) -> None:
        chunks: dict[int, list[bytes]] = {}
        for output in self._gateway.take_outputs():
            if output.data is not None:
                chunks.setdefault(output.link, []).append(output.data)
                continue
            self._write(output.link, chunks.pop(output.link, []))
            writer = self._writers.pop(output.link, None)
            if writer is not None:
                writer.close()
        for link, data in chunks.items():
            self._write(link, data)

    def _write(self, link: int, chunks: list[bytes]) -> None:
        writer = self._writers.get(link)
        if writer is not None and chunks and not writer.is_closing():
            writer.write(b"".join(chunks))

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.CancelledError, ValueError):
            while line := await reader.readline():
                answer = self._control(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    def _control(self, line: bytes) -> Mapping[str, object]:
        """Answer one line: a fault, a list of faults, or ``{"show": "state"}``."""
        self._gateway.advance(self._elapsed())
        try:
            asked = json.loads(line)
            if asked == {"show": "state"}:
                return self._state()
            if isinstance(asked, dict) and asked.keys() == {"go"}:
                return self._step(asked["go"])
            for fault in faults_of(asked if isinstance(asked, list) else [asked]):
                self._gateway.inject(fault)
        except (ValueError, FaultScriptError) as error:
            return {"ok": False, "error": str(error) if isinstance(error, FaultScriptError) else "this is no JSON"}
        self._pump()
        return {"ok": True}

    def _step(self, seconds: object) -> Mapping[str, object]:
        if self._go is None:
            return {"ok": False, "error": "time goes by itself; start with --stepped"}
        if not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST_STEP:
            return {"ok": False, "error": f"go takes 0 to {_LONGEST_STEP:g} seconds"}
        self._go(seconds)
        self._pump()
        return {"ok": True, "market_time": self._gateway.market_now}

    def _state(self) -> Mapping[str, object]:
        gateway = self._gateway
        orders = gateway.orders.book.orders.values()
        return {
            "ok": True,
            "market_time": gateway.market_now,
            "clients": gateway.clients,
            "pacing_violations": gateway.violations,
            "orders": [
                {
                    "client_id": order.client_id,
                    "order_id": order.order_id,
                    "perm_id": order.permanent_id,
                    "order_ref": order.form.get("orderRef", ""),
                    "symbol": order.listing.symbol,
                    "action": order.action,
                    "quantity": order.quantity,
                    "filled": order.filled,
                    "status": order.status.value,
                }
                for order in orders
            ],
            "executions": [
                {
                    "execution_id": done.exec_id,
                    "order_ref": order.form.get("orderRef", ""),
                    "quantity": done.shares,
                    "price": done.price,
                }
                for order in orders
                for done in order.executions
            ],
            "positions": {
                name: {str(held.contract_id): held.quantity for held in account.positions.values() if held.quantity}
                for name, account in gateway.accounts.items()
            },
        }


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
