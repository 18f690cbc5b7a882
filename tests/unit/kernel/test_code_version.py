import subprocess
import tomllib

from kernel.code_version import PACKAGES, ROOT, code_version, source_digest


def checkout(tmp_path):
    for package in ("kernel", "order_plane"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "a.py").write_text("a = 1\n", "utf-8")
    return tmp_path


def git(root, *words):
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


def test_the_digest_follows_every_byte_and_name_of_the_sources(tmp_path):
    root = checkout(tmp_path)
    seen = {source_digest(root)}
    (root / "kernel" / "a.py").write_text("a = 2\n", "utf-8")
    seen.add(source_digest(root))
    (root / "kernel" / "a.py").rename(root / "kernel" / "b.py")
    seen.add(source_digest(root))
    (root / "kernel" / "c.py").write_text("", "utf-8")
    seen.add(source_digest(root))
    (root / "notes.py").write_text("no part of the packages", "utf-8")
    assert source_digest(root) in seen
    assert len(seen) == 4


def test_outside_of_git_there_is_a_digest_and_no_commit(tmp_path):
    found = code_version(checkout(tmp_path))
    assert (found.commit, found.dirty) == ("", False)
    assert len(found.digest) == 64


def test_a_commit_is_named_and_a_change_makes_it_dirty(tmp_path):
    root = checkout(tmp_path)
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "x")
    clean = code_version(root)
    assert len(clean.commit) == 40
    assert not clean.dirty
    (root / "kernel" / "new.py").write_text("", "utf-8")
    assert code_version(root).dirty


def test_all_packages_of_the_project_are_covered():
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert sorted(PACKAGES) == sorted(rules["tool"]["importlinter"]["root_packages"])
