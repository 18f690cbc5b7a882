"""The `algotrade` command as a person runs it: real processes, real signals."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest
import yaml

from kernel.clock import monotonic

ROOT = Path(__file__).parents[2]


def _paper_config(directory: Path, **data: object) -> Path:
    config = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())
    config["run"] = {"directory": str(directory / "runs")}
    config["data"]["sources"] = [{"files": [str(ROOT / "fixtures" / "generated" / "minute_bars_*.parquet")]}]
    config["data"] |= data
    path = directory / "paper.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def _pause(seconds: float = 0.2) -> None:
    signal.sigtimedwait([], seconds)


def _descendants(pid: int) -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found, newest = set[int](), {pid}
    while newest:
        newest = {child for child, parent in parents.items() if parent in newest} - found
        found |= newest
    return found


def _broker_and_planes(pid: int) -> set[int]:
    """The four processes of a run, once they have all been started and nothing else is running for a moment."""
    deadline = monotonic() + 30.0
    while len(started := _descendants(pid)) != 4:
        assert monotonic() < deadline, started
        _pause()
    return started


def _alive(pids: set[int]) -> set[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    states = dict(line.split() for line in listed.splitlines())
    return {pid for pid in pids if not states.get(str(pid), "Z").startswith("Z")}


def _gone(pids: set[int], seconds: float) -> bool:
    deadline = monotonic() + seconds
    while _alive(pids) and monotonic() < deadline:
        _pause()
    return not _alive(pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["planes are starting", "bars flow"])
def test_a_signal_ends_a_run_and_leaves_no_process(session, tmp_path, number, moment):
    run = session("demo", "--config", str(_paper_config(tmp_path, end="2024-07-01")))
    run.wait_for("logs in" if moment == "planes are starting" else r"[1-9]\d* bars")
    started = _broker_and_planes(run.process.pid)
    run.process.send_signal(number)
    assert run.process.wait(30) == 130, run.said
    assert _gone(started, 0)
    assert "stopped" in run.said
    assert "Traceback" not in run.said
    assert not (tmp_path / "home" / "running.json").exists()


def test_a_second_interrupt_does_not_cut_the_first_short(session, tmp_path):
    run = session("up", "--config", str(_paper_config(tmp_path)))
    run.wait_for(r"[1-9]\d* bars")
    started = _descendants(run.process.pid)
    for _ in range(3):
        run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130, run.said
    assert _gone(started, 0)


def test_planes_and_broker_do_not_outlive_a_command_that_is_killed(session, tmp_path):
    run = session("up", "--config", str(_paper_config(tmp_path)))
    run.wait_for(r"[1-9]\d* bars")
    started = _descendants(run.process.pid)
    run.process.kill()
    run.process.wait()
    assert _gone(started, 60)  # a plane waits up to 30 s for what it has sent to become durable
    (kept,) = (tmp_path / "home" / "runs").iterdir()
    audit = run.other_terminal("orders", "audit", kept.name)
    assert audit.returncode == 0, audit.stdout + audit.stderr
    assert "every intent is accounted for" in audit.stdout
    assert f"{kept.name}/consumed_intents.jsonl, kept while the run went on" in audit.stdout


def test_up_outlives_its_source_restarts_what_crashes_and_is_found_from_another_terminal(session, tmp_path):
    run = session("up", "--config", str(_paper_config(tmp_path, end="2024-07-01", pace={"mode": "window"})))
    run.wait_for("data: has finished")
    name = json.loads((tmp_path / "home" / "running.json").read_text())["run_id"]
    listed = run.other_terminal("topics", "list")
    assert listed.returncode == 0, listed.stderr
    assert f"before each name: {name}." in listed.stdout
    assert "\nmarket_events " in listed.stdout
    assert name in listed.stderr
    assert run.other_terminal("dlq", "list").stdout == "no dead letters\n"
    log = tmp_path / "home" / "runs" / name / "order.log"
    port = re.search(r"port=(\d+)", log.read_text())
    assert port is not None
    with urlopen(f"http://127.0.0.1:{port[1]}/ready", timeout=10) as answer:
        assert json.load(answer)["ready"] is True
    (order,) = [pid for pid in _descendants(run.process.pid) if "launcher.plane_cli\0order" in _command(pid)]
    os.kill(order, signal.SIGKILL)
    run.wait_for("order: restarted")
    audit = run.other_terminal("orders", "audit", name)
    assert (audit.returncode, "what was consumed: Kafka at" in audit.stdout) == (0, True), audit.stdout + audit.stderr
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 130, run.said
    ended = run.other_terminal("orders", "audit", name)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "is from Kafka, once the planes had ended" in ended.stdout
    assert "never consumed" not in ended.stdout
    counted = re.compile(r"(?:ACKED|all) +.? *([1-9]\d+)")
    assert counted.findall(ended.stdout) == counted.findall(audit.stdout) != []


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_demo_ends_with_table_verdict_and_report(session, tmp_path):
    config = yaml.safe_load((ROOT / "config" / "demo.yaml").read_text())
    config["run"]["directory"] = str(tmp_path / "runs")
    config["data"] |= {"end": "2004-12-31"}
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(config))
    run = session("demo", "--config", str(tmp_path / "demo.yaml"), "--run-id", "first")
    assert run.process.wait(120) == 0, run.said
    lines = run.said.splitlines()
    assert lines[-1] == f"report: {tmp_path}/runs/first/report.html"
    assert lines[-2].startswith("identical: the Kafka run and the in-memory backtest")
    assert "Final equity" in run.said
    audit = run.other_terminal("orders", "audit", "first")
    assert (audit.returncode, "is from Kafka, once the planes had ended" in audit.stdout) == (0, True), audit.stdout
    assert "\x1b" not in run.said
    assert "over Kafka" in (tmp_path / "runs" / "first" / "report.html").read_text()
    shown = run.other_terminal("report", str(tmp_path / "runs" / "first"))
    assert shown.returncode == 0, shown.stderr
    again = run.other_terminal("demo", "--config", str(tmp_path / "demo.yaml"), "--run-id", "first")
    assert again.returncode == 2
    assert "choose another --run-id" in again.stderr


@pytest.mark.parametrize("broker", ["embedded", "given"])
def test_live_mode_is_refused_with_the_gates_that_are_shut_and_starts_nothing(session, tmp_path, broker):
    config = yaml.safe_load(_paper_config(tmp_path).read_text())
    config["order"]["mode"] = "live"
    (tmp_path / "live.yaml").write_text(yaml.safe_dump(config))
    run = session("up", "--config", str(tmp_path / "live.yaml"), "--kafka", broker)
    assert run.process.wait(60) == 7, run.said
    for gate in ("LIVE_API=1", "CONFIRM_LIVE=YES", "ENABLE_LIVE_TRADING=true", "go-live record"):
        assert gate in run.said
    assert not (tmp_path / "home").exists()


def test_a_plane_that_cannot_start_ends_the_run_with_its_own_exit_code(session, tmp_path):
    config = yaml.safe_load(_paper_config(tmp_path).read_text())
    config["data"]["sources"] = [{"files": ["nowhere/*.parquet"]}]
    (tmp_path / "none.yaml").write_text(yaml.safe_dump(config))
    run = session("up", "--config", str(tmp_path / "none.yaml"))
    assert run.process.wait(60) == 2, run.said
    assert "nowhere" in run.said
    assert "data.log" in run.said
