"""From the close of a bar to the order at the gateway: simulator, three planes as processes, a real Kafka.

The gateway says nowhere that a bar is closed: the first trade of the next minute tells. So that is where the clock
starts, when the message with it reaches a proxy between the simulator and the data plane; it stops when the order
reaches another proxy in front of the simulator. All orders of a moment count. The market runs at ``--speed`` times its
own pace.

python -m benchmarks.ibkr_over_kafka [--broker embedded|kafka] [--speed 60] [--closes 120]
"""

import argparse
import asyncio
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import yaml

from benchmarks.ibkr import SYMBOLS, verdict
from benchmarks.kafka_latency import _broker, percentile
from benchmarks.simulator import simulator
from launcher.local import LocalRun
from launcher.settings import load_settings
from launcher.supervisor import Supervisor

TARGET_MS = 50.0
WARM_UP = 20
"""Closes that do not count: a new Java broker compiles itself meanwhile."""
PLACE_ORDER, TRADE = b"3", b"99"
Heard = Callable[[list[bytes], float], None]


class Proxy:
    """Passes bytes on between clients and ``port``, and tells each message that it passes on, with its time."""

    def __init__(self, port: int, from_client: Heard, from_gateway: Heard) -> None:
        self._target = port
        self._heard = (from_client, from_gateway)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self.port: int = server.result(10).sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        from_client, from_gateway = self._heard
        await asyncio.gather(
            self._pass(reader, far_writer, from_client, bytearray(), len(b"API\0")),
            self._pass(far_reader, writer, from_gateway, bytearray(), 0),
            return_exceptions=True,
        )

    @staticmethod
    async def _pass(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: Heard, rest: bytearray, skip: int
    ) -> None:
        while data := await reader.read(1 << 16):
            now = time.perf_counter()
            rest += data
            if skip and len(rest) >= skip:
                del rest[:skip]
                skip = 0
            while not skip and len(rest) >= 4 and len(rest) >= (end := 4 + int.from_bytes(rest[:4])):
                heard(bytes(rest[4:end]).split(b"\0"), now)
                del rest[:end]
            writer.write(data)  # not before: what it causes may be there at once, and must not be noted ahead of it
        writer.close()


class Stopwatch:
    """Takes the moment at which each minute was seen to be over, and of each order how long after that it came."""

    def __init__(self) -> None:
        self.closes = 0
        self.orders: list[tuple[int, float]] = []
        self._minute = self._closed_at = 0.0

    def trade(self, message: list[bytes], now: float) -> None:
        """A message of the gateway to the data plane."""
        if message[0] != TRADE:
            return
        minute = int(message[3]) // 60
        if minute > self._minute:
            self._minute, self._closed_at = minute, now
            self.closes += 1

    def order(self, message: list[bytes], now: float) -> None:
        """A message of the order plane to the gateway."""
        if message[0] == PLACE_ORDER:
            self.orders.append((self.closes, 1000 * (now - self._closed_at)))


def config(data_port: int, order_port: int, folder: Path) -> dict:
    """The shipped configuration, trading on every second close or so, with bars built from trades."""
    settings = yaml.safe_load((Path(__file__).parents[1] / "config" / "ibkr.yaml").read_text())
    settings["run"] = {"directory": str(folder / "runs")}
    settings["data"]["ibkr"] |= {
        "port": data_port,
        "backfill_days": 2,
        "cache": str(folder / "cache"),
        "bars": "trades",
    }
    settings["data"]["symbols"], settings["strategy"]["universe"] = list(SYMBOLS), list(SYMBOLS)
    settings["order"]["ibkr"] |= {"port": order_port, "paper_ports": [order_port]}
    settings["order"]["instruments"] = {symbol: {"lot_size": 1} for symbol in SYMBOLS}
    # The same order each second bar is the point here, not a mistake, and minutes pass in seconds.
    settings["order"]["limits"] |= {"duplicate_window": "PT0S"}
    settings["order"]["throttle"] = {"rate_per_second": 100_000, "burst": 1_000_000}
    return settings


def measure(broker: str, speed: float, closes: int) -> list[tuple[int, float]]:
    """Number of the close and milliseconds after it, for each order."""
    watch, nothing = Stopwatch(), lambda message, now: None
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gateway = stack.enter_context(simulator("--speed", str(speed)))
        data = Proxy(gateway.port, nothing, watch.trade)
        order = Proxy(gateway.port, watch.order, nothing)
        kafka = stack.enter_context(_broker(broker))("ibkr.")
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config(data.port, order.port, folder)))
        run = LocalRun("bench", path, load_settings(path, {}), kafka, folder / "state")
        environment = {
            "ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "ALGOTRADE_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "ALGOTRADE_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
            "ALGOTRADE_KAFKA__LINGER_MS": "0",
            "ALGOTRADE_KAFKA__FETCH_WAIT_MAX_MS": str(kafka.fetch_wait_max_ms),
            "OMP_NUM_THREADS": "1",
        }
        supervisor = stack.enter_context(Supervisor(environment, restart=True))
        for plane in ("order", "strategy", "data"):
            run.start(supervisor, plane)
        deadline = time.monotonic() + 120 + 60 * (closes + WARM_UP) / speed
        while not watch.orders and time.monotonic() < deadline:
            supervisor.check()
            time.sleep(0.1)
        begun = watch.closes
        while watch.closes < begun + WARM_UP + closes and time.monotonic() < deadline:
            supervisor.check()
            time.sleep(0.1)
    return [(number, took) for number, took in watch.orders if number > begun + WARM_UP]


def main() -> None:
    """Measure on the brokers named and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["embedded", "kafka"], action="append")
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--closes", type=int, default=120)
    arguments = parser.parse_args()
    missed = False
    for name in arguments.broker or ["kafka"]:
        orders = measure(name, arguments.speed, arguments.closes)
        first = {number: took for number, took in reversed(orders)}
        times, firsts = [took for _, took in orders], list(first.values())
        assert len(firsts) >= arguments.closes / 4, f"only {len(firsts)} closes made orders"
        p99 = percentile(times, 0.99)
        missed = missed or p99 > TARGET_MS
        print(
            f"bar close to order at the gateway over {name}, {len(times)} orders of {len(firsts)} closes, ms: "
            f"p50 {percentile(times, 0.5):.1f} p99 {verdict(p99, most=TARGET_MS)}; the first order of each close "
            f"p50 {percentile(firsts, 0.5):.1f} p99 {percentile(firsts, 0.99):.1f}",
            flush=True,
        )
    sys.exit(missed)


if __name__ == "__main__":
    main()
