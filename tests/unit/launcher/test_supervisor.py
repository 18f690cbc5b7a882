import signal
import time

import pytest

from launcher.supervisor import MAX_RESTARTS, ChildFailed, Supervisor, last_lines

PATIENCE = 30.0


def _ended(supervisor, name):
    supervisor.children[name].process.wait(PATIENCE)


def test_a_crash_is_repaired_and_said(tmp_path):
    said = []
    with Supervisor(on_event=lambda name, event: said.append(f"{name} {event}")) as supervisor:
        child = supervisor.start("a", ["-c", "import time; time.sleep(60)"], tmp_path / "a.log")
        child.process.kill()
        _ended(supervisor, "a")
        supervisor.check()
        assert child.running
    assert said == ["a ended with SIGKILL", "a restarted"]
    assert not child.running


def test_the_last_word_of_one_that_gave_up_stands_beside_its_restart(tmp_path):
    said = []
    with Supervisor(on_event=lambda name, event: said.append(f"{name} {event}")) as supervisor:
        supervisor.start("a", ["-c", "print('busy'); raise SystemExit('client id 1 is in use\\n')"], tmp_path / "a.log")
        _ended(supervisor, "a")
        supervisor.check()
    assert said == ["a ended with exit code 1", "a restarted; it had said: client id 1 is in use"]


def test_what_crashes_again_and_again_is_given_up_with_the_end_of_its_log(tmp_path):
    with Supervisor() as supervisor:
        supervisor.start("a", ["-c", "raise SystemExit('no luck')"], tmp_path / "a.log")
        for _ in range(MAX_RESTARTS):
            _ended(supervisor, "a")
            supervisor.check()
        _ended(supervisor, "a")
        with pytest.raises(ChildFailed, match="no luck") as failed:
            supervisor.check()
    assert failed.value.code == 1


def test_a_final_code_is_not_tried_again_and_is_kept(tmp_path):
    with Supervisor(final_codes=frozenset({6})) as supervisor:
        supervisor.start("a", ["-c", "raise SystemExit(6)"], tmp_path / "a.log")
        _ended(supervisor, "a")
        with pytest.raises(ChildFailed, match=r"exit code 6.*a\.log") as failed:
            supervisor.check()
    assert failed.value.code == 6


def test_a_child_that_is_done_is_left_alone_and_said_once(tmp_path):
    said = []
    with Supervisor(on_event=lambda name, event: said.append(event)) as supervisor:
        supervisor.start("a", ["-c", ""], tmp_path / "a.log")
        _ended(supervisor, "a")
        supervisor.check()
        supervisor.check()
        assert supervisor.done("a")
    assert said == ["has finished"]


def test_one_that_does_not_hear_is_killed_after_the_grace(tmp_path, monkeypatch):
    monkeypatch.setattr("launcher.supervisor.GRACE_SECONDS", 0.5)
    said = []
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    with Supervisor(on_event=lambda name, event: said.append(event)) as supervisor:
        child = supervisor.start("a", ["-c", deaf], tmp_path / "a.log")
        while not last_lines(tmp_path / "a.log"):
            time.sleep(0.01)
    assert child.process.returncode == -signal.SIGKILL
    assert "was killed" in said[0]


def test_the_end_of_a_log_that_is_not_there_is_empty(tmp_path):
    assert last_lines(tmp_path / "none.log") == ""
