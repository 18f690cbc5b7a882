"""A simulator in a process of its own, for rehearsals and as the baseline of latencies."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_STOP_SECONDS = 10.0


class SimulatorFailed(RuntimeError):
    """The simulator did not start, or does not go on; the text says why."""


@contextmanager
def simulator(*options: str, symbols: Sequence[str] = ()) -> Iterator[tuple[int, int]]:
    """A simulator on a free port of the loopback, which it yields with its control port; ended on the way out."""
    named = [word for symbol in symbols for word in ("--symbol", symbol)]
    command = [sys.executable, "-m", "ibkr_sim", "--port", "0", "--control-port", "0", *named, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said = process.stdout.readline() if process.stdout is not None else ""
            ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", said)]
            if len(ports) != 2:
                raise SimulatorFailed(f"the simulator did not start: {said.strip()}")
            yield ports[0], ports[1]
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
