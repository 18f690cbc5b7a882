"""How a command ends when it is told to stop."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from launcher.endings import reported

_COMMAND = """
import os, signal
import typer
from launcher.endings import reported

def main() -> None:
    with reported():
        exec("os.kill(os.getpid(), signal.SIGINT); [None for _ in range(10_000)]")

typer.run(main)
"""


def test_a_signal_that_falls_into_the_making_of_a_class_ends_the_command_with_its_own_code(tmp_path):
    (tmp_path / "command.py").write_text(_COMMAND)
    run = subprocess.run([sys.executable, "-m", "command"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (130, "stopped\n")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.ENOTDIR])
def test_a_place_that_cannot_be_written_is_one_line_with_the_place_and_what_to_do(number, capsys):
    with pytest.raises(typer.Exit) as ended, reported():
        raise OSError(number, os.strerror(number), "runs/r1/bars.parquet")
    said = capsys.readouterr().err
    assert ended.value.exit_code == 1
    assert said.startswith(f"runs/r1/bars.parquet: {os.strerror(number)}; ")
    assert said.count("\n") == 1
    assert "run.directory" in said
    assert "ALGOTRADE_HOME" in said


def test_a_file_that_is_not_there_is_named_without_its_number(capsys):
    with pytest.raises(typer.Exit) as ended, reported():
        Path("nowhere/bars.parquet").read_text("utf-8")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "nowhere/bars.parquet: No such file or directory\n"


def test_an_error_of_the_system_that_is_not_about_a_place_stays_a_defect():
    with pytest.raises(ConnectionResetError), reported():
        raise ConnectionResetError(errno.ECONNRESET, "reset")
