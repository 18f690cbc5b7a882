import os
import subprocess
import sys

from kernel.kafka_settings import KafkaSettings
from launcher.kafka_options import connection
from launcher.running import FILE, Running, announced, current

KAFKA = KafkaSettings(bootstrap_servers="127.0.0.1:4711", topic_prefix="demo.")


def test_a_run_is_found_while_it_is_announced_and_not_after(tmp_path):
    with announced(tmp_path, "demo", KAFKA):
        assert current(tmp_path) == Running("demo", os.getpid(), "127.0.0.1:4711", "demo.")
    assert current(tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_the_run_before_is_found_again_after_a_newer_one(tmp_path):
    with announced(tmp_path, "first", KAFKA):
        with announced(tmp_path, "second", KAFKA):
            assert current(tmp_path).run_id == "second"
        assert current(tmp_path).run_id == "first"


def test_a_process_that_is_gone_does_not_count(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / FILE).write_text(
        f'{{"run_id": "x", "pid": {gone.pid}, "bootstrap_servers": "h:1", "topic_prefix": ""}}'
    )
    assert current(tmp_path) is None


def test_a_file_that_makes_no_sense_does_not_count(tmp_path):
    for text in ("", "[]", "{}", '{"run_id": "x", "pid": "1", "bootstrap_servers": "", "topic_prefix": ""}', "\x00"):
        (tmp_path / FILE).write_text(text)
        assert current(tmp_path) is None


def test_the_broker_of_the_run_is_the_default_of_commands_and_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALGOTRADE_HOME", str(tmp_path))
    monkeypatch.delenv("ALGOTRADE_KAFKA__BOOTSTRAP_SERVERS", raising=False)
    with announced(tmp_path, "demo-7", KAFKA):
        found = connection(None, None)
        assert (found.bootstrap_servers, found.topic_prefix) == ("127.0.0.1:4711", "demo.")
        assert "demo-7" in capsys.readouterr().err
        assert connection(None, "mine.").topic_prefix == "mine."
        given = connection("elsewhere:9092", None)
        assert (given.bootstrap_servers, given.topic_prefix) == ("elsewhere:9092", "")
    assert connection(None, None).bootstrap_servers == "127.0.0.1:9092"
