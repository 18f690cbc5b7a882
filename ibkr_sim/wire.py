"""Frames and fields of the TWS socket protocol."""

from collections.abc import Iterable, Iterator
from struct import Struct

API_PREFIX = b"API\0"
MAX_FRAME_BYTES = 1 << 20
"""No client message comes near this size; a larger length prefix means that no TWS client is speaking."""

_LENGTH = Struct(">I")


class ProtocolError(ValueError):
    """What arrived is no message of a TWS client."""


def frame(payload: bytes) -> bytes:
    """``payload`` behind its length, four bytes big-endian."""
    return _LENGTH.pack(len(payload)) + payload


def frames(buffer: bytearray) -> Iterator[bytes]:
    """Payloads of the complete frames at the start of ``buffer``, which is consumed.

    Raises:
        ProtocolError: when a frame claims more than `MAX_FRAME_BYTES`.
    """
    while len(buffer) >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(buffer)
        if length > MAX_FRAME_BYTES:
            raise ProtocolError(f"a frame of {length} bytes is longer than any client message")
        end = _LENGTH.size + length
        if len(buffer) < end:
            return
        payload = bytes(buffer[_LENGTH.size : end])
        del buffer[:end]
        yield payload


def join(texts: Iterable[str]) -> bytes:
    """Payload of the fields, each closed by NUL; beyond ASCII as escapes, which clients undo from version 153 on."""
    return ("\0".join(texts) + "\0").encode("ascii", "backslashreplace")


def split(payload: bytes) -> list[str]:
    """Fields of a payload; whatever stands behind the last NUL is no field."""
    return payload.decode("utf-8", "backslashreplace").split("\0")[:-1]
