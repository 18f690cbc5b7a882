"""Kill switch and rollback done for real: an order plane on the gateway, the commands, and a look from outside."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO

import yaml

from gates.account_probe import Seen, look
from gates.artifact import Rehearsal
from gates.context import Context
from kernel.clock import monotonic
from kernel.settings import resolved
from kernel.settings_layers import PREFIX

OBSERVER = 300
"""Added to the order plane's client id: what is seen is not seen through what is tried."""
OPERATOR = "rehearsal"
_READY_SECONDS = 180.0
_COMMAND_SECONDS = 180.0
KILL = ("kill", "on", "--operator", OPERATOR, "--reason", "rehearsal before going live")
ROLLBACK = ("rollback", "run", "--operator", OPERATOR, "--reason", "rehearsal before going live", "--wait", "120")


class RehearsalFailed(ValueError):
    """The rehearsal did not come to its end; the text says how far it came, and what is left on the account."""


@dataclass(slots=True)
class Plane:
    """The order plane that is rehearsed with, and what it says."""

    process: "subprocess.Popen[str]"
    environment: Mapping[str, str]
    state: Path
    words: "SimpleQueue[str]" = field(default_factory=SimpleQueue)

    def wait_for(self, word: str, seconds: float) -> bool:
        """Whether it says ``word`` within ``seconds``."""
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0 and self.process.poll() is None:
            try:
                if self.words.get(timeout=min(left, 0.5)) == word:
                    return True
            except Empty:
                continue
        return False

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Carry out an ``algotrade`` command on it."""
        return subprocess.run(
            [sys.executable, "-m", "launcher.cli", *words, "--state", str(self.state)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )


def rehearse(context: Context, folder: Path) -> tuple[list[Rehearsal], list[Seen]]:
    """Fire the kill switch and run the rollback; returns what happened, and what was seen of the account.

    Raises:
        RehearsalFailed: when no order plane could be brought up with a position and a working order, or it broke off.
    """
    before = look(context.order, OBSERVER)
    with order_plane(context, folder) as plane, _given_back(context, plane):
        if not plane.wait_for("ready", _READY_SECONDS):
            raise RehearsalFailed(f"no position and no working order within {_READY_SECONDS:g} s; {_tail(folder)}")
        armed = look(context.order, OBSERVER)
        killed, after_kill = _kill(context, plane, armed)
        rolled, after = _roll_back(context, plane, before, after_kill)
    return [killed, rolled], [before, armed, after_kill, after]


@contextmanager
def order_plane(context: Context, folder: Path) -> Iterator[Plane]:
    """The process, its settings in a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "settings.yaml"
    parts = {"data": context.data, "strategy": context.strategy, "order": context.order}
    config.write_text(yaml.safe_dump({name: resolved(part) for name, part in parts.items()}), "utf-8")
    # Settings are in the file, which names the gateway that was chosen; a variable must not name another.
    kept = {name: value for name, value in os.environ.items() if not (name.startswith(PREFIX) and "__" in name)}
    environment = kept | {"ALGOTRADE_HOME": str(folder)}
    command = [sys.executable, "-m", "launcher.rehearsal_plane", "--config", str(config), "--state", str(folder)]
    with (
        (folder / "rehearsal.log").open("w", encoding="utf-8") as log,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        plane = Plane(process, environment, folder)
        if process.stdout is not None:
            Thread(target=_listen, args=(process.stdout, plane.words), daemon=True).start()
        Thread(target=process.wait, daemon=True).start()  # a process that nobody waits for seems to live on
        try:
            yield plane
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def _given_back(context: Context, plane: Plane) -> Iterator[None]:
    """Roll back when a rehearsal breaks off: nobody wants what it bought."""
    try:
        yield
    except Exception as error:
        try:
            gone = plane.command(*ROLLBACK).returncode == 0
        except (OSError, subprocess.SubprocessError):
            gone = False
        traded = f"account {context.order.account} and close its {context.data.symbols[0]} in TWS"
        left = "what it had bought and ordered is gone again" if gone else f"cancel the orders of {traded}"
        raise RehearsalFailed(f"{error or type(error).__name__}; {left}") from error


def _kill(context: Context, plane: Plane, armed: Seen) -> tuple[Rehearsal, Seen]:
    begun = monotonic()
    done = plane.command(*KILL)
    refused = plane.wait_for("refused after the kill switch", _COMMAND_SECONDS)
    seen = look(context.order, OBSERVER)
    passed = done.returncode == 0 and refused and bool(_working(context, armed)) and not _working(context, seen)
    told = f"{_summary(context, seen)}; a further order was {'refused' if refused else 'NOT refused'}"
    return _told("kill switch", [KILL], [done.returncode], (_summary(context, armed), told), begun, passed=passed), seen


def _roll_back(context: Context, plane: Plane, before: Seen, killed: Seen) -> tuple[Rehearsal, Seen]:
    begun = monotonic()
    done = plane.command(*ROLLBACK, "--output", str(plane.state / "rollback.json"))
    try:
        ended = plane.process.wait(30) is not None
    except subprocess.TimeoutExpired:
        ended = False
    seen = look(context.order, OBSERVER)
    account = context.order.account
    held = killed.held(account) != before.held(account)
    back = seen.held(account) == before.held(account) and not _working(context, seen)
    passed = done.returncode == 0 and ended and held and back
    told = f"{_summary(context, seen)}; the order plane {'ended' if ended else 'still runs'}; {_lines(done)}"
    return _told(
        "rollback", [ROLLBACK], [done.returncode], (_summary(context, killed), told), begun, passed=passed
    ), seen


def _told(
    name: str,
    commands: Sequence[Sequence[str]],
    codes: Sequence[int],
    seen: tuple[str, str],
    begun: float,
    *,
    passed: bool,
) -> Rehearsal:
    return Rehearsal(
        name=name,
        commands=tuple(f"algotrade {' '.join(words)}" for words in commands),
        exit_codes=tuple(codes),
        before=seen[0],
        after=seen[1],
        seconds=round(monotonic() - begun, 3),
        passed=passed,
    )


def _working(context: Context, seen: Seen) -> list[str]:
    """Orders of this account that work at the venue."""
    return [each.reference for each in seen.open_orders if each.account == context.order.account]


def _summary(context: Context, seen: Seen) -> str:
    return f"{len(_working(context, seen))} working orders, positions {seen.held(context.order.account) or 'none'}"


def _lines(done: "subprocess.CompletedProcess[str]") -> str:
    said = [
        line for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line.startswith(("PASS", "FAIL"))
    ]
    return ", ".join(said)


def _listen(stream: IO[str], words: "SimpleQueue[str]") -> None:
    for line in stream:
        words.put(line.strip())


def _tail(folder: Path) -> str:
    lines = (folder / "rehearsal.log").read_text("utf-8").splitlines()
    return f"its log ends: {lines[-1]}" if lines else "its log is empty"
