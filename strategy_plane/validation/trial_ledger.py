"""An append-only file of every trial ever run, so that none is forgotten when luck is judged."""

import fcntl
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from strategy_plane.validation.deflated_sharpe import TrialStatistics

_START = "0" * 64


class LedgerTampered(ValueError):
    """A line of the ledger was changed, removed or cannot be read."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One backtest of one variant: what was tried (``key``), over which data, and what came out per period."""

    family: str
    key: str
    data_hash: str
    tried_at: datetime
    sharpe: float
    observations: int
    parameters: Mapping[str, object]


class TrialLedger:
    """Trials as JSON lines, each carrying the SHA-256 of itself and the line before.

    The newest of these stands in a file beside it as well, so that lines missing at the end are noticed too. The same
    variant over the same data is one trial however often it is run, so running a study twice does not make its result
    look worse; everything else counts for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = path.with_suffix(".head")
        self._trials: dict[tuple[str, str, str], Trial] = {}
        self._last, self._bytes = _START, 0
        with self._alone():
            self._read()

    def append(self, trial: Trial) -> bool:
        """Write ``trial`` down; False for one already known. Others may write meanwhile, and are read first.

        Raises:
            LedgerTampered: when what others wrote cannot be right.
        """
        with self._alone():
            if self._bytes != self._size():
                self._read()
            return self._keep(trial) and self._write(trial)

    def _write(self, trial: Trial) -> bool:
        body = {**asdict(trial), "tried_at": trial.tried_at.isoformat(), "parameters": dict(trial.parameters)}
        body["sharpe"] = None if math.isnan(trial.sharpe) else trial.sharpe
        text = json.dumps(body, sort_keys=True, default=str)
        self._last = _chain(self._last, text)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"hash": self._last, "trial": json.loads(text)}, sort_keys=True) + "\n")
        draft = self._head.with_suffix(".draft")
        draft.write_text(self._last, "utf-8")
        draft.replace(self._head)
        self._bytes = self._size()
        return True

    def trials(self, family: str) -> list[Trial]:
        """Every trial of ``family``, oldest first."""
        return [trial for trial in self._trials.values() if trial.family == family]

    def statistics(self, family: str) -> TrialStatistics:
        """Number of trials of ``family`` and the variance of their Sharpe ratios per period."""
        return TrialStatistics.of(trial.sharpe for trial in self.trials(family))

    def _keep(self, trial: Trial) -> bool:
        name = trial.family, trial.key, trial.data_hash
        return self._trials.setdefault(name, trial) is trial

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process reads or writes meanwhile: two backtests may end at the same time."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _size(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _read(self) -> None:
        self._trials.clear()
        self._last, self._bytes = _START, self._size()
        lines = self._path.read_text("utf-8").splitlines() if self._path.exists() else []
        newest = self._head.read_text("utf-8") if self._head.exists() else _START
        is_known = newest == _START
        if is_known and len(lines) > 1:  # a crash leaves at most the very first line without one
            raise LedgerTampered(f"{self._path}: {self._head.name} is gone; restore the file")
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                body = entry["trial"]
                self._last = _chain(self._last, json.dumps(body, sort_keys=True))
                intact = entry["hash"] == self._last
                trial = Trial(**{**body, "tried_at": datetime.fromisoformat(body["tried_at"])})
            except (ValueError, KeyError, TypeError) as error:
                raise LedgerTampered(f"{self._path}:{number} cannot be read; restore the file") from error
            if not intact:
                raise LedgerTampered(f"{self._path}:{number} was changed or a line before it is gone; restore the file")
            is_known |= newest == self._last  # a crash may have kept a later line out of the head
            unknown = trial.sharpe is None
            self._keep(Trial(**{**asdict(trial), "sharpe": math.nan}) if unknown else trial)
        if not is_known:
            raise LedgerTampered(f"{self._path}: the newest lines are gone, says {self._head.name}; restore the file")


def _chain(before: str, text: str) -> str:
    return sha256(f"{before}{text}".encode()).hexdigest()
