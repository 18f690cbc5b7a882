"""What tells of a connection whether Interactive Brokers is behind it, or something that only behaves like it."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from domain.go_live import Evidence
from ibkr_client.connection import Connection
from ibkr_client.error_policy import SIMULATOR
from ibkr_client.lifeline import Address
from kernel.clock import SystemClock

PAPER_ACCOUNTS = ("DU", "DF")
_CLASSES = ("ibcalpha.ibc.", "jclient.LoginFrame", "install4j.jclient.", "install4j.ibgateway.", "ibgateway.")
"""How names of classes of IBC, TWS and IB Gateway begin."""
_JARS = re.compile(r"/(Jts|ibgateway)/\d{3,4}/jars/")
"""Where they keep their code: in a folder for each version."""
_LARGEST_CLOCK_GAP = 30.0
_LISTENING = "0A"


class Witness(NamedTuple):
    """What was seen: ``clock_gap`` in seconds; ``program`` is the command line behind the port, empty when unseen.

    ``library`` is what spoke with it on this side, with its version.
    """

    announced: bool
    accounts: tuple[str, ...]
    clock_gap: float
    program: str
    library: str


async def witness(connection: Connection, accounts: Sequence[str], heard: Counter[int], address: Address) -> Witness:
    """Ask the gateway for its time, and look at the program that serves it; raises as requests of a connection do."""
    gap = await connection.server_time() - SystemClock().now().timestamp()
    program = program_at(address.host, address.port)
    return Witness(SIMULATOR in heard, tuple(accounts), gap, program, connection.library)


def source_of(seen: Witness) -> tuple[Evidence, list[str]]:
    """Where evidence from such a connection comes from, and why it is not better than that.

    The protocol proves nothing, since no message of a gateway is signed. So what is not shown to be real counts as
    simulated: the gateway must not say otherwise, its clock must be ours, and the program behind its port must be seen
    to be TWS or IB Gateway. Settings, a port or the name of an account never suffice.
    """
    why = []
    if seen.announced:
        why.append("the gateway says that it is a simulator")
    if not abs(seen.clock_gap) <= _LARGEST_CLOCK_GAP:
        why.append(f"its clock differs from ours by more than {_LARGEST_CLOCK_GAP:g} s")
    if not seen.program:
        why.append("the program behind its port cannot be seen; run this beside the gateway, as its user")
    elif not is_gateway(seen.program):
        why.append("the program behind its port is neither TWS nor IB Gateway")
    paper = {name.startswith(PAPER_ACCOUNTS) for name in seen.accounts}
    if len(paper) != 1:
        why.append("its accounts are not all of one kind, paper or live")
    if why:
        return Evidence.SIMULATED, why
    return (Evidence.PAPER if paper == {True} else Evidence.LIVE), []


def is_gateway(command: str) -> bool:
    """Whether a command line (its words ended by NUL) is that of TWS or IB Gateway."""
    program, *words = command.split("\0")
    return Path(program).name == "java" and any(word.startswith(_CLASSES) or _JARS.search(word) for word in words)


def program_at(host: str, port: int) -> str:
    """The command line of the process of this machine that listens on ``port``; empty when it cannot be seen."""
    try:
        local = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        local = False
    sockets = {f"socket:[{inode}]" for inode in _listening(port)} if local else set()
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        try:
            if any(os.readlink(each) in sockets for each in (process / "fd").iterdir()):
                return (process / "cmdline").read_text("utf-8", "replace")
        except OSError:  # somebody else's, or gone
            continue
    return ""


def _listening(port: int) -> Iterator[str]:
    """Inodes of the sockets that listen on ``port``."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]
