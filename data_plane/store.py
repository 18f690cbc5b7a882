"""What was published, kept in Parquet, and what was refused, kept in lines of JSON."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from contracts.base import Message
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent, TickEvent
from data_plane.quality import Finding

_ROW_GROUP = 10_000
_MOMENT = pa.timestamp("us", "UTC")
_NAMES = pa.list_(pa.string())
_SCHEMAS: Mapping[type[Message], pa.Schema] = {
    BarEvent: pa.schema(
        [
            ("symbol", pa.string()),
            ("timestamp", _MOMENT),
            *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume")),
            ("bar_size", pa.string()),
        ]
    ),
    TickEvent: pa.schema(
        [
            ("symbol", pa.string()),
            ("timestamp", _MOMENT),
            ("price", pa.float64()),
            ("size", pa.float64()),
            ("tick_type", pa.string()),
        ]
    ),
    OFIEvent: pa.schema(
        [
            ("symbol", pa.string()),
            ("timestamp", _MOMENT),
            *((name, pa.float64()) for name in ("ofi_value", "volume_imbalance", "bid_volume", "ask_volume")),
        ]
    ),
    FactEvent: pa.schema(
        [
            ("table", pa.string()),
            ("symbol", pa.string()),
            ("timestamp", _MOMENT),
            ("event_time", _MOMENT),
            ("values", pa.map_(pa.string(), pa.float64())),
        ]
    ),
    SliceEvent: pa.schema(
        [
            ("timestamp", _MOMENT),
            ("bar_size", pa.string()),
            ("symbols", _NAMES),
            ("missing", _NAMES),
            ("late", pa.bool_()),
        ]
    ),
}


class EventStore:
    """Writes market events to one Parquet file for each kind: ``<directory>/<event_type>.parquet``.

    Events are kept in the order given and buffered up to one row group. Files appear under their names when the store
    is closed without an error; what a broken run leaves ends in ``.partial``.

    Raises:
        FileExistsError: when the directory already holds events: published history is never rewritten.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        taken = sorted(path.name for path in directory.glob("*.parquet"))
        if taken:
            raise FileExistsError(f"{directory} already holds {', '.join(taken)}; choose a new directory for each run")
        self._directory = directory
        self._buffers: dict[type[Message], list[Message]] = {}
        self._writers: dict[type[Message], pq.ParquetWriter] = {}

    def append(self, event: Message) -> None:
        """Keep one market event.

        Raises:
            KeyError: when it is no market event.
        """
        buffer = self._buffers.get(type(event))
        if buffer is None:
            buffer = self._open(type(event))
        buffer.append(event)
        if len(buffer) >= _ROW_GROUP:
            self._write(type(event))

    def close(self) -> None:
        """Write what is buffered and give the files their names."""
        for kind in list(self._buffers):
            self._write(kind)
            self._writers[kind].close()
            self._partial(kind).rename(_file(self._directory, kind))
        self._buffers.clear()
        self._writers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        for writer in self._writers.values():
            writer.close()

    def _open(self, kind: type[Message]) -> list[Message]:
        self._writers[kind] = pq.ParquetWriter(self._partial(kind), _SCHEMAS[kind], compression="zstd")
        self._buffers[kind] = []
        return self._buffers[kind]

    def _write(self, kind: type[Message]) -> None:
        buffer, schema = self._buffers[kind], _SCHEMAS[kind]
        columns = [pa.array([getattr(event, field.name) for event in buffer], field.type) for field in schema]
        self._writers[kind].write_table(pa.table(columns, schema=schema))
        buffer.clear()

    def _partial(self, kind: type[Message]) -> Path:
        return _file(self._directory, kind).with_suffix(".parquet.partial")


def read_events(directory: Path, kind: type[Message], known_at: datetime | None = None) -> Iterator[Message]:
    """The stored events of one kind in the order they were published, validated again.

    With ``known_at`` only those that were known at that moment: an event is known from its own timestamp on.

    Raises:
        FileNotFoundError: when the directory holds no events of that kind.
    """
    with pq.ParquetFile(_file(directory, kind)) as file:
        for batch in file.iter_batches(batch_size=_ROW_GROUP):
            for fields in batch.to_pylist(maps_as_pydicts="strict"):
                if known_at is None or fields["timestamp"] <= known_at:
                    yield kind.model_validate(_plain(fields), strict=False)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _file(directory: Path, kind: type[Message]) -> Path:
    return directory / f"{kind.model_fields['event_type'].default}.parquet"


QUARANTINE = "quarantine.jsonl"
"""Name of the file of findings, in the state directory of a run and in the run itself."""


class QuarantineFile:
    """Appends every finding as one line of JSON, durable in the file system as soon as it is taken."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def __call__(self, finding: Finding) -> None:
        """Take one finding."""
        self._file.write(json.dumps(finding._asdict(), separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
