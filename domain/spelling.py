"""What somebody may have meant by a name that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED = 20


def meant(name: str, known: Iterable[str]) -> str:
    """The nearest of the ``known`` names as a question; the first of them all when none is near."""
    listed = sorted(known)
    near = get_close_matches(name, listed, n=1)
    return (
        f"did you mean {near[0]}?"
        if near
        else f"choose from {', '.join(listed[:_LISTED])}"
        if listed
        else "there is none"
    )
