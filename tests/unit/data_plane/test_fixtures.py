import hashlib
from pathlib import Path

import pyarrow.parquet as pq

from data_plane.synthetic import write_fixtures

FIXTURES = Path("fixtures")


def test_bar_files_are_the_ones_their_checksums_name():
    lines = (FIXTURES / "bars" / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    files = [*(FIXTURES / "bars").glob("*.parquet"), FIXTURES / "bars" / "actions.csv"]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == sums


def test_generated_files_are_made_again_identically_from_their_seeds(tmp_path):
    write_fixtures(FIXTURES / "seeds.yaml", tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in (FIXTURES / "generated").iterdir())
    for name in made:
        assert pq.read_table(tmp_path / name).equals(pq.read_table(FIXTURES / "generated" / name)), name


def test_fixtures_stay_small_enough_for_git():
    assert sum(path.stat().st_size for path in FIXTURES.glob("[bg]*/*")) < 1_500_000
