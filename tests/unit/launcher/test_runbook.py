import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kernel.metrics import PlaneMetrics
from kernel.process import ExitCode
from launcher.cli import app

ROOT = Path(__file__).parents[3]
LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
DOCUMENTS = tuple(LISTED.splitlines())


def test_the_table_of_exit_codes_is_that_of_the_program():
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert [(int(code), meaning.strip()) for code, meaning in rows] == [(int(code), code.meaning) for code in ExitCode]


def test_the_help_says_where_exit_codes_are_explained():
    (document, heading) = re.findall(r"(docs/\S+\.md), ([^.]+)\.", app.info.epilog)[0]
    assert f"## {heading}\n" in (ROOT / document).read_text()
    assert document in CliRunner().invoke(app, ["--help"]).output


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_of_a_document_leads_somewhere(document):
    path = ROOT / document
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text())
    assert [each for each in targets if "://" not in each and not (path.parent / each).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_exists(document):
    from typer.main import get_command

    commands = get_command(app).commands
    for name, sub in re.findall(r"\balgotrade ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", (ROOT / document).read_text()):
        assert name in commands, name
        if hasattr(commands[name], "commands") and sub:
            assert sub in commands[name].commands, f"{name} {sub}"


def test_every_command_is_told_of_in_a_document():
    from typer.main import get_command

    told = "\n".join((ROOT / document).read_text() for document in DOCUMENTS)
    commands = get_command(app).commands
    assert [name for name in commands if not re.search(rf"\balgotrade {name}\b", told)] == []


def test_the_table_of_metrics_is_that_of_the_program():
    exported = set(re.findall(r"^# TYPE (\S+)", PlaneMetrics("order").render().decode(), re.MULTILINE))
    rows = re.findall(r"^\| (`algotrade_.*?) \|", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    own = {name for name in exported if not name.startswith("process_") and not name.endswith("_created")}
    assert told == own
