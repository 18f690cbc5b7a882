"""What people did to a running system, each line sealed by the hash of the one before."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_FIRST = "0" * 64


class AuditBroken(RuntimeError):
    """A line of the audit log was changed, removed or torn; nothing may be added to it."""


class AuditLog:
    """A file of JSON lines; each holds the SHA-256 of the previous line and of itself.

    Changing or removing a line breaks the chain. Cutting off the end does not: compare `head` with a copy
    kept elsewhere.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[dict[str, str]]:
        """Every entry, oldest first; raises `AuditBroken` when the chain does not hold."""
        if not self._path.exists():
            return []
        with self._locked("rb") as descriptor:
            return _verified(_read_all(descriptor))

    def append(self, facts: Mapping[str, str]) -> str:
        """Add one entry durably and return its hash; raises `AuditBroken` when the chain does not hold."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked("ab") as descriptor:
            known = _verified(_read_all(descriptor))
            body = {**facts, "previous": known[-1]["hash"] if known else _FIRST}
            sealed = {**body, "hash": _digest(body)}
            os.write(descriptor, (json.dumps(sealed, ensure_ascii=True) + "\n").encode())
            os.fsync(descriptor)
        return sealed["hash"]

    @property
    def head(self) -> str:
        """Hash of the newest entry."""
        entries = self.entries()
        return entries[-1]["hash"] if entries else _FIRST

    @contextmanager
    def _locked(self, how: str) -> Iterator[int]:
        flags = os.O_RDONLY if how == "rb" else os.O_RDWR | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def _verified(raw: bytes) -> list[dict[str, str]]:
    if raw and not raw.endswith(b"\n"):
        raise AuditBroken("the last line of the audit log is torn; restore the file before anything is redriven")
    entries: list[dict[str, str]] = []
    previous = _FIRST
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            entry = json.loads(line)
            body = {name: value for name, value in entry.items() if name != "hash"}
            holds = entry["previous"] == previous and entry["hash"] == _digest(body)
        except (ValueError, KeyError, AttributeError, TypeError):
            holds = False
        if not holds:
            raise AuditBroken(
                f"line {number} of the audit log does not fit the one before it; it was edited or removed"
            )
        entries.append(entry)
        previous = entry["hash"]
    return entries


def _digest(body: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
