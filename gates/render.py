"""Artifacts as Markdown."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.go_live import Evidence
from gates.artifact import Check, Subject


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = [_row(headings), _row(["---"] * len(headings))]
    return [*lines, *(_row(row) for row in rows)]


def checks_table(checks: Sequence[Check]) -> list[str]:
    """What was required and what was found."""
    rows = [(each.name, "passed" if each.passed else "**FAILED**", each.required, each.found) for each in checks]
    return table(("check", "result", "required", "found"), rows)


def circumstances(subject: Subject, source: tuple[Evidence, Sequence[str]], created_at: datetime) -> str:
    """Under which circumstances an artifact came about, as the end of its page."""
    why = "; ".join(source[1])
    rows = [
        ("created", created_at.isoformat()),
        ("evidence", source[0].value + (f" ({why})" if why else "")),
        *subject_rows(subject),
    ]
    return "\n".join(["", "## Circumstances", "", *table(("circumstance", "value"), rows), ""])


def subject_rows(subject: Subject) -> list[tuple[str, str]]:
    """What an artifact is about, by name."""
    code = subject.code
    commit = f"{code.commit or 'no commit'}{' with uncommitted changes' if code.dirty else ''}"
    return [
        ("account", subject.account),
        ("code", f"{code.version}, {commit}, sources {code.digest}"),
        ("configuration", subject.configuration),
        ("limits", subject.limits),
    ]


def document(title: str, *parts: Sequence[str]) -> str:
    """A page of Markdown."""
    return "\n\n".join([f"# {title}", *("\n".join(part) for part in parts)]) + "\n"


def _row(cells: Sequence[object]) -> str:
    texts = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(texts)} |"
