"""Makes the programs beside the tests importable by them, and says of a failure how to see it again."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from drills import FIRST, SCHEDULES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed and item.path.parent == Path(__file__).parent:
        test = os.path.relpath(item.path)
        again = f"ALGOTRADE_CHAOS_SEED={FIRST} ALGOTRADE_CHAOS_SCHEDULES={SCHEDULES} pytest '{test}::{item.name}'"
        report.sections.append(("Seed", f"first seed {FIRST}, {SCHEDULES} schedules; the same again: {again}"))
    return report
