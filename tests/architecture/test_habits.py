"""One way to do each thing: few make targets, all described, and the same ones in CI and before a commit."""

import re
from pathlib import Path

import yaml

MAX_TARGETS = 10


def targets(root: Path) -> dict[str, str]:
    """Each target that a person may call, and what the help says of it."""
    rules = re.findall(r"^([a-z][\w-]*):(?!=)(.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    return {name: rest.partition("## ")[2].strip() for name, rest in rules}


def test_the_makefile_is_short_and_says_what_each_target_does(root: Path) -> None:
    found = targets(root)
    assert {"help", "setup", "demo", "test", "check", "bench"} <= found.keys()
    assert len(found) <= MAX_TARGETS
    assert [name for name, description in found.items() if not description] == []


def test_every_target_is_phony(root: Path) -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert sorted(phony.split()) == sorted(targets(root))


def test_the_workflow_runs_the_same_targets_as_a_person(root: Path) -> None:
    workflow = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert {f"make {name}" for name in ("setup", "check", "test", "demo")} <= {_target(each) for each in commands}
    assert {_target(each) for each in commands} <= {f"make {name}" for name in targets(root)}


def test_a_commit_is_checked_by_the_same_target(root: Path) -> None:
    config = yaml.safe_load((root / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]] == ["make check"]


def test_actions_are_pinned(root: Path) -> None:
    used = re.findall(r"uses: (\S+)", (root / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", action)] == []


def _target(command: str) -> str:
    return " ".join(command.split()[:2])


def test_the_workflow_and_the_local_run_hold_the_same_coverage(root: Path) -> None:
    for place in (".ci/run", ".github/workflows/ci.yml"):
        said = (root / place).read_text("utf-8")
        assert re.findall(r"make test.*", said)[0].startswith("make test COVER=1"), place
        assert "fail-under" not in said, place
    assert "--fail-under" in (root / "Makefile").read_text("utf-8")
