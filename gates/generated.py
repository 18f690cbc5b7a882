"""Files that follow from the code and are committed beside it: schemas and the interface map."""

from pathlib import Path

from gates import interface_map, schema_export
from kernel.code_version import ROOT

MAP = Path("docs") / "IBKR_INTERFACE_MAP.md"


def write(root: Path = ROOT) -> list[Path]:
    """Write them and return where."""
    (root / MAP).parent.mkdir(exist_ok=True)
    (root / MAP).write_text(interface_map.page(), "utf-8", newline="\n")
    return [*schema_export.export(), root / MAP]


def drift(root: Path = ROOT) -> list[str]:
    """What differs from the code."""
    path = root / MAP
    same = path.exists() and path.read_text("utf-8") == interface_map.page()
    return [*schema_export.check(), *([] if same else [f"{MAP}: not as the code says; run algotrade gates export"])]
