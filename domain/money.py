"""Cash as whole micro-units, so that sums do not depend on their order."""

MICROS = 1_000_000


def to_micros(amount: float) -> int:
    """``amount`` in currency units, rounded to the nearest millionth (ties to even)."""
    return round(amount * MICROS)


def from_micros(micros: int) -> float:
    """Whole micro-units in currency units."""
    return micros / MICROS
