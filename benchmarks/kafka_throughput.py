"""How fast three processes take 100,000 bars from a source over Kafka, and whether their memory stays flat.

The data plane runs ahead of its consumers by a window and stops when everything is handled, so the time is that of
the slowest plane. Memory is the resident size of each process at a quarter and at the end of the run.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import yaml
from confluent_kafka import Consumer, TopicPartition

sys.path[:0] = [str(Path(__file__).parent / "peers")]
import workload
from contracts.codec import decode
from contracts.control import RunMarker
from kernel.embedded_broker import WIDEST_WINDOW
from kernel.kafka_settings import KafkaSettings, reader_config
from launcher.local import KafkaChoice, LocalRun, running_broker, supervised
from launcher.settings import load_settings

SYMBOLS = 10


def config(files: list[Path], *, embedded: bool) -> dict:
    """Minute bars of ten symbols, a moving-average cross on each, as fast as the planes keep up."""
    symbols = [path.stem for path in files]
    return {
        "kafka": {"linger_ms": 5, "batch_max": 2000},
        "data": {
            "sources": [{"files": [str(path) for path in files]}],
            "bar_size": "1min",
            "calendar": "24/7",
            "adjust": False,
            "symbols": symbols,
            "gates": {"stale_repeats": 0},
            "pace": {"mode": "window", "window": WIDEST_WINDOW if embedded else 20000},
        },
        "strategy": {"bar_size": "1min", "universe": list(symbols), "strategy": {"name": "moving_average_cross"}},
        "order": {
            "mode": "paper",
            "calendar": "24/7",
            "volume_cap": None,
            "journal_path": "journal.sqlite",
            "paper_store_path": "venue.sqlite",
            "throttle": {"rate_per_second": 1000, "burst": 100000},
            # Market events run days ahead of the orders here, so that all of them are judged at the same moments.
            "limits": {"duplicate_window": "PT0S", "reference_max_age": "P30D"},
        },
    }  # fmt: skip


def markers(kafka: KafkaSettings, seconds: float):
    """Wait for the data plane's markers and yield when each arrives."""
    consumer = Consumer({**reader_config(kafka, kafka.group("bench")), "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(kafka.topic("control"), 0, 0)])
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        record = consumer.poll(0.05)
        if record is not None and record.error() is None:
            yield decode(record.value(), (RunMarker,)), time.monotonic()
        else:
            yield None, time.monotonic()
    raise TimeoutError("the run did not end in time")


def resident_mb(pid: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def run(choice: KafkaChoice, bars: int) -> dict:
    """One run; bars per second and memory by plane."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        files = workload.write_bars(directory / "bars", SYMBOLS, bars // SYMBOLS)
        path = directory / "config.yaml"
        path.write_text(yaml.safe_dump(config(files, embedded=choice is KafkaChoice.EMBEDDED)))
        settings = load_settings(path, {})
        with running_broker(choice, settings.kafka, f"bench{time.time_ns()}.") as kafka:
            local = LocalRun("bench", path, settings, kafka, directory / "state")
            with supervised(local, restart=False, on_event=lambda plane, event: None) as planes:
                return _measured(planes, kafka, bars)


def _measured(planes, kafka, bars) -> dict:
    started, samples = 0.0, []
    for marker, now in markers(kafka, 600):
        planes.check()
        if marker is None:
            if started:
                samples.append(
                    {name: resident_mb(child.process.pid) for name, child in planes.children.items() if child.running}
                )
        elif not started:
            started = now
        else:
            seconds = now - started
            early, late = samples[len(samples) // 4], samples[-1]
            return {
                "bars": bars,
                "seconds": round(seconds, 2),
                "bars_per_second": round(bars / seconds),
                "memory_mb": {name: [round(early[name]), round(late.get(name, 0))] for name in early},
            }
    raise AssertionError


def main() -> None:
    """Run on the brokers named and print one JSON line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=["embedded", "kafka"], action="append")
    parser.add_argument("--bars", type=int, default=100_000)
    arguments = parser.parse_args()
    for name in arguments.broker or ["kafka", "embedded"]:
        result = run(KafkaChoice(name), arguments.bars)
        verdict = "PASS" if name == "embedded" or result["bars_per_second"] >= 10_000 else "FAIL"
        print(json.dumps({"broker": name, **result, "verdict": verdict}))


if __name__ == "__main__":
    main()
