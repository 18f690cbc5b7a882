"""The eight stages as data."""

from dataclasses import dataclass
from datetime import timedelta

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: what goes in, what is checked, the files it leaves, and how long its artifact counts.

    ``artifact`` is the JSON file; ``documents`` are written beside it and hashed in it. Only a stage that
    ``needs_gateway`` can have evidence that is better than simulated.
    """

    number: int
    name: str
    inputs: tuple[str, ...]
    checks: tuple[str, ...]
    artifact: str
    documents: tuple[str, ...]
    fresh_for: timedelta
    needs_gateway: bool = False


STAGES = (
    Stage(
        1,
        "Artifact validation",
        (
            "a coverage report (--coverage, of coverage json)",
            "fixtures",
            "the committed schemas",
            "a signed GOVERNANCE.json",
        ),
        ("coverage", "coverage is of this code", "fixtures match their manifest", "recordings are readable", "schemas"),
        "IBKR_ARTIFACT_VALIDATION_REPORT.json",
        ("IBKR_ARTIFACT_VALIDATION_REPORT.md",),
        _WEEK,
    ),
    Stage(
        2,
        "Hierarchical breakdown",
        ("the source code",),
        ("every module has its place", "every module says what it is", "layers go one way"),
        "IBKR_INTEGRATION_FLOW.json",
        ("IBKR_INTEGRATION_FLOW.md",),
        _WEEK,
    ),
    Stage(
        3,
        "Interface mapping",
        ("the broker's port", "the connection", "messages", "the error policy"),
        ("the adapter has every operation of the port", "order types", "error codes", "callbacks"),
        "IBKR_INTERFACE_MAP.json",
        ("IBKR_INTERFACE_MAP.md",),
        _WEEK,
    ),
    Stage(
        4,
        "Implementation",
        (
            "JUnit reports of unit and port suites (--junit for each; else it runs them)",
            "the client library that trades here in one",
        ),
        (
            "unit suite",
            "ports suite",
            "every file of tests was run",
            "the port suite ran over Interactive Brokers",
            "nothing failed",
            "the reports are of this code",
        ),
        "IBKR_IMPLEMENTATION_REPORT.json",
        (),
        _WEEK,
    ),
    Stage(
        5,
        "Test infrastructure",
        ("the stage tests",),
        ("stage6 is collected", "stage7 is collected", "stage8 is collected"),
        "IBKR_TEST_INFRASTRUCTURE.json",
        (),
        _WEEK,
    ),
    Stage(
        6,
        "Account probe",
        ("a gateway (--sim starts a simulator)",),
        ("connected", "the account is there", "no order can leave", "buying power"),
        "ACCOUNT_CONFIG.json",
        (),
        timedelta(days=1),
        needs_gateway=True,
    ),
    Stage(
        7,
        "Paper session",
        ("a gateway with a paper account (or --sim)", "six hours of an open market (minutes with --sim)"),
        (
            "nothing broke off",
            "duration",
            "trades",
            "latency delta",
            "pacing violations",
            "refused orders",
            "fill rate",
            "Sharpe",
        ),
        "PAPER_TRADING_LOG.json",
        ("PAPER_TRADING_METRICS.csv", "PAPER_TRADING_REPORT.html"),
        timedelta(days=30),
        needs_gateway=True,
    ),
    Stage(
        8,
        "Go-live decision",
        ("the artifacts of stages 1 to 7", "a gateway with a paper account (or --sim)", "a signed GOVERNANCE.json"),
        ("stages 1 to 7", "kill switch", "rollback", "governance"),
        "PRELIVE_VERIFICATION_LOG.json",
        ("ROLLBACK_PROCEDURE.md",),
        timedelta(days=1),
        needs_gateway=True,
    ),
)
DECISION = "GO_LIVE_DECISION_GATE.md"
"""What the decision is and why; written again with each signature, so no artifact holds its hash."""
LOG = "STAGES_LOG.jsonl"
"""Which artifacts stages have written, each line sealed by the one before."""
RECORD = "GO_LIVE_RECORD.json"
"""The decision that stage 8 drafts and people sign."""
GOVERNANCE = "GOVERNANCE.json"
"""Who holds which role; signed before stage 1."""


def stage(number: int) -> Stage:
    """The stage of that number; raises ValueError when there is none."""
    if not 1 <= number <= len(STAGES):
        raise ValueError(f"stages are numbered 1 to {len(STAGES)}")
    return STAGES[number - 1]
