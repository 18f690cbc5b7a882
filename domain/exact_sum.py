"""A sum of floats that is rounded once, however many were added."""

from math import fsum


class ExactSum:
    """Adds floats without an error, in a time that does not grow with their number; what was added can be taken out.

    Non-overlapping partial sums as of Shewchuk, "Adaptive Precision Floating-Point Arithmetic", Discrete &
    Computational Geometry 18, 1997, section 2; so the value is that of `math.fsum` over everything added.
    """

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[float] = []

    def add(self, term: float) -> None:
        """Add ``term``; its negative takes it out again."""
        parts, kept = self._parts, 0
        for part in parts:
            large, small = (term, part) if abs(term) >= abs(part) else (part, term)
            term = large + small
            lost = small - (term - large)
            if lost:
                parts[kept] = lost
                kept += 1
        parts[kept:] = [term]

    @property
    def value(self) -> float:
        """The sum, rounded to the nearest float."""
        return fsum(self._parts)
