"""The benchmark of the controls asks every one of them."""

from types import ModuleType

import pytest

from order_plane.limit_settings import LimitSettings


@pytest.fixture(scope="module")
def benchmark(load_benchmark) -> ModuleType:
    return load_benchmark("controls")


def test_every_limit_that_is_off_by_default_is_set(benchmark: ModuleType):
    off = {name for name, field in LimitSettings.model_fields.items() if field.default is None}
    assert off <= benchmark.EVERY.keys()
    assert {"short_selling", "restricted"} <= benchmark.EVERY.keys()


def test_every_order_passes(benchmark: ModuleType):
    assert benchmark.microseconds(benchmark.EVERY, guarded=True) > 0.0
