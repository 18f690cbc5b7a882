"""Write down what a stage was told and what it said, and hold another run against it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import JsonValue

from contracts.base import Message
from contracts.codec import FieldError, decode, encode
from kernel.ports import Received, Stage, Unprocessable

TOLD = b"<"
SAID = b">"
RESTORED = b"="
REFUSED = b"!"
HEEDED = b"~"
OPERATED = b"*"
SETTLE = b"settle\n"
END = b"end\n"
_RESTORED_AT_ONCE = 1000
Heed = Callable[[Callable[[], Iterable[Any]]], None]
Operate = Callable[[Mapping[str, JsonValue]], Iterable[Message]]


class Recorder:
    """Writes one process life of a stage to a file opened in binary mode, a whole batch at a time.

    Each line is a mark and canonical bytes: ``<`` a message it was told, ``>`` one it said, ``!`` why it
    refused, ``=`` one it was restored from; ``settle`` precedes what it said at the end of the batch and
    ``end`` closes the batch. ``~`` is a message that it heard in the middle of the settlement that follows,
    behind the number of the question that it answered, and ``*`` what happened beside the bus, such as the command
    of an operator. A restarted process needs a new file, since its stage begins anew. Passes without messages in or out
    leave no trace.
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

    def heeded(self, number: int, message: Message) -> None:
        """Record a message that answered the question ``number`` of the settlement, or command, that is under way."""
        self._batch.append(HEEDED + str(number).encode() + b" " + encode(message) + b"\n")

    def operated(self, fields: Mapping[str, JsonValue], outputs: Iterable[Message]) -> None:
        """Record what happened between batches, such as a command of an operator, and what that said."""
        self._batch.append(OPERATED + json.dumps(fields, sort_keys=True).encode() + b"\n")
        self._batch += map(_said, outputs)
        self._write()

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


class Retelling:
    """Tells a fresh ``stage`` what another one was told.

    ``heed`` gives it a question to ask in its settlements, for a stage that hears more there; ``operate`` carries out
    an operator's command and returns what it says.
    """

    def __init__(self, stage: Stage, heed: Heed, operate: Operate) -> None:
        self._stage = stage
        self._operate = operate
        self._answers: list[bytes] = []
        self._heard: list[bytes] = []
        self._asked = 0
        heed(self._answered)

    def retell(self, inputs: Sequence[bytes]) -> Iterator[bytes]:
        """The lines of one batch again, from its ``inputs``."""
        stage = self._stage
        for line in inputs:
            if line.startswith(HEEDED):
                self._answers.append(line)
            elif line == SETTLE:
                yield from self._aside(line, stage.settle)
            elif line.startswith(OPERATED):
                yield from self._aside(line, partial(self._operate, json.loads(line[1:])))
            else:
                yield line
                if line.startswith(RESTORED):
                    stage.restore(decode(line[1:-1]))
                elif line.startswith(TOLD):
                    yield from _tell(stage, decode(line[1:-1]))

    def _aside(self, line: bytes, act: Callable[[], Iterable[Message]]) -> list[bytes]:
        """What is said when ``act`` is called, behind what was asked for and heard in it."""
        self._asked, self._heard = 0, []
        said = list(act())
        self._answers.clear()
        return [*self._heard, line, *map(_said, said)]

    def _answered(self) -> Sequence[Any]:
        self._asked += 1
        mark = HEEDED + str(self._asked).encode() + b" "
        now = [line for line in self._answers if line.startswith(mark)]
        self._heard += now
        return [decode(line[len(mark) : -1]) for line in now]


def replay(
    stage: Stage, recording: Path, heed: Heed = lambda question: None, operate: Operate = lambda fields: ()
) -> Replay:
    """Tell a fresh ``stage`` what was recorded, batch by batch, up to the first byte that differs; see `Retelling`.

    Raises:
        ContractViolation: when a recorded input is no longer a valid message.
    """
    batches = messages = line = 0
    retelling = Retelling(stage, heed, operate)
    with recording.open("rb") as file:
        for batch in _batches(file):
            if batch[-1] != END:
                return Replay(batches, messages, unfinished_lines=len(batch))
            mismatch = _first_difference(retelling, batch, line)
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


def _first_difference(retelling: Retelling, batch: Sequence[bytes], lines_before: int) -> Mismatch | None:
    retold = list(retelling.retell([line for line in batch if not line.startswith((SAID, REFUSED))]))
    for index in range(max(len(batch), len(retold))):
        recorded = batch[index] if index < len(batch) else None
        replayed = retold[index] if index < len(retold) else None
        if recorded != replayed:
            return Mismatch(lines_before + index + 1, _text(recorded), _text(replayed))
    return None


def _tell(stage: Stage, message: Message) -> list[bytes]:
    handler = stage.handlers.get(type(message))
    if handler is None:  # whoever was recorded looked at something else there, and went on
        return []
    try:
        return [_said(output) for output in handler(message)]
    except Unprocessable as verdict:
        return [_refused(verdict.error)]


def _said(output: Message) -> bytes:
    return SAID + encode(output) + b"\n"


def _refused(error: FieldError) -> bytes:
    said = f"{error.path or '/'}: {error.rule} [{error.code}]"  # not the text for people: recordings outlive it
    return REFUSED + " ".join(said.split()).encode() + b"\n"


def _text(line: bytes | None) -> str | None:
    return None if line is None else line.decode().rstrip("\n")
