"""The immutable directory of one run: its tables, its summary, and the SHA-256 of every file."""

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backtest.bar_file import parquet_writer
from backtest.run_record import RunRecord
from backtest.summary import JSON, summarise
from backtest.tables import Tables
from data_plane.store import QUARANTINE
from domain.performance import TRADING_DAYS

TABLE_NAMES = ("orders", "fills", "positions", "equity")
MANIFEST = "manifest.json"
SUMMARY = "summary.json"
BARS = "bars.parquet"
REPORT = "report.html"
"""Made from the other files at any time, so it is no part of the manifest."""
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class RunExists(FileExistsError):
    """A run of this name is already on disk, and runs are never overwritten."""


class NotARun(ValueError):
    """A directory does not hold a complete run."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a run comes from; everything here is the same for two runs of the same code, settings and data.

    ``mode`` says who filled the orders. ``configuration`` is shown in the report; mask its secrets first.
    """

    run_id: str
    config_hash: str
    data_hash: str
    git_sha: str = "unknown"
    package_version: str = "unknown"
    mode: str = "simulated fills by the paper broker"
    configuration: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failures:
    """What did not become a trade or a bar: dead letters by error code, quarantined source rows by reason.

    ``findings`` is the file of the data plane that says which rows these are, if there is one; ``unseen`` are symbols
    that were asked for and never had a bar.
    """

    dead_letters: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    findings: Path | None = None
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Digests:
    """SHA-256 of the content of each table, independent of how a file stores it."""

    orders: str
    fills: str
    equity: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run read back from its directory; `bars` is read on demand, since it may be large."""

    directory: Path
    tables: Tables
    summary: dict[str, JSON]
    manifest: dict[str, JSON]

    def bars(self) -> pa.Table:
        """The bars that were published, by time, symbol and bar size."""
        return pq.read_table(self.directory / BARS)


@dataclass(frozen=True, slots=True)
class Difference:
    """One file of a run that is not what its manifest says: missing, changed or unexpected."""

    file: str
    kind: str

    def __str__(self) -> str:
        return f"{self.file}: {self.kind}"


def write_run(
    root: Path,
    record: RunRecord,
    provenance: Provenance,
    failures: Failures | None = None,
    more: Mapping[str, JSON] | None = None,
    periods_per_year: float = TRADING_DAYS,
) -> Path:
    """Write ``root/<run_id>/`` and return it; two runs with the same facts give the same bytes.

    ``more`` becomes part of the summary, such as what the signals have shown; see `summarise` for ``periods_per_year``.
    The directory appears at once and complete, or not at all.

    Raises:
        RunExists: when the run is already there.
        ValueError: when the run id is no plain file name, or the record keeps no bars.
    """
    failures = failures or Failures()
    target = run_directory(root, provenance.run_id)
    bars = record.bar_file()
    tables = record.tables()
    root.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{provenance.run_id}.", dir=root))
    try:
        shutil.copyfile(bars, draft / BARS)
        for name in TABLE_NAMES:
            table = getattr(tables, name)
            with parquet_writer(draft / f"{name}.parquet", table.schema) as writer:
                writer.write_table(table)
        _copy_findings(failures.findings, draft / QUARANTINE)
        summary = summarise(tables, record.initial_cash, periods_per_year) | {
            "counts": _counts(tables, draft / BARS),
            "alerts": record.alerts.by_code(),
            "dead_letters": dict(sorted(failures.dead_letters.items())),
            "quarantined": dict(sorted(failures.quarantined.items())),
            "unseen": sorted(failures.unseen),
            "provenance": asdict(provenance),
            "digests": asdict(content_digests(tables)),
        }
        _write_json(draft / SUMMARY, summary | dict(more or {}))
        files = {path.name: _hash(path) for path in sorted(draft.iterdir())}
        _write_json(draft / MANIFEST, {"run_id": provenance.run_id, "files": files})
        draft.chmod(0o755)
        _publish(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def run_directory(root: Path, run_id: str) -> Path:
    """Where the run belongs, if it may still be written.

    Ask before a long run, so that it does not fail at its end.

    Raises:
        RunExists: when the run is already there.
        ValueError: when the run id is no plain file name.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise ValueError("run_id must be 1 to 128 letters, digits, dots, dashes or underscores, and start plainly")
    target = root / run_id
    if target.exists():
        raise RunExists(f"run {run_id} already exists in {root}; runs are never overwritten: choose another run id")
    return target


def content_digests(source: RunRecord | Tables) -> Digests:
    """Digests of orders, fills and equity; equal for two runs that did the same, over whatever bus they ran."""
    tables = source.tables() if isinstance(source, RunRecord) else source
    return Digests(table_digest(tables.orders), table_digest(tables.fills), table_digest(tables.equity))


def table_digest(table: pa.Table) -> str:
    """SHA-256 over column names, types, missing values and values, column by column in little-endian bytes.

    Texts are preceded by their length; minus zero counts as zero.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps([len(table), *([one.name, str(one.type)] for one in table.schema)]).encode())
    for column in table.columns:
        digest.update(np.packbits(np.asarray(column.is_null())).tobytes())
        if pa.types.is_string(column.type):
            texts = (text.encode() for text in column.to_pylist() if text is not None)
            digest.update(b"".join(b"%d:%s" % (len(text), text) for text in texts))
        else:
            digest.update(_numbers(column))
    return digest.hexdigest()


def verify(directory: Path) -> tuple[Difference, ...]:
    """Hash the files of a run again and name those that differ from its manifest; empty when all is as written.

    Raises:
        NotARun: when the directory has no readable manifest.
    """
    expected = _files_of(_read_json(directory / MANIFEST), directory)
    found = {path.name for path in directory.iterdir()} - {MANIFEST, REPORT}
    differences = [Difference(name, "missing") for name in expected.keys() - found]
    differences += [Difference(name, "unexpected") for name in found - expected.keys()]
    differences += [
        Difference(name, "changed") for name in expected.keys() & found if _hash(directory / name) != expected[name]
    ]
    return tuple(sorted(differences, key=str))


def load(directory: Path) -> Run:
    """Read a run back; `verify` says whether it is as it was written.

    Raises:
        NotARun: when a file of the run is missing or cannot be read.
    """
    manifest, summary = _read_json(directory / MANIFEST), _read_json(directory / SUMMARY)
    try:
        tables = Tables(**{name: pq.read_table(directory / f"{name}.parquet") for name in TABLE_NAMES})
    except (OSError, pa.ArrowInvalid) as error:
        raise NotARun(f"{directory} does not hold a complete run: {error}") from None
    return Run(directory, tables, summary, manifest)


def git_revision(directory: Path) -> str:
    """Commit of the working tree that holds ``directory``, with ``-dirty`` when it has changes; or ``unknown``."""
    try:
        commit = _git(directory, "rev-parse", "HEAD")
        return f"{commit}-dirty" if _git(directory, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(directory: Path, *arguments: str) -> str:
    answer = subprocess.run(
        ["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return answer.stdout.strip()


def _counts(tables: Tables, bars: Path) -> dict[str, JSON]:
    return {
        "bars": int(pq.read_metadata(bars).num_rows),
        "slices": len(tables.equity),
        "intents": len(tables.orders),
        "fills": len(tables.fills),
    }


def _copy_findings(source: Path | None, target: Path) -> None:
    """Every finding once, in the order found: a data plane that starts again finds the same; no file without any."""
    if source is None or not source.exists():
        return
    with source.open(encoding="utf-8") as file:
        found = dict.fromkeys(line for line in file if line.endswith("\n"))
    if found:
        target.write_text("".join(found), "utf-8")


def _publish(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError as error:
        if target.exists():
            raise RunExists(f"run {target.name} was written meanwhile by somebody else; nothing was changed") from None
        raise NotARun(f"cannot move the finished run to {target}: {error.strerror}") from error


def _numbers(column: pa.ChunkedArray) -> bytes:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = column.fill_null(0).to_numpy()
    if values.dtype.kind == "f":
        return bytes((values + 0.0).astype("<f8").tobytes())
    return bytes(values.astype("<i8").tobytes())


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Mapping[str, object]) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", "utf-8")


def _read_json(path: Path) -> dict[str, JSON]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NotARun(f"{path.parent} is not a run directory: {path.name} cannot be read ({error})") from None
    if not isinstance(found, dict):
        raise NotARun(f"{path.parent} is not a run directory: {path.name} holds no object")
    return found


def _files_of(manifest: dict[str, JSON], directory: Path) -> dict[str, str]:
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise NotARun(f"{directory} is not a run directory: {MANIFEST} lists no files")
    return {name: str(digest) for name, digest in files.items()}
