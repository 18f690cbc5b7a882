"""The recorded lives of the planes, told again to fresh stages, give the recorded bytes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kernel.ports import Stage
from kernel.recorder import REFUSED, RESTORED, SAID, TOLD, replay
from launcher.settings import load_settings
from order_plane.composition import build_simulation
from strategy_plane.composition import build_stage as build_strategy_stage

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "fixtures" / "recorded"
PLANES = ("strategy", "order")


def fresh(plane: str) -> Stage:
    settings = load_settings(RECORDED / "settings.yaml", {})
    return build_strategy_stage(settings.strategy) if plane == "strategy" else build_simulation(settings.order)


@pytest.mark.parametrize("plane", PLANES)
def test_a_recorded_life_replays_to_the_same_bytes(plane: str) -> None:
    told_again = replay(fresh(plane), RECORDED / f"{plane}.jsonl")
    assert told_again.mismatch is None
    assert told_again.unfinished_lines == 0
    assert told_again.messages > 100


def test_the_recordings_hold_what_a_life_can_bring() -> None:
    lines = {plane: (RECORDED / f"{plane}.jsonl").read_bytes().splitlines() for plane in PLANES}
    strategy, order = lines["strategy"], lines["order"]
    assert strategy[0].startswith(RESTORED)
    assert sum(line.startswith(SAID) and b'"order_intent"' in line for line in strategy) > 20
    assert any(line.startswith(TOLD) and b'"REJECTED"' in line for line in strategy)
    assert sum(line.startswith(SAID) and b'"PARTIAL_FILL"' in line for line in order) > 5
    assert sum(line.startswith(TOLD) and b'"kill_switch_command"' in line for line in order) == 2
    assert sum(line.startswith(REFUSED) for line in order) == 1


def test_the_recordings_can_be_made_again(tmp_path: Path) -> None:
    script = ROOT / "tests" / "parity" / "remake.py"
    environment = os.environ | {"PYTHONHASHSEED": "4711"}
    subprocess.run([sys.executable, str(script), str(tmp_path)], cwd=ROOT, env=environment, check=True, timeout=120)
    for plane in PLANES:
        assert (tmp_path / f"{plane}.jsonl").read_bytes() == (RECORDED / f"{plane}.jsonl").read_bytes()
