"""A stage whose strategy also learns what no engine reads: facts, order flow, what executions cost."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from contracts.base import Message
from contracts.codec import ErrorCode, FieldError
from kernel.ports import Handler, Stage, Unprocessable
from strategy_plane.history import LookAheadError

Learn = Callable[[Message], None]
"""Takes one message into what a strategy knows."""


class InformedStage:
    """Hands everything to ``stage`` and messages of each kind of ``learners`` to what its strategy reads.

    Knowledge leads to nothing by itself: slices are what decisions are taken at. What comes after something that became
    known later is a dead letter: decisions may have been taken without it.
    """

    def __init__(self, stage: Stage, learners: Mapping[type[Message], Learn]) -> None:
        self._stage = stage
        self._learners = dict(learners)
        self.settle = stage.settle

    @property
    def handlers(self) -> Mapping[type[Message], Handler]:
        """Those of the stage, and one for each kind of knowledge."""
        return {**self._stage.handlers, **{kind: partial(_told, learn) for kind, learn in self._learners.items()}}

    def restore(self, message: Message) -> None:
        """Learn what was known before a restart, or let the stage fold it in."""
        learn = self._learners.get(type(message))
        if learn is None:
            self._stage.restore(message)
            return
        with suppress(LookAheadError):  # it became a dead letter when it was handled
            learn(message)


def _told(learn: Learn, message: Message) -> Sequence[Message]:
    try:
        learn(message)
    except LookAheadError as fault:
        raise Unprocessable(FieldError("/timestamp", str(fault), ErrorCode.STALE)) from None
    return ()
