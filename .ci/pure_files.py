"""Print the files of the pure modules, the list of which is a rule of import-linter, with commas between."""

import sys
import tomllib
from pathlib import Path

rules = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
(purity,) = (rule for rule in rules if rule["id"] == "purity")
sys.stdout.write(",".join(f"{name.replace('.', '/')}.py" for name in purity["source_modules"]))
