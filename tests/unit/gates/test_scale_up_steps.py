"""How much capital a decision lets be used, and for how long, however short it holds."""

from datetime import UTC, datetime, timedelta

import pytest

from gates.go_live import growth

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "steps"),
    [
        (1, [(0.1, 1)]),
        (14, [(0.1, 14)]),
        (15, [(0.1, 14), (0.3, 15)]),
        (28, [(0.1, 14), (0.3, 28)]),
        (29, [(0.1, 14), (0.3, 28), (1.0, 29)]),
        (365, [(0.1, 14), (0.3, 28), (1.0, 365)]),
    ],
)
def test_a_decision_begins_with_the_smallest_step_and_reaches_the_next_only_after_its_days(days, steps):
    made = growth(NOW, NOW + timedelta(days=days))
    assert [(fraction, (ends - NOW).days) for fraction, ends in made] == steps
