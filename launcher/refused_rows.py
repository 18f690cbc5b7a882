"""Counts the rows that the data plane refused, while it writes them down or afterwards."""

import json
from collections import Counter
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

from data_plane.store import QUARANTINE


class RefusedRows:
    """The refused rows among the findings in a state directory, each once: a restarted data plane finds them again."""

    def __init__(self, state_directory: Path) -> None:
        self._path = state_directory / QUARANTINE
        self._read = 0
        self._known: set[tuple[str, int, str]] = set()
        self._counted: Counter[str] = Counter()

    def count(self) -> Counter[str]:
        """How many there are by reason; reads on from where it was, up to the last line that is whole."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                for line in takewhile(lambda text: text.endswith(b"\n"), file):
                    self._read += len(line)
                    with suppress(ValueError):  # a data plane that was killed may leave half a line to the next one
                        self._take(line)
        return Counter(self._counted)

    def _take(self, line: bytes) -> None:
        found = json.loads(line)
        name = (found["source"], found["line"], found["reason"])
        if found["refused"] and name not in self._known:
            self._known.add(name)
            self._counted[found["reason"]] += 1
