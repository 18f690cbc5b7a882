"""The stages before live trading, one after the other, on a simulator or on the gateway of a configuration."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from domain.go_live import Role
from gates import governance
from gates.artifact import AnyArtifact
from gates.context import Context
from gates.running import Choices, run_stage
from gates.shelf import Shelf
from kernel.code_version import PACKAGES, ROOT, source_digest, source_files
from kernel.signing import Signer, signer_at
from launcher.settings import load_settings

GATEWAY = "ALGOTRADE_PRELIVE_CONFIG"
"""Names the settings of a real gateway; without it everything runs on a simulator."""
COVERAGE, JUNIT = "ALGOTRADE_COVERAGE_JSON", "ALGOTRADE_JUNIT_XML"
"""Reports of a whole test run; without them stages 1 and 4 get stand-ins that no gateway would be trusted with."""
HOLDERS = {Role.RISK_OFFICER: "Rita Risk", Role.CTO: "Carl Code", Role.LEAD_TRADER: "Lena Lead"}
LIBRARIES = ("ib_insync", "ib_async")


@dataclass
class Ladder:
    """The artifacts so far, and the keys of the three people."""

    context: Context
    choices: Choices
    keys: dict[Role, Signer]

    def __post_init__(self) -> None:
        self.done: dict[int, AnyArtifact] = {}

    def stage(self, number: int) -> AnyArtifact:
        """The artifact of a stage, run when it was not yet."""
        if number not in self.done:
            self.done[number] = run_stage(self.context, number, self.choices)
        return self.done[number]

    def sign(self, kind: str) -> None:
        """All three sign."""
        for role, name in HOLDERS.items():
            getattr(governance, f"sign_{kind}")(self.context, role, name, self.keys[role])

    @property
    def directory(self) -> Path:
        """Where the artifacts are."""
        return self.context.shelf.directory


@pytest.fixture(scope="session")
def library() -> Iterator[str]:
    """The client library that is here, or a skip that says what to install."""
    import importlib
    import warnings

    wanted = os.environ.get("ALGOTRADE_REQUIRE_IBKR", "")
    for name in LIBRARIES if wanted in {"", "0", "1"} else wanted.split(","):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                importlib.import_module(name)
        except ImportError:
            continue
        before = os.environ.get("ALGOTRADE_IBKR_LIBRARY")
        os.environ["ALGOTRADE_IBKR_LIBRARY"] = before or name
        yield before or name
        if before is None:
            del os.environ["ALGOTRADE_IBKR_LIBRARY"]
        return
    if wanted not in {"", "0"}:
        pytest.fail("ALGOTRADE_REQUIRE_IBKR asks for a client library, and there is none")
    pytest.skip("the stages on a gateway need ib_insync or ib_async (make apart WITH=ib_insync)")


@pytest.fixture(scope="session")
def ladder(library: str, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    """A ladder whose governance is signed."""
    place = tmp_path_factory.mktemp("prelive")
    keys = {role: signer_at(place / f"{role.name}.key") for role in Role}
    given = os.environ.get(GATEWAY)
    settings = load_settings(Path(given) if given else ROOT / "config" / "prelive.yaml", {})
    order = settings.order
    if not given:
        chosen = order.go_live.model_copy(update={"signers": {role: key.public for role, key in keys.items()}})
        order = order.model_copy(update={"go_live": chosen})
    context = Context(settings.data, settings.strategy, order, Shelf(place / "gates"))
    made = Ladder(context, Choices(coverage(place), junit(place), sim=not given), keys)
    if not given:
        governance.govern(context, HOLDERS, "Nobody goes live on simulated evidence.", datetime.now(UTC))
        made.sign("governance")
    return made


def coverage(place: Path) -> Path:
    """The report that was named, else a stand-in."""
    if named := os.environ.get(COVERAGE):
        return Path(named)
    summary = {"covered_lines": 8, "num_statements": 10}
    files = {path.relative_to(ROOT).as_posix(): {"summary": summary} for path in source_files()}
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    report = {
        "meta": {"timestamp": datetime.now(UTC).isoformat()},
        "files": files,
    }
    (place / "coverage.json").write_text(json.dumps(report), "utf-8")
    return place / "coverage.json"


def junit(place: Path) -> Path:
    """The report that was named, else a stand-in."""
    if named := os.environ.get(JUNIT):
        return Path(named)
    paths = [path for name in ("unit", "ports") for path in (ROOT / "tests" / name).rglob("test_*.py")]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    cases = "".join(f'<testcase classname="{name}" name="t"/>' for name in names)
    said = f'<properties><property name="code_digest" value="{source_digest()}"/></properties>'
    (place / "junit.xml").write_text(f"<testsuites><testsuite>{said}{cases}</testsuite></testsuites>", "utf-8")
    return place / "junit.xml"
