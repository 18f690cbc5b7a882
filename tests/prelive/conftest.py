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
from gates.go_live import standing
from gates.ladder import Standing
from gates.running import Choices, run_stage
from gates.shelf import Shelf
from gates.suites import ADAPTER, CODE, SUITES
from ibkr_client.library import LIBRARIES, find_library
from kernel.code_version import PACKAGES, ROOT, source_digest, source_files
from kernel.signing import Signer, signer_at
from launcher.gates_cli import context_of
from launcher.settings import load_settings

GATEWAY = "ALGOTRADE_PRELIVE_CONFIG"
"""Names the settings of a real gateway, whose stages are those of `algotrade gates`; without it all is simulated."""
WORKER = "PYTEST_XDIST_WORKER"
COVERAGE, JUNIT = "ALGOTRADE_COVERAGE_JSON", "ALGOTRADE_JUNIT_XML"
"""Reports of a whole test run, of JUnit several as in a PATH. Without them stages 1 and 4 have stand-ins on the
simulator, and fail on a gateway."""
NEEDED = {1: COVERAGE, 4: JUNIT}
HOLDERS = {Role.RISK_OFFICER: "Rita Risk", Role.CTO: "Carl Code", Role.LEAD_TRADER: "Lena Lead"}


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
            report = NEEDED.get(number)
            if report is not None and not self.choices.sim and not os.environ.get(report):
                pytest.fail(f"{report} names no report, and a gateway is not judged by a stand-in (docs/gates.md)")
            self.done[number] = run_stage(self.context, number, self.choices)
        return self.done[number]

    def counting(self, number: int) -> AnyArtifact:
        """The artifact of a stage that counts already, else of a run of it: nobody trades six hours once more."""
        rung = standing(self.context)[number - 1]
        if rung.artifact is not None and rung.standing is Standing.PASSED:
            self.done.setdefault(number, rung.artifact)
        return self.stage(number)

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
    for name in LIBRARIES if wanted in {"", "0", "1"} else set(LIBRARIES).intersection(wanted.split(",")):
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
    """The ladder of the given settings, where `algotrade gates` has it, else one whose governance is signed."""
    if given := os.environ.get(GATEWAY):
        if WORKER in os.environ:
            pytest.fail(f"{GATEWAY} names one gateway, on which stages go one after the other: run them without -n")
        return Ladder(context_of(Path(given), None), named_reports(sim=False), {})
    place = tmp_path_factory.mktemp("prelive")
    keys = {role: signer_at(place / f"{role.name}.key") for role in Role}
    settings = load_settings(ROOT / "config" / "prelive.yaml", {})
    chosen = settings.order.go_live.model_copy(update={"signers": {role: key.public for role, key in keys.items()}})
    order = settings.order.model_copy(update={"go_live": chosen})
    context = Context(settings.data, settings.strategy, order, Shelf(place / "gates"))
    choices = named_reports(sim=True)
    if not os.environ.get(COVERAGE):
        choices = choices._replace(coverage=coverage(place))
    if not os.environ.get(JUNIT):
        choices = choices._replace(junit=(junit(place),))
    made = Ladder(context, choices, keys)
    governance.govern(context, HOLDERS, "Nobody goes live on simulated evidence.", datetime.now(UTC))
    made.sign("governance")
    return made


def named_reports(*, sim: bool) -> Choices:
    """The reports that were named."""
    junit = tuple(Path(each) for each in os.environ.get(JUNIT, "").split(os.pathsep) if each)
    return Choices(Path(os.environ.get(COVERAGE, "")), junit, sim=sim)


@pytest.fixture
def coverage_report(tmp_path: Path) -> Path:
    """A stand-in for the report of a whole test run."""
    return coverage(tmp_path)


@pytest.fixture
def junit_reports(tmp_path: Path) -> str:
    """Stand-ins for two reports: one of a run without a client library, and one with it."""
    first, second = tmp_path / "main", tmp_path / "apart"
    first.mkdir()
    second.mkdir()
    return os.pathsep.join(map(str, (junit(first, adapter=False), junit(second))))


def coverage(place: Path) -> Path:
    """A stand-in for a report of coverage."""
    summary = {"covered_lines": 8, "num_statements": 10}
    files = {path.relative_to(ROOT).as_posix(): {"summary": summary} for path in source_files()}
    assert {name.partition("/")[0] for name in files} == set(PACKAGES)
    report = {"meta": {"timestamp": datetime.now(UTC).isoformat()}, "files": files}
    (place / "coverage.json").write_text(json.dumps(report), "utf-8")
    return place / "coverage.json"


def junit(place: Path, *, adapter: bool = True) -> Path:
    """A stand-in for a report of the suites, over Interactive Brokers too or only that it was skipped."""
    paths = [path for name in SUITES for path in (ROOT / name.replace(".", "/")).rglob("test_*.py")]
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    cases = "".join(f'<testcase classname="{name}" name="t"/>' for name in names)
    cases += f'<testcase classname="{ADAPTER}" name="t[{find_library()}]">{"" if adapter else "<skipped/>"}</testcase>'
    said = f'<properties><property name="{CODE}" value="{source_digest()}"/></properties>'
    (place / "junit.xml").write_text(f"<testsuites><testsuite>{said}{cases}</testsuite></testsuites>", "utf-8")
    return place / "junit.xml"
