"""Says which code this is: a commit when there is one, and a digest of the source files in any case."""

import subprocess
from collections.abc import Iterator
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

PACKAGES = (
    *("backtest", "contracts", "data_plane", "domain", "gates", "ibkr_client", "ibkr_sim", "kernel", "launcher"),
    *("order_plane", "strategy_plane"),
)
ROOT = Path(__file__).parents[1]
"""Where the packages are: a checkout, or the directory that they were installed into."""
_GIT_SECONDS = 10


class Code(NamedTuple):
    """A version of the code: ``commit`` is empty outside of git, ``dirty`` says that tracked files were changed."""

    version: str
    commit: str
    dirty: bool
    digest: str


def code_version(root: Path = ROOT) -> Code:
    """The version of the code at ``root``; its digest covers every Python file, and reads them anew each time."""
    digest = source_digest(root)
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = bool(_git(root, "status", "--porcelain", "--", *_present(root)))
    except (OSError, subprocess.SubprocessError):
        commit, dirty = "", False
    return Code(metadata.version("algo-trade"), commit, dirty, digest)


def source_digest(root: Path = ROOT) -> str:
    """SHA-256 (hex) over the names and bytes of the source files, in order of their names."""
    digest = sha256()
    for path in source_files(root):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def source_files(root: Path = ROOT) -> Iterator[Path]:
    """Every Python file of the packages."""
    for package in _present(root):
        yield from sorted((root / package).rglob("*.py"))


def _present(root: Path) -> list[str]:
    return [package for package in PACKAGES if (root / package).is_dir()]


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_GIT_SECONDS).stdout.strip()
