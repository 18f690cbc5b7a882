"""Build a gateway from options and serve it until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibkr_sim.faults import Fault, faults_of
from ibkr_sim.gateway import Gateway, GatewayRules
from ibkr_sim.market import Market
from ibkr_sim.market_time import parse
from ibkr_sim.server import Server
from ibkr_sim.switchboard import Timetable
from ibkr_sim.synthetic_bars import minute_bars
from ibkr_sim.tape import Tape
from kernel.clock import SystemClock, monotonic
from kernel.yaml_text import UnreadableYamlError
from kernel.yaml_text import parse as parse_yaml

SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT", "SPY")
NOW = "now"


class InvalidOptionError(ValueError):
    """An option that does not fit the others; names it and the fix."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; see its help. ``start`` is empty, `NOW` or a time."""

    port: int
    control_port: int | None
    accounts: tuple[str, ...]
    bars: tuple[Path, ...]
    symbols: tuple[str, ...]
    start: str
    speed: float
    faults: Path | None
    size_increment: float
    rules: GatewayRules
    stepped: bool = False


class Steps:
    """A clock that stands still between the steps that it is told to take."""

    def __init__(self) -> None:
        self._at = 0.0

    def __call__(self) -> float:
        """Seconds since the start."""
        return self._at

    def go(self, seconds: float) -> None:
        """Take a step."""
        self._at += seconds


def build(options: Options) -> Gateway:
    """The gateway that the options describe.

    Raises:
        InvalidOptionError: when an option does not fit.
        UnreadableBarsError: when a bar file cannot be read.
        FaultScriptError: when the fault script cannot be read.
    """
    seed = options.rules.seed
    if options.bars:
        from ibkr_sim.bar_files import read_bars  # noqa: PLC0415 - pyarrow is a third of the start-up time

        tapes = [Tape(symbol, bars, seed) for symbol, bars in read_bars(options.bars).items()]
    else:
        tapes = [Tape(symbol, minute_bars(symbol, seed), seed) for symbol in options.symbols]
    if options.stepped and options.control_port is None:
        raise InvalidOptionError("--stepped needs --control-port: time goes on when it is told so there")
    if not tapes:
        raise InvalidOptionError("there is nothing to trade: name --symbol or --bars")
    tapes, start = _started(tapes, options.start)
    market = Market(tapes, options.size_increment)
    return Gateway(market, options.accounts, Timetable(start, options.speed), options.rules, _faults(options.faults))


def _started(tapes: list[Tape], start: str) -> tuple[list[Tape], float]:
    """The tapes and the moment the market begins: by default a quarter into the sessions, for a past to ask for."""
    sessions = tapes[0].sessions
    begin = sessions[len(sessions) // 4][0]
    if not start:
        return tapes, begin
    if start == NOW:
        now = float(int(SystemClock().now().timestamp()) // 60 * 60)
        return [tape.shifted(now - begin) for tape in tapes], now
    try:
        return tapes, parse(start)
    except ValueError:
        raise InvalidOptionError("--start must be 'now' or a time such as '20240709 09:30:00'") from None


def _faults(path: Path | None) -> Sequence[Fault]:
    if path is None:
        return ()
    try:
        return faults_of(parse_yaml(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidOptionError(f"--faults: {path.name} cannot be read: {type(error).__name__}") from None
    except UnreadableYamlError as error:
        raise InvalidOptionError(f"--faults: {path.name} {error}") from None


async def serve(options: Options, started: Callable[[int, int | None, str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``started`` gets the ports of the API and of the control, and the market's name.

    Raises:
        OSError: when a port is taken.
    """
    gateway = build(options)
    begin, steps = monotonic(), Steps()
    server = Server(gateway, steps, steps.go) if options.stepped else Server(gateway, lambda: monotonic() - begin)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    started(*await server.start(options.port, options.control_port), gateway.market.name)
    await stop.wait()
    await server.stop()
