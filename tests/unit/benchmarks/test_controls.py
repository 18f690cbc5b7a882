"""The benchmark of the controls asks every one of them."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from order_plane.limit_settings import LimitSettings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("controls_benchmark", ROOT / "benchmarks" / "controls.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_limit_that_is_off_by_default_is_set(benchmark: ModuleType):
    off = {name for name, field in LimitSettings.model_fields.items() if field.default is None}
    assert off <= benchmark.EVERY.keys()
    assert {"short_selling", "restricted"} <= benchmark.EVERY.keys()


def test_every_order_passes(benchmark: ModuleType):
    assert benchmark.microseconds(benchmark.EVERY, guarded=True) > 0.0
