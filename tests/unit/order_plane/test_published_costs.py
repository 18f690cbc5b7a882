"""What executions teach, held against figures that others published."""

import pytest

from order_plane.execution_costs import CostOfSymbol, ImpactFit

WOMEN = [115.0, 117, 120, 123, 126, 129, 132, 135, 139, 142, 146, 150, 154, 159, 164]
"""R's `women`: weights at heights of 58 to 72 inches."""


def test_the_line_through_rs_women():
    """`summary(lm(weight ~ height))` prints -87.51667, and 3.45000 with an error of 0.09114."""
    fit = ImpactFit(forgetting=1.0)
    for height, weight in enumerate(WOMEN, start=58):
        fit.learn(float(height), weight)
    assert fit.fixed == pytest.approx(-87.51667, rel=1e-4)
    assert fit.impact == pytest.approx(3.45, rel=1e-4)
    assert fit.impact_error == pytest.approx(0.09114, rel=1e-3)


def test_the_mean_of_two_classes():
    """internetdict.com, weighted averages: 20 students with 80 points and 30 with 90 have 86."""
    cost = CostOfSymbol(ImpactFit(forgetting=1.0))
    cost.learn(20.0, 0.0, 80.0)
    cost.learn(30.0, 0.0, 90.0)
    assert cost.slippage == pytest.approx(86.0)
