"""Runs the simulator of Interactive Brokers as a process, for the benchmarks that need one."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class Gateway:
    """A running simulator."""

    def __init__(self, port: int, control: int) -> None:
        self.port, self._control = port, control

    def fault(self, **fault: object) -> None:
        """Let something happen."""
        with socket.create_connection(("127.0.0.1", self._control)) as link, link.makefile("rw") as file:
            file.write(json.dumps(fault) + "\n")
            file.flush()
            assert json.loads(file.readline()) == {"ok": True}


@contextmanager
def simulator(*options: str) -> Iterator[Gateway]:
    """A simulator without limits of its own."""
    command = [sys.executable, "-m", "ibkr_sim", "--port", "0", "--control-port", "0", "--seed", "1"]
    rest = ["--active-orders", "0", "--message-rate", "0", "--depth", "1000", *options]
    process = subprocess.Popen([*command, *rest], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port, control = map(int, re.findall(r":(\d+)", process.stdout.readline()))
        yield Gateway(port, control)
    finally:
        process.terminate()
        process.wait(10)
