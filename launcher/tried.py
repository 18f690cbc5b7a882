"""What counts as one trial when luck is judged, and where trials are written down."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.clock import SystemClock
from kernel.settings import resolved
from launcher.settings import Settings
from strategy_plane.own_code import source_digest
from strategy_plane.settings import OwnStrategySettings, SignalEnsembleSettings
from strategy_plane.signal_settings import OwnSignalSettings

if TYPE_CHECKING:
    from backtest.artifacts import Run
    from backtest.trials import Vector
    from strategy_plane.validation.trial_ledger import Trial


def ledger_of(settings: Settings) -> Path:
    """The file that holds every trial."""
    return settings.run.directory / settings.validation.ledger


def family_of(settings: Settings) -> str:
    """The trials that count together."""
    return settings.validation.family or settings.strategy.strategy_id


def key_of(settings: Settings) -> str:
    """What distinguishes one trial from another: everything that decides how it trades, files of one's own as well."""
    own = {factory: source_digest(factory) for factory in _own_factories(settings)}
    return _digest([resolved(settings.strategy), resolved(settings.order), *([own] if own else [])])


def trial_of(
    settings: Settings, files: str, returns: "Vector | Sequence[float]", parameters: Mapping[str, object]
) -> "Trial":
    """The trial of ``settings`` on data whose files have the hash ``files``; ``returns`` a day since it invested."""
    from domain.probabilistic_sharpe import estimate_sharpe  # noqa: PLC0415 - `--help` does without numpy
    from strategy_plane.validation.trial_ledger import Trial  # noqa: PLC0415

    estimate, now = estimate_sharpe(returns), SystemClock().now()
    data = _digest([files, resolved(settings.data)])
    found = estimate.sharpe, estimate.observations
    return Trial(family_of(settings), key_of(settings), data, now, *found, parameters)


def write_down(settings: Settings, run: "Run", files: str) -> int:
    """Write a backtest of ``settings``, on data files of the hash ``files``, into the ledger.

    Returns how many trials its family has now. One that lost everything has no Sharpe ratio and counts all the same.

    Raises:
        LedgerTampered: when the ledger was changed by somebody.
    """
    from backtest.trials import TrialRuined, daily_returns  # noqa: PLC0415
    from strategy_plane.validation.trial_ledger import TrialLedger  # noqa: PLC0415

    ledger = TrialLedger(ledger_of(settings))
    try:
        returns = daily_returns(run.tables.equity, settings.strategy.initial_cash).invested
    except TrialRuined:
        returns = run.tables.equity["equity"].to_numpy()[:0]
    ledger.append(trial_of(settings, files, returns, {}))
    return len(ledger.trials(family_of(settings)))


def _own_factories(settings: Settings) -> list[str]:
    """What the configuration names of the user's own code."""
    chosen = settings.strategy.strategy
    if isinstance(chosen, OwnStrategySettings):
        return [chosen.factory]
    signals = chosen.signals.values() if isinstance(chosen, SignalEnsembleSettings) else ()
    return sorted(signal.factory for signal in signals if isinstance(signal, OwnSignalSettings))


def _digest(content: Any) -> str:  # noqa: ANN401 - any plain data
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
