"""Lines of which each is sealed by the hash of the one before, and signed anchors that say how many there were."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256

from pydantic import JsonValue
from pydantic_core import to_json

START = "0" * 64
"""The head of a chain without entries."""


class ChainBroken(ValueError):
    """An entry was changed, removed or put in; the text names its line."""


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries a chain has, and the hash of its last."""

    count: int = 0
    hash: str = START

    @property
    def text(self) -> bytes:
        """What an anchor signs."""
        return f"audit {self.count} {self.hash}".encode()


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signature over a head: proof that the chain had come this far."""

    head: Head
    signature: str
    public: str

    @property
    def line(self) -> str:
        """The anchor as it is kept."""
        body = {"count": self.head.count, "hash": self.head.hash, "key": self.public, "signature": self.signature}
        return json.dumps(body) + "\n"


def linked(head: Head, entries: Iterable[Mapping[str, JsonValue]]) -> tuple[Head, bytes]:
    """The head after ``entries``, and their lines in ASCII."""
    number, newest, lines = head.count, head.hash, []
    for entry in entries:
        number += 1
        body = _text({"number": number, **entry})
        newest = _seal(newest, body)
        lines.append(b"%b %b\n" % (newest.encode(), body))
    return Head(number, newest), b"".join(lines)


def followed(head: Head, line: str) -> Head:
    """The head after one more line; raises ChainBroken when it does not fit."""
    found, _, body = line.rstrip("\n").partition(" ")
    if not line.endswith("\n") or found != _seal(head.hash, body.encode()):
        raise ChainBroken(
            f"line {head.count + 1} of the audit log does not fit the one before it; it was edited, removed or put in"
        )
    return Head(head.count + 1, found)


def entry_of(line: str) -> dict[str, JsonValue]:
    """The entry of a line that fits."""
    entry: dict[str, JsonValue] = json.loads(line.partition(" ")[2])
    return entry


def anchor_of(line: str) -> Anchor:
    """An anchor from its line; raises ChainBroken when it is none."""
    try:
        body = json.loads(line)
        head = Head(int(body["count"]), str(body["hash"]))
        return Anchor(head, str(body["signature"]), str(body["key"]))
    except (ValueError, KeyError, TypeError):
        raise ChainBroken("a line of the anchors is no anchor; it was edited or torn") from None


def _text(entry: Mapping[str, JsonValue]) -> bytes:
    """The entry as JSON in ASCII without blanks."""
    text = to_json(entry)  # several times as fast as the standard library, but it escapes nothing
    return text if text.isascii() else json.dumps(entry, separators=(",", ":")).encode()


def _seal(previous: str, body: bytes) -> str:
    return sha256(b"%b\n%b" % (previous.encode(), body)).hexdigest()
