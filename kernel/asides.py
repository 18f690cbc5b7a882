"""What a stage is told beside its bus, written into its recording where it takes effect."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from pydantic import JsonValue

from contracts.base import Message
from contracts.codec import FieldError
from kernel.ports import Received
from kernel.recorder import Recorder

Fields = Mapping[str, JsonValue]
Publish = Callable[[Iterable[Message]], None]
_Kind = TypeVar("_Kind", bound=Message)
_Answer = TypeVar("_Answer")


class Asides:
    """Notes what is heard in the middle of a settlement, and what an operator has done between two.

    An `Observer` of the pump, that it may tell one settlement from the next. Without a recorder it notes nothing.
    """

    def __init__(self) -> None:
        self._recorders: list[Recorder] = []
        self._asked = 0
        self._said: list[Message] = []

    def attach(self, recorder: Recorder) -> None:
        """Write into the recording of ``recorder`` from now on."""
        self._recorders.append(recorder)

    def heeding(self, ask: Callable[[], Iterable[_Kind]]) -> Callable[[], Iterator[_Kind]]:
        """``ask``, a question that is asked in settlements, with its answers noted: the how-manieth gave which.

        Each answer is handed on as it is found, since there may be no more than those before the question fails.
        """

        def asked() -> Iterator[_Kind]:
            self._asked += 1
            number = self._asked
            for message in ask():
                for each in self._recorders:
                    each.heeded(number, message)
                yield message

        return asked

    def publishing(self, publish: Publish) -> Publish:
        """``publish``, as an operator's commands are to use it: what they say is noted with them."""

        def noted(messages: Iterable[Message]) -> None:
            said = list(messages)
            self._said += said
            publish(said)

        return noted

    def note(self, what: str, fields: Fields, said: Iterable[Message]) -> None:
        """What happened between two settlements at nobody's command, told by ``fields``, and what it led to."""
        self._asked = 0
        for each in self._recorders:
            each.operated({**fields, "command": what}, said)

    def noting(self, what: str, publish: Publish) -> Publish:
        """``publish``, for what happens between two settlements by itself: it is noted with what it says."""

        def noted(messages: Iterable[Message]) -> None:
            said = list(messages)
            self.note(what, {}, said)
            publish(said)

        return noted

    def over(
        self, commands: Mapping[str, Callable[[Fields], _Answer]], but: str
    ) -> dict[str, Callable[[Fields], _Answer]]:
        """An operator's ``commands`` by name, noted as they are carried out or refused; ``but`` one that only asks."""
        return {name: each if name == but else self._noted(name, each) for name, each in commands.items()}

    def _noted(self, name: str, command: Callable[[Fields], _Answer]) -> Callable[[Fields], _Answer]:
        def carry_out(fields: Fields) -> _Answer:
            self._asked = 0
            try:
                return command(fields)
            finally:
                said, self._said, self._asked = self._said, [], 0
                for each in self._recorders:
                    each.operated({**fields, "command": name}, said)

        return carry_out

    def handled(self, received: Received, outputs: Sequence[Message], seconds: float) -> None:
        """A message of the bus is in the recording anyway."""

    def refused(self, received: Received, error: FieldError) -> None:
        """A dead letter is in the recording anyway."""

    def settled(self, outputs: Sequence[Message], seconds: float) -> None:
        """Questions are counted anew in each settlement."""
        self._asked = 0
