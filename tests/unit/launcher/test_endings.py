"""How a command ends when it is told to stop."""

import subprocess
import sys

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
