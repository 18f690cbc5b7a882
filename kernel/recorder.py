"""Write down what a stage was told, and tell it again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path

from contracts.base import Message
from contracts.codec import decode, encode
from kernel.ports import Received, Stage

SETTLE = "settle"


class Recorder:
    """Appends each input of a stage and its outputs to a text file, one line each.

    A line is ``<`` or ``>`` and the message's canonical bytes; a line ``settle`` marks the end of a batch.
    """

    def __init__(self, file: TextIOBase) -> None:
        self._file = file

    def __call__(self, received: Received, outputs: Sequence[Message]) -> None:
        """Record one handled message."""
        self._file.write(f"<{encode(received.message).decode()}\n")
        self.say(outputs)

    def settled(self, outputs: Sequence[Message]) -> None:
        """Record the end of a batch."""
        self._file.write(SETTLE + "\n")
        self.say(outputs)

    def say(self, outputs: Sequence[Message]) -> None:
        """Record what the stage said."""
        self._file.writelines(f">{encode(output).decode()}\n" for output in outputs)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first line at which a replay departs from its recording."""

    line: int
    recorded: str | None
    replayed: str | None


def replay(stage: Stage, recording: Path) -> Mismatch | None:
    """Tell ``stage`` the recorded inputs again; None when every output is byte-identical."""
    lines = recording.read_text("utf-8").splitlines()
    retold = _retell(stage, [line for line in lines if not line.startswith(">")])
    for number, line in enumerate(lines, start=1):
        said = next(retold, None)
        if said != line:
            return Mismatch(number, line, said)
    extra = next(retold, None)
    return None if extra is None else Mismatch(len(lines) + 1, None, extra)


def _retell(stage: Stage, inputs: Sequence[str]) -> Iterator[str]:
    for line in inputs:
        yield line
        if line == SETTLE:
            outputs = stage.settle()
        else:
            message = decode(line[1:].encode())
            outputs = stage.handlers[type(message)](message)
        for output in outputs:
            yield f">{encode(output).decode()}"
