"""Keep a set of child processes running until told to stop, and stop them in order."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from kernel.clock import monotonic

GRACE_SECONDS = 15.0
"""How long a child may take to drain after SIGTERM before it is killed."""
MAX_RESTARTS = 5
"""Restarts in one `RESTART_WINDOW_SECONDS` after which a child is given up."""
RESTART_WINDOW_SECONDS = 60.0


class ChildFailed(RuntimeError):
    """A child ended on its own in a way that restarting does not help; ``code`` is how, negative for a signal."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class Child:
    """One supervised process: how it is started, where its output goes, when it was restarted."""

    name: str
    arguments: Sequence[str]
    log_path: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: list[float] = field(default_factory=list)
    finished: bool = False
    """Whether it was seen to have ended by itself with success."""

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Starts children, restarts those that crash, and ends all of them on the way out.

    ``final_codes`` are exit codes that mean "do not try again" (a wrong configuration stays wrong); 0 means
    the child is done.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        restart: bool = True,
        final_codes: frozenset[int] = frozenset(),
        on_event: Callable[[str, str], None] = lambda name, event: None,
    ) -> None:
        self._environment = {**os.environ, **(environment or {})}
        self._restart = restart
        self._final_codes = final_codes
        self._on_event = on_event
        self.children: dict[str, Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, arguments: Sequence[str], log_path: Path) -> Child:
        """Start ``python ARGUMENTS`` with its output appended to ``log_path``."""
        child = Child(name, (sys.executable, *arguments), log_path)
        self.children[name] = child
        self._spawn(child)
        return child

    def check(self) -> None:
        """Restart what crashed.

        Raises:
            ChildFailed: when a child must not or need not be tried again, with the end of its log.
        """
        for child in self.children.values():
            if child.process is None or child.running:
                continue
            code = child.process.returncode
            if code == 0:
                self._say_finished(child)
                continue
            self._on_event(child.name, f"ended with {_describe(code)}")
            if not self._restart or code in self._final_codes or self._too_often(child):
                raise ChildFailed(
                    f"the {child.name} process ended with {_describe(code)}; its log is {child.log_path}\n"
                    f"{last_lines(child.log_path)}",
                    code,
                )
            said = last_lines(child.log_path, 1).strip() if code > 0 else ""  # one that was killed had no last word
            self._spawn(child)
            self._on_event(child.name, f"restarted; it had said: {said}" if said else "restarted")

    def done(self, name: str) -> bool:
        """Whether the child ended by itself with success."""
        process = self.children[name].process
        return process is not None and process.poll() == 0

    def stop(self) -> None:
        """Ask every child to end, newest first and without waiting in between, and kill those that do not."""
        deadline = monotonic() + GRACE_SECONDS
        asked = [child for child in reversed(self.children.values()) if child.running]
        for child in asked:
            if child.process is not None:
                child.process.send_signal(signal.SIGTERM)
        for child in asked:
            if child.process is not None:
                self._await_end(child, child.process, deadline)

    def _await_end(self, child: Child, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            self._on_event(child.name, f"did not end within {GRACE_SECONDS:.0f} s and was killed")
            process.kill()
            process.wait()

    def _say_finished(self, child: Child) -> None:
        if not child.finished:
            child.finished = True
            self._on_event(child.name, "has finished")

    def _spawn(self, child: Child) -> None:
        child.log_path.parent.mkdir(parents=True, exist_ok=True)
        with child.log_path.open("ab") as log:
            child.process = _popen(child.arguments, log, self._environment)

    def _too_often(self, child: Child) -> bool:
        now = monotonic()
        child.restarts = [at for at in child.restarts if now - at < RESTART_WINDOW_SECONDS] + [now]
        return len(child.restarts) > MAX_RESTARTS


def _popen(arguments: Sequence[str], log: BinaryIO, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # A session of its own keeps the terminal's Ctrl-C away from children: the supervisor ends them in order.
    return subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        start_new_session=True,
    )


def _describe(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def last_lines(path: Path, count: int = 12) -> str:
    """The end of a text file, for an error message; empty when there is no file."""
    try:
        return "\n".join(path.read_text("utf-8", "replace").rstrip().splitlines()[-count:])
    except OSError:
        return ""
