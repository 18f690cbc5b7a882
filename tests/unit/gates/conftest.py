from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.go_live import Role
from gates.context import Context
from gates.shelf import Shelf
from kernel.signing import signer_at
from launcher.settings import load_settings

HOLDERS = {Role.RISK_OFFICER: "Rita", Role.CTO: "Carl", Role.LEAD_TRADER: "Lena"}
CONFIG = Path(__file__).parents[3] / "config" / "prelive.yaml"
NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    place = tmp_path_factory.mktemp("keys")
    return {role: signer_at(place / f"{role.name}.key") for role in Role}


@pytest.fixture
def holders():
    return HOLDERS


@pytest.fixture
def now():
    return NOW


@pytest.fixture
def context(keys, tmp_path):
    settings = load_settings(CONFIG, {})
    chosen = settings.order.go_live.model_copy(update={"signers": {role: key.public for role, key in keys.items()}})
    order = settings.order.model_copy(update={"go_live": chosen})
    return Context(settings.data, settings.strategy, order, Shelf(tmp_path / "gates"))
