import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from data_plane.synthetic import write_fixtures
from data_plane.synthetic_tables import write_tables

FIXTURES = Path("fixtures")


def test_bar_files_are_the_ones_their_checksums_name():
    lines = (FIXTURES / "bars" / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    files = [*(FIXTURES / "bars").glob("*.parquet"), FIXTURES / "bars" / "actions.csv"]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == sums


def test_generated_files_are_made_again_identically_from_their_seeds(tmp_path):
    write_fixtures(FIXTURES / "seeds.yaml", tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in (FIXTURES / "generated").glob("*.parquet"))
    for name in made:
        assert pq.read_table(tmp_path / name).equals(pq.read_table(FIXTURES / "generated" / name)), name


def test_generated_tables_are_made_again_identically_and_say_what_they_are(tmp_path):
    write_tables(FIXTURES / "seeds.yaml", tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in (FIXTURES / "tables").glob("*.parquet"))
    for name in made:
        kept = pq.read_table(FIXTURES / "tables" / name)
        assert pq.read_table(tmp_path / name).equals(kept), name
        assert kept.schema.metadata[b"generated"].startswith(b"every value is made up")
        assert name.startswith("generated_")
        assert (kept["knowledge_time"].to_numpy() >= kept["event_time"].to_numpy()).all()


def test_fixtures_stay_small_enough_for_git():
    assert sum(path.stat().st_size for path in FIXTURES.glob("[bgt]*/*")) < 1_500_000
