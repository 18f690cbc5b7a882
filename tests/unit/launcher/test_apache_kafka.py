import subprocess
import sys

import pytest

from launcher.apache_kafka import ApacheKafka, command_line


@pytest.fixture
def running(tmp_path):
    """A process whose command line is as long as a broker's, its id in the directory of a broker."""
    long = ["/somewhere/" + "x" * 300, "kafka.Kafka", str(tmp_path.absolute() / "server.properties")]
    program = "print('ready', flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", program, *long], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    (tmp_path / "broker.pid").write_text(str(process.pid))
    yield process
    process.communicate(b"\n", timeout=10)


@pytest.mark.parametrize("columns", ["20", "80", None])
def test_a_running_broker_is_found_however_wide_the_terminal_is(tmp_path, running, monkeypatch, columns):
    if columns is None:
        monkeypatch.setenv("PATH", "")  # a slim machine has no ps
    else:
        monkeypatch.setenv("COLUMNS", columns)
    assert ApacheKafka(tmp_path).pid == running.pid


def test_a_number_given_to_another_program_is_no_broker(tmp_path, running):
    other = tmp_path / "other"
    other.mkdir()
    (other / "broker.pid").write_text(str(running.pid))
    assert ApacheKafka(other).pid is None


def test_a_process_that_is_gone_has_no_command_line():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=10)
    assert command_line(gone.pid) == ()
