"""What a stage leaves behind: its checks, what it found, and under which circumstances."""

from collections.abc import Mapping
from typing import Generic, NamedTuple, Self, TypeVar

from pydantic import AwareDatetime, Field, model_validator

from domain.go_live import CodeVersion, Digest, Evidence, Person, Sheet

Text = str


class Check(Sheet):
    """One condition: what is required and what was found, for people to read."""

    name: str = Field(min_length=1, max_length=128)
    passed: bool
    required: Text
    found: Text


class Subject(NamedTuple):
    """What a stage is about; when any of it changes, the artifact counts no more."""

    account: str
    configuration: str
    order_configuration: str
    limits: str
    code: CodeVersion


Findings = TypeVar("Findings", bound=Sheet)


class Artifact(Sheet, Generic[Findings]):
    """The artifact of one stage.

    ``evidence`` says where what was seen of a gateway comes from, and ``evidence_why`` why it is not better than that.
    ``files`` are the digests of the documents beside it. The hashes are those of `domain.go_live.GoLiveRecord`.
    """

    stage: int = Field(ge=1, le=8)
    title: str
    created_at: AwareDatetime
    evidence: Evidence
    evidence_why: tuple[Text, ...]
    account: Person
    configuration: Digest
    order_configuration: Digest
    limits: Digest
    code: CodeVersion
    passed: bool
    checks: tuple[Check, ...] = Field(min_length=1)
    findings: Findings
    files: dict[str, Digest]

    @model_validator(mode="after")
    def _follows_from_its_checks(self) -> Self:
        if self.passed != all(each.passed for each in self.checks):
            raise ValueError("passed must say whether all checks have passed")
        return self

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return Subject(self.account, self.configuration, self.order_configuration, self.limits, self.code)


class Measured(Sheet):
    """Figures of one kind of latency, in milliseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    largest: float


class Validation(Sheet):
    """Stage 1: percent of lines and branches covered, the files that were held against their hashes, and recordings."""

    coverage_percent: float
    coverage_files: int
    fixtures: int
    recordings: dict[str, int]
    schemas: int
    governance: Text


class Module(Sheet):
    """One module: what it is, and the modules of the integration that it uses."""

    name: str
    does: Text
    pure: bool
    uses: tuple[str, ...]


class Breakdown(Sheet):
    """Stage 2: the modules of the integration by part."""

    parts: dict[str, tuple[Module, ...]]


class InterfaceMap(Sheet):
    """Stage 3: tables by title; the first row of each holds the headings."""

    tables: dict[str, tuple[tuple[str, ...], ...]]


class Suites(Sheet):
    """Stage 4: tests that ran by suite, how many of all failed or ran nowhere, and the names of the reports."""

    tests: dict[str, int]
    failed: int
    skipped: int
    report: Text


class Collected(Sheet):
    """Stage 5: stage tests by marker."""

    tests: dict[str, int]


class AccountConfig(Sheet):
    """Stage 6: the accounts of the gateway and what the one holds, by instrument; figures in its currency."""

    accounts: tuple[str, ...]
    buying_power: float
    net_liquidation: float
    cash: float
    currency: str
    positions: dict[str, float]
    next_order_id: int
    clock_gap_seconds: float
    refused_messages: tuple[str, ...]


class PaperLog(Sheet):
    """Stage 7: what the session did, held against a mock gateway and a backtest of the same bars.

    ``client_library`` is what spoke with the gateway, with its version. A Sharpe ratio is absent when nothing was there
    to measure: too few slices, or equity that never moved.
    """

    client_library: Text
    begun_at: AwareDatetime
    seconds: float
    planned_seconds: float
    market_from: AwareDatetime | None
    market_to: AwareDatetime | None
    bars: int
    orders: int
    filled_orders: int
    refused_orders: int
    refused_by_gateway: int
    fill_rate: float
    pacing_violations: int
    connects: int
    latency: Measured
    mock_latency: Measured
    latency_delta: float
    sharpe_paper: float | None
    sharpe_backtest: float | None
    equity_first: float
    equity_last: float
    flat_at_the_end: bool
    notices: dict[str, int]


class Rehearsal(Sheet):
    """One thing that was done for real: the commands, and what was seen before and after."""

    name: str
    commands: tuple[Text, ...]
    exit_codes: tuple[int, ...]
    before: Text
    after: Text
    seconds: float
    passed: bool


class Prelive(Sheet):
    """Stage 8: the standing of the other stages, what was rehearsed, and the digests that are signed."""

    standings: dict[str, str]
    artifacts: dict[str, Digest]
    rehearsals: tuple[Rehearsal, ...]
    governance: Text
    weakest_evidence: Evidence


MODELS: Mapping[int, type[Artifact]] = {  # type: ignore[type-arg]
    1: Artifact[Validation],
    2: Artifact[Breakdown],
    3: Artifact[InterfaceMap],
    4: Artifact[Suites],
    5: Artifact[Collected],
    6: Artifact[AccountConfig],
    7: Artifact[PaperLog],
    8: Artifact[Prelive],
}
AnyArtifact = Artifact[Sheet]
