"""The append-only file behind an audit chain, and the check of it against its anchors."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from kernel.audit_chain import Anchor, ChainBroken, Head, anchor_of, entry_of, followed, linked
from kernel.audit_log import AuditBroken
from kernel.clock import SystemClock
from kernel.ports import Clock
from kernel.signing import Signer, is_signed

ANCHOR_EVERY = 256
"""Entries after which the head is signed in the next `AuditTrail.rest`; at the end of a process it always is."""
ANCHOR_AT_LATEST = 4 * ANCHOR_EVERY
"""Entries after which it is signed even when nobody rests."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check of an audit log found: its head, how many anchors fit, how many entries follow the last one."""

    head: Head
    anchors: int
    unanchored: int


def anchors_of(path: Path) -> Path:
    """Where the anchors of the audit log at ``path`` are; copy them to where its writer cannot reach."""
    return path.with_suffix(".anchors")


class AuditTrail:
    """A file that one process appends to.

    Entries are written in one call for each batch and survive ``kill -9``; they are synchronised to disk with
    each anchor, which waits for a `rest` if one comes soon enough. What a loss of power tore off the last line is
    cut off at the next opening, and that is an entry.

    Raises:
        AuditBroken: when another process writes it, an entry was changed, or it ends before its newest anchor.
    """

    def __init__(self, path: Path, signer: Signer, clock: Clock | None = None) -> None:
        self._path = path
        self._signer = signer
        self._clock = clock or SystemClock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._head, self._anchored = self._opened()
        except BaseException:
            os.close(self._file)
            raise

    @property
    def head(self) -> Head:
        """The newest entry's number and hash."""
        return self._head

    def write(self, entries: Sequence[Mapping[str, JsonValue]]) -> None:
        """Append ``entries``, each with the wall time; raises AuditBroken when that fails."""
        at = self._clock.now().isoformat()
        head, raw = linked(self._head, ({"at": at, **entry} for entry in entries))
        try:
            if os.write(self._file, raw) != len(raw):
                raise OSError("written in part")  # noqa: TRY301 - the same ending as any other failure to write
        except OSError as error:
            raise AuditBroken(f"the audit log {self._path} cannot be written: {error}; free disk space") from error
        self._head = head
        if head.count - self._anchored >= ANCHOR_AT_LATEST:
            self.anchor()

    def rest(self) -> None:
        """Sign the head if that is due: nobody waits for the disk just now."""
        if self._head.count - self._anchored >= ANCHOR_EVERY:
            self.anchor()

    def anchor(self) -> None:
        """Sign the head, after everything before it is on the disk."""
        if self._head.count == self._anchored:
            return
        os.fsync(self._file)
        anchor = Anchor(self._head, self._signer.sign(self._head.text), self._signer.public)
        with anchors_of(self._path).open("a", encoding="ascii") as file:
            file.write(anchor.line)
        self._anchored = self._head.count

    def close(self) -> None:
        """Sign the head and close the file."""
        if self._file >= 0:
            self.anchor()
            os.close(self._file)
            self._file = -1

    def _opened(self) -> tuple[Head, int]:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AuditBroken(f"the audit log {self._path} is written by another process; stop that one") from None
        torn = _torn_bytes(self._path)
        if torn:
            os.ftruncate(self._file, self._path.stat().st_size - torn)
        finding = verify(self._path, self._signer.public)
        self._head, self._anchored = finding.head, finding.head.count - finding.unanchored
        if torn:
            self.write([{"event": "TORN_TAIL_CUT", "bytes": torn}])
        return self._head, self._anchored


def verify(path: Path, public: str, anchors: Path | None = None) -> Finding:
    """Follow the chain of the audit log at ``path`` and hold it against its anchors (``anchors``: a copy of them).

    Raises:
        AuditBroken: when an entry was changed, removed or put in, the end was cut off, or an anchor is not
            signed by ``public`` (64 hexadecimal digits).
    """
    anchored = _signed_anchors(anchors or anchors_of(path), public)
    wanted = {anchor.head.count: anchor.head for anchor in anchored}
    head = Head()
    try:
        for line in _lines(path):
            head = followed(head, line)
            if wanted.get(head.count, head) != head:
                raise AuditBroken(f"entry {head.count} is not the one that was anchored; the log was rewritten")
    except ChainBroken as error:
        raise AuditBroken(str(error)) from None
    newest = max(wanted, default=0)
    if newest > head.count:
        raise AuditBroken(f"the audit log was cut off: it has {head.count} entries, {newest} were anchored")
    return Finding(head, len(anchored), head.count - newest)


def entries(path: Path) -> Iterator[dict[str, JsonValue]]:
    """Every entry of an audit log, oldest first, without a check."""
    return map(entry_of, _lines(path))


def _signed_anchors(path: Path, public: str) -> list[Anchor]:
    try:
        anchors = [anchor_of(line) for line in _lines(path)]
    except ChainBroken as error:
        raise AuditBroken(f"{path}: {error}") from None
    for number, anchor in enumerate(anchors, 1):
        if anchor.public != public or not is_signed(anchor.head.text, anchor.signature, public):
            raise AuditBroken(f"{path}: anchor {number} is not signed with the expected key")
    return anchors


def _lines(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="ascii", errors="replace", newline="\n") as file:
            yield from file


def _torn_bytes(path: Path) -> int:
    raw = path.read_bytes() if path.stat().st_size else b""
    return len(raw) - (raw.rfind(b"\n") + 1)
