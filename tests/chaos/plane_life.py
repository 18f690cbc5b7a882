"""One life of a plane over Kafka, in a process of its own (lives.py), which may be killed at a named moment.

The run is a few weeks of real bars in lock-step, so that its backtest says what must come of it.
"""

import os
import sys
from pathlib import Path

import yaml

from contracts.control import PlaneName
from data_plane import app as data
from kernel import log, process
from kernel.plane import Runtime
from launcher.settings import load_settings
from order_plane import app as order
from strategy_plane import app as strategy

ROOT = Path(__file__).parents[2]
SYMBOLS = ("AAPL", "IBM", "MSFT")
_APPS = {PlaneName.DATA: data, PlaneName.STRATEGY: strategy, PlaneName.ORDER: order}


def configure(directory):
    """Write the configuration of the run: a few weeks in which almost every bar leads to an order."""
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    bars = ROOT / "fixtures" / "bars"
    config["kafka"] |= {"group_protocol": "classic", "session_timeout_ms": 1000}
    config["run"] |= {"record": False}
    config["data"] |= {
        **{"sources": [{"files": [str(bars / f"{symbol}.parquet") for symbol in SYMBOLS]}]},
        **{"actions_file": str(bars / "actions.csv"), "symbols": list(SYMBOLS), "listings": {}, "store": False},
        **{"start": "2004-11-01", "end": "2004-12-31"},
    }
    config["strategy"] |= {
        "universe": list(SYMBOLS),
        "strategy": {"name": "moving_average_cross", "fast": 1, "slow": 2, "allow_short": True},
    }
    path = directory / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_settings(path, {})


def main(plane, settings, kafka, directory):
    """Run ``plane`` until SIGTERM or the end of the source; its log is in ``directory``."""
    process.die_with_parent(os.getppid())
    with (directory / f"{plane}.log").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    log.configure(plane, "chaos")
    name = PlaneName(plane)
    section = getattr(settings, plane)
    runtime = Runtime(plane=name, run_id="chaos", state_directory=directory, heartbeat_seconds=0.0)
    sys.exit(process.run(lambda stop: _APPS[name].run(section, kafka, runtime, stop)))
