"""Other people's programs that answer the same questions; `make apart WITH=oracles` installs them apart from ours."""

import importlib
import os
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def oracle() -> Callable[[str], ModuleType]:
    """Import a module of another program, or skip; with ALGOTRADE_REQUIRE_ORACLES=1 a missing one is a failure."""

    def ask(name: str) -> ModuleType:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of their own imports
                return importlib.import_module(name)
        except ImportError as problem:
            if os.environ.get("ALGOTRADE_REQUIRE_ORACLES") == "1":
                pytest.fail(f"ALGOTRADE_REQUIRE_ORACLES=1, and {name} cannot be imported: {problem}")
            pytest.skip(f"{name} is not installed here (make apart WITH=oracles)")

    return ask


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> object:
    """Their warnings are theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
