"""What the signals of a configuration have shown."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from launcher.endings import RunRefused, reported
from launcher.kafka_options import console
from launcher.run_cli import ConfigPath
from launcher.settings import load_settings
from strategy_plane.composition import as_rebalanced
from strategy_plane.settings import SignalEnsembleSettings

ENSEMBLE = Path("config/signal_ensemble.yaml")


def signals(
    config: ConfigPath = ENSEMBLE,
    to: Annotated[Path | None, typer.Option("--json", help="Write figures, regimes and weights to this file.")] = None,
) -> None:
    """Score every signal of a signal_ensemble over the whole source: IC, ICIR, what it earned, its turnover.

    Nothing is traded and no broker is started. Labels are returns that have ended, so no figure looks ahead.
    """
    with reported():
        settings = load_settings(config, os.environ)
        chosen = as_rebalanced(settings.strategy)
        if not isinstance(chosen, SignalEnsembleSettings):
            raise RunRefused(
                f"strategy.strategy.name is {chosen.name}; only a signal_ensemble has signals to study: see {ENSEMBLE}"
            )
        from backtest.signal_study import study  # noqa: PLC0415 - takes a second

        with console.status("scoring every moment of the source"):
            found = study(settings.data, chosen, settings.strategy.traded)
        console.print(found.table())
        console.print(", ".join(f"{regime} {share:.0%}" for regime, share in found.shares().items()), style="dim")
        if found.generated:
            told = f"made-up tables, from which anything earned is luck: {', '.join(found.generated)}"
            console.print(told, style="yellow", markup=False, soft_wrap=True)
        if to is not None:
            to.write_text(json.dumps(found.as_json(), indent=1) + "\n", "utf-8")
            console.print(f"written: {to}", markup=False, soft_wrap=True)
