"""Artifacts as Markdown."""

from collections.abc import Iterable, Sequence

from gates.artifact import AnyArtifact, Check


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = [_row(headings), _row(["---"] * len(headings))]
    return [*lines, *(_row(row) for row in rows)]


def checks_table(checks: Sequence[Check]) -> list[str]:
    """What was required and what was found."""
    rows = [(each.name, "passed" if each.passed else "**FAILED**", each.required, each.found) for each in checks]
    return table(("check", "result", "required", "found"), rows)


def circumstances(artifact: AnyArtifact) -> list[str]:
    """Under which circumstances an artifact came about."""
    why = "; ".join(artifact.evidence_why)
    code = artifact.code
    commit = f"{code.commit or 'no commit'}{' with uncommitted changes' if code.dirty else ''}"
    return table(
        ("circumstance", "value"),
        [
            ("created", artifact.created_at.isoformat()),
            ("evidence", artifact.evidence.value + (f" ({why})" if why else "")),
            ("account", artifact.account),
            ("code", f"{code.version}, {commit}, sources {code.digest}"),
            ("configuration", artifact.configuration),
            ("limits", artifact.limits),
        ],
    )


def document(title: str, *parts: Sequence[str]) -> str:
    """A page of Markdown."""
    return "\n\n".join([f"# {title}", *("\n".join(part) for part in parts)]) + "\n"


def _row(cells: Sequence[object]) -> str:
    texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(texts)} |"
