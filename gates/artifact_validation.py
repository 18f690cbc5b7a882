"""Stage 1: what the project is judged by is there and whole."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from contracts import schema_export as messages
from contracts.codec import ContractViolation, decode
from domain.go_live import SignedGovernance
from gates import schema_export
from gates.artifact import AnyArtifact, Check, Validation
from gates.context import Context, check
from gates.governance import governance_problem
from gates.render import checks_table, document
from gates.stages import GOVERNANCE
from kernel.code_version import source_files
from kernel.recorder import RESTORED, SAID, TOLD

LEAST_COVERAGE = 80.0
MANIFEST = "SHA256SUMS"
_NAMED = 3
"""How many files are named in one line."""


def run(context: Context, coverage: Path) -> AnyArtifact:
    """Judge a coverage report (``coverage json``), fixtures, schemas and the governance."""
    percent, files, of_this_code = coverage_of(coverage, context.root)
    wrong, held = fixtures_of(context.root / "fixtures")
    unreadable, recordings = recordings_of(context.root / "fixtures" / "recorded")
    drift = [*messages.check(), *schema_export.check()]
    problem = governance_problem(context)
    checks = [
        check("coverage", percent >= LEAST_COVERAGE, f"at least {LEAST_COVERAGE:g} %", f"{percent:.1f} %"),
        of_this_code,
        check(
            "fixtures match their manifest", bool(held) and not wrong, "every file", "; ".join(wrong) or f"{held} files"
        ),
        check(
            "recordings are readable", bool(recordings) and not unreadable, "every line", "; ".join(unreadable) or "all"
        ),
        check("schemas", not drift, "as the models say", "; ".join(drift) or "as the models say"),
        check("governance", not problem, "signed by all three roles", problem or "signed"),
    ]
    found = Validation(
        coverage_percent=percent,
        coverage_files=files,
        fixtures=held,
        recordings=recordings,
        schemas=len(schema_export.schemas()),
        governance=problem or "signed",
    )
    return context.finish(1, checks, found, {"IBKR_ARTIFACT_VALIDATION_REPORT.md": _page(context, checks)})


def coverage_of(path: Path, root: Path) -> tuple[float, int, Check]:
    """Percent covered, files measured, and whether the report can be about the code as it is now.

    The share is counted file by file: what a report says in total may be of another choice of files.
    """
    name, required = "coverage is of this code", "every file, measured after the newest change"
    try:
        report = json.loads(path.read_bytes())
        percent, files = _share(report["files"]), sorted(report["files"])
        written = datetime.fromisoformat(report["meta"]["timestamp"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0.0, 0, check(name, False, required, f"{path} is no coverage report; write one with coverage json")
    sources = [*source_files(root)]
    absent = sorted({each.relative_to(root).as_posix() for each in sources} - set(files))
    older = written.timestamp() < max(each.stat().st_mtime for each in sources)
    missing = [f"{each} is not measured" for each in absent[:_NAMED]]
    more = [f"nor are {len(absent) - _NAMED} more"] if len(absent) > _NAMED else []
    found = "; ".join([*missing, *more, *(["a file changed since"] if older else [])])
    return (
        percent,
        len(files),
        check(name, not found, required, found or f"{len(files)} files at {written.isoformat()}"),
    )


def _share(files: Mapping[str, Mapping[str, Mapping[str, int]]]) -> float:
    """Percent of statements and branches that were reached."""
    summaries = [each["summary"] for each in files.values()]
    reached = sum(each["covered_lines"] + each.get("covered_branches", 0) for each in summaries)
    return 100.0 * reached / (sum(each["num_statements"] + each.get("num_branches", 0) for each in summaries) or 1)


def fixtures_of(directory: Path) -> tuple[list[str], int]:
    """What differs from the manifests below ``directory``, and how many files they name."""
    wrong, held = [], 0
    for manifest in sorted(directory.rglob(MANIFEST)):
        for line in manifest.read_text("ascii").splitlines():
            digest, _, name = line.partition("  ")
            held += 1
            path = manifest.parent / name
            if not path.is_file() or sha256(path.read_bytes()).hexdigest() != digest:
                wrong.append(f"{name} is not as {MANIFEST} says")
    return wrong, held


def recordings_of(directory: Path) -> tuple[list[str], dict[str, int]]:
    """Lines that follow no contract, and how many messages each recording holds."""
    wrong, counted = [], {}
    for path in sorted(directory.glob("*.jsonl")):
        counted[path.name] = 0
        for number, line in enumerate(path.read_bytes().splitlines(), 1):
            if not line.startswith((RESTORED, SAID, TOLD)):
                continue
            counted[path.name] += 1
            try:
                decode(line[1:], None)
            except ContractViolation:
                wrong.append(f"{path.name} line {number}")
    return wrong, counted


def _page(context: Context, checks: list[Check]) -> str:
    holders: list[str] = []
    try:
        governance = context.shelf.read(GOVERNANCE, SignedGovernance).governance
        holders = [f"* {role.value}: {name}" for role, name in governance.holders.items()]
    except ValueError:
        holders = ["* nobody yet: algotrade gates govern"]
    return document("Artifact validation", checks_table(checks), ["## Governance", "", *holders])
