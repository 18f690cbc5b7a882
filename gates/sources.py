"""What the source code says of itself: modules, their first sentences, and what they use."""

import ast
from collections.abc import Iterator
from pathlib import Path


def modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    """Every module of a package by its name."""
    for path in sorted((root / package).rglob("*.py")):
        if path.name != "__init__.py":
            yield ".".join(path.relative_to(root).with_suffix("").parts), path


def sentence(tree: ast.Module) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def imports(tree: ast.Module) -> set[str]:
    """Every module that is imported anywhere in it, names of members included."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def members_with_meaning(tree: ast.Module, name: str) -> dict[str, str]:
    """The members of an enumeration and the text below each."""
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    meaning: dict[str, str] = {}
    for statement, after in zip(found.body, [*found.body[1:], None], strict=True):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            says = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            meaning[statement.targets[0].id] = str(after.value.value) if says else ""  # type: ignore[union-attr]
    return meaning


def methods(tree: ast.Module, name: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The public methods of a class, as they are written."""
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in found.body if isinstance(node, kinds) and not node.name.startswith("_")]


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text("utf-8"))
