"""Messages as the journal keeps them, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from contracts.base import Message
from contracts.codec import ContractViolation, decode, encode_valid
from order_plane.journals.port import JournalError

Kind = TypeVar("Kind", bound=Message)


def readable(message: Message) -> bytes:
    """The message as it is kept; raises JournalError for one that could not be read again.

    A message put together without validation would otherwise stop every later start.
    """
    try:
        return encode_valid(message)
    except ContractViolation as error:
        raise JournalError(f"a {type(message).__name__} is no message and is not written: {error}") from None


def message_of(raw: bytes, kind: type[Kind]) -> Kind:
    """The message kept as ``raw``; raises JournalError when it is none."""
    try:
        message = decode(raw, (kind,))
    except ContractViolation as error:
        raise JournalError(f"the journal holds a {kind.__name__} that is no message: {error}") from None
    return cast("Kind", message)


@contextmanager
def all_readable() -> Iterator[None]:
    """Turn a state, a kind or a time of an order that is none into a JournalError."""
    try:
        yield
    except ValueError:
        raise JournalError("the journal holds an order that cannot be read; restore it from a backup") from None
