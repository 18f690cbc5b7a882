"""What is committed runs anywhere: no path of one machine, no index of one company, no link to nowhere."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PLACE = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users|mnt|tmp)/\w")
INDEX = re.compile(r"--(?:extra-)?index-url|--find-links|--trusted-host|\b[\w-]+\.(?:internal|corp|lan)\b")
LINK = re.compile(r"\]\(([^)#\s]+)")
TESTS = "tests/"


def committed(root: Path, *patterns: str) -> list[str]:
    """Names of the files that git knows and that are still there."""
    done = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--", *patterns], capture_output=True, text=True, check=True
    )
    return [name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def findings(root: Path, pattern: re.Pattern[str], names: list[str]) -> Iterator[str]:
    for name in names:
        data = (root / name).read_bytes()
        if b"\0" in data[:1024]:
            continue
        for number, line in enumerate(data.decode("utf-8").splitlines(), 1):
            if pattern.search(line):
                yield f"{name}:{number}"


def test_no_file_names_a_place_on_one_machine(root: Path) -> None:
    assert list(findings(root, PLACE, [name for name in committed(root) if not name.startswith(TESTS)])) == []


def test_no_file_names_a_private_index(root: Path) -> None:
    assert list(findings(root, INDEX, [name for name in committed(root) if not name.startswith(TESTS)])) == []


@pytest.mark.parametrize(
    ("pattern", "line"),
    [(PLACE, "cd /home/me/checkout"), (PLACE, '"/tmp/x"'), (INDEX, "--index-url https://pypi.example.org/simple")],
)
def test_such_a_line_would_be_found(pattern: re.Pattern[str], line: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(f"fine\n{line}\n", "utf-8")
    assert list(findings(tmp_path, pattern, ["file"])) == ["file:2"]


def test_every_link_in_a_document_leads_somewhere(root: Path) -> None:
    links = [
        (name, link)
        for name in committed(root, "*.md")
        for link in LINK.findall((root / name).read_text("utf-8"))
        if "://" not in link
    ]
    assert [f"{name}: {link}" for name, link in links if not ((root / name).parent / link).exists()] == []
    assert len(links) > 20
