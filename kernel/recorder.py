"""Write down what a stage was told and what it said, and hold another run against it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from contracts.base import Message
from contracts.codec import FieldError, decode, encode
from kernel.ports import Received, Stage, Unprocessable

TOLD = b"<"
SAID = b">"
RESTORED = b"="
REFUSED = b"!"
SETTLE = b"settle\n"
END = b"end\n"
_RESTORED_AT_ONCE = 1000


class Recorder:
    """Writes one process life of a stage to a file opened in binary mode, a whole batch at a time.

    Each line is a mark and canonical bytes: ``<`` a message it was told, ``>`` one it said, ``!`` why it
    refused, ``=`` one it was restored from; ``settle`` precedes what it said at the end of the batch and
    ``end`` closes the batch. A restarted process needs a new file, since its stage begins anew. Passes
    without messages in or out leave no trace.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._batch: list[bytes] = []

    def restored(self, message: Message) -> None:
        """Record a message that the stage was restored from."""
        self._batch.append(RESTORED + encode(message) + b"\n")
        if len(self._batch) >= _RESTORED_AT_ONCE:
            self._write()

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """Record one handled message."""
        self._batch.append(TOLD + encode(received.message) + b"\n")
        self._batch += map(_said, outputs)

    def refused(self, received: Received, error: FieldError) -> None:
        """Record one message that became a dead letter."""
        self._batch.append(TOLD + encode(received.message) + b"\n")
        self._batch.append(_refused(error))

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """Record the end of the batch and hand it to the operating system in one write."""
        if not self._batch and not outputs:
            return
        self._batch.append(SETTLE)
        self._batch += map(_said, outputs)
        self._write()

    def _write(self) -> None:
        self._batch.append(END)
        self._file.write(b"".join(self._batch))
        self._file.flush()
        self._batch.clear()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first line at which a replay departs from its recording; None where that side has ended."""

    line: int
    recorded: str | None
    replayed: str | None


@dataclass(frozen=True, slots=True)
class Replay:
    """What telling a recording again has shown.

    ``unfinished_lines`` counts what follows the last complete batch: a process was killed while it wrote,
    and these lines, never committed, were not compared.
    """

    batches: int
    messages: int
    mismatch: Mismatch | None = None
    unfinished_lines: int = 0

    @property
    def identical(self) -> bool:
        """Whether every complete batch gave the recorded bytes."""
        return self.mismatch is None


def replay(stage: Stage, recording: Path) -> Replay:
    """Tell a fresh ``stage`` what was recorded, batch by batch, up to the first byte that differs.

    Raises:
        ContractViolation: when a recorded input is no longer a valid message.
    """
    batches = messages = line = 0
    with recording.open("rb") as file:
        for batch in _batches(file):
            if batch[-1] != END:
                return Replay(batches, messages, unfinished_lines=len(batch))
            mismatch = _first_difference(stage, batch, line)
            messages += sum(text.startswith(TOLD) for text in batch)
            batches += 1
            line += len(batch)
            if mismatch:
                return Replay(batches, messages, mismatch)
    return Replay(batches, messages)


def _batches(file: BinaryIO) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in file:
        batch.append(line)
        if line == END:
            yield batch
            batch = []
    if batch:
        yield batch


def _first_difference(stage: Stage, batch: Sequence[bytes], lines_before: int) -> Mismatch | None:
    retold = list(_retell(stage, [line for line in batch if not line.startswith((SAID, REFUSED))]))
    for index in range(max(len(batch), len(retold))):
        recorded = batch[index] if index < len(batch) else None
        replayed = retold[index] if index < len(retold) else None
        if recorded != replayed:
            return Mismatch(lines_before + index + 1, _text(recorded), _text(replayed))
    return None


def _retell(stage: Stage, inputs: Sequence[bytes]) -> Iterator[bytes]:
    for line in inputs:
        yield line
        if line == SETTLE:
            yield from map(_said, stage.settle())
        elif line.startswith(RESTORED):
            stage.restore(decode(line[1:-1]))
        elif line.startswith(TOLD):
            yield from _tell(stage, decode(line[1:-1]))


def _tell(stage: Stage, message: Message) -> list[bytes]:
    try:
        return [_said(output) for output in stage.handlers[type(message)](message)]
    except Unprocessable as verdict:
        return [_refused(verdict.error)]


def _said(output: Message) -> bytes:
    return SAID + encode(output) + b"\n"


def _refused(error: FieldError) -> bytes:
    said = f"{error.path or '/'}: {error.rule} [{error.code}]"  # not the text for people: recordings outlive it
    return REFUSED + " ".join(said.split()).encode() + b"\n"


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode().rstrip("\n")
