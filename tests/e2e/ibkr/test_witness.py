"""Where evidence comes from is told by the connection: no setting and no silence makes a simulator real."""

import asyncio
import threading
from importlib import metadata

import pytest

from domain.go_live import Evidence
from ibkr_client.error_policy import SIMULATOR
from ibkr_client.lifeline import Address
from ibkr_client.witness import source_of
from order_plane.brokers import ibkr
from order_plane.brokers.ibkr import IbkrBroker, IbkrTerms

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


class Mute:
    """A proxy that passes everything on but the announcement of the simulator."""

    def __init__(self, port):
        self.upstream, self.dropped, self.port = port, 0, 0
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(10)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0.05))
        self.loop.close()

    async def _serve(self, reader, writer):
        from_gateway, to_gateway = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            await asyncio.gather(self._up(reader, to_gateway), self._down(from_gateway, writer))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            to_gateway.close()

    async def _up(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def _down(self, reader, writer):
        while True:
            head = await reader.readexactly(4)
            body = await reader.readexactly(int.from_bytes(head))
            if body.startswith(b"4\x00") and f"\0{SIMULATOR}\0".encode() in body:
                self.dropped += 1
                continue
            writer.write(head + body)


@pytest.fixture
def mute():
    made = []

    def start(port):
        made.append(Mute(port))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_a_simulator_announces_itself_at_every_connection(desk, simulator, until):
    broker = desk.broker(simulator)
    assert broker.heard[SIMULATOR] == 1
    found, why = source_of(broker.witness())
    assert found is Evidence.SIMULATED
    assert why[0] == "the gateway says that it is a simulator"
    simulator.fault(do="drop_link", seconds=0.2)
    until(lambda: broker.connects == 2 and broker.ready)
    assert broker.heard[SIMULATOR] == 2


def test_a_connection_names_the_client_library_that_it_uses(desk, simulator):
    assert desk.broker(simulator).witness().library == f"{desk.library} {metadata.version(desk.library)}"


def test_a_live_adapter_never_uses_a_gateway_that_says_it_is_a_simulator(desk, simulate, monkeypatch):
    simulator = simulate("--account", "U1234567")
    monkeypatch.setattr(ibkr, "require_open_gates", lambda *_: None)  # as if everything were signed
    monkeypatch.setattr(ibkr, "LIVE_PORTS", frozenset({simulator.port}))
    terms = {"live": True, "account": "U1234567", "paper_ports": frozenset()}
    with pytest.raises(ibkr.WrongAccount, match="simulator"):
        IbkrBroker(IbkrTerms(Address("127.0.0.1", simulator.port, 1), ids_path=desk.path, **terms), {}, desk.library)
    assert simulator.state()["orders"] == []


def test_a_simulator_that_plays_today_and_is_made_to_keep_silent_is_still_simulated(desk, simulate, mute):
    simulator = simulate("--start", "now")
    proxy = mute(simulator.port)
    simulator.port = proxy.port
    broker = desk.broker(simulator)
    seen = broker.witness()
    assert proxy.dropped == 1
    assert not seen.announced
    assert abs(seen.clock_gap) < 90
    found, why = source_of(seen)
    assert found is Evidence.SIMULATED
    assert "the program behind its port is neither TWS nor IB Gateway" in why
