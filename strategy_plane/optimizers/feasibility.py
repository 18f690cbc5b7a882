"""What is wrong with a question before it is asked, and which limits no weights can keep together."""

import math

import numpy as np

from strategy_plane.optimizers.port import FactorRisk, Limits, TradingCosts, Vector


def fault_of_input(expected: Vector, risk: FactorRisk, current: Vector, costs: TradingCosts | None = None) -> str:
    """Why these numbers cannot be optimised; empty when they can."""
    named = [
        ("expected returns", expected),
        ("factor loadings", risk.loadings),
        ("specific variances", risk.specific),
        ("current weights", current),
    ]
    if costs is not None:
        named += [("linear costs", costs.linear), ("quadratic costs", costs.quadratic)]
    if not math.isfinite(
        sum(float(values.sum()) for _, values in named)
    ):  # one look at all is quicker than one at each
        return next((f"{name} are not finite" for name, values in named if not np.isfinite(values).all()), "too large")
    if any(len(values) != len(expected) for _, values in named):
        return "expected returns, risk, current weights and costs differ in length"
    if len(expected) == 0:
        return "there is nothing to allocate to"
    if (risk.specific <= 0.0).any():
        return "specific variances must be positive"
    if costs is not None and min(costs.linear.min(), costs.quadratic.min(), costs.per_year) < 0.0:
        return "costs are negative"
    return ""


def conflict(current: Vector, limits: Limits, slack: float) -> str:
    """Name the limits that no weights can satisfy together, as far as arithmetic alone can tell."""
    negative = _negative(limits)
    if negative:
        return negative
    if limits.room < 0.0:
        return "gross: what is held outside the problem already exceeds it"
    reach = min(limits.room, limits.box * len(current))
    lowest = limits.outside_net - (0.0 if limits.long_only else reach)
    if limits.lowest_net > limits.net:
        return "net: net_floor is above net"
    if lowest > limits.net or limits.outside_net + reach < limits.lowest_net - slack:
        return "net: what is held outside the problem cannot be offset within gross, box and long_only"
    return _group_conflict(limits, len(current)) or _turnover_conflict(current, limits, slack)


def _negative(limits: Limits) -> str:
    bounds = (limits.gross, limits.net, limits.box, limits.turnover)
    if not all(bound >= 0.0 for bound in bounds):
        return "a limit is negative"
    if limits.volatility is not None and not limits.volatility > 0.0:
        return "volatility: it must be positive"
    return ""


def _group_conflict(limits: Limits, assets: int) -> str:
    for group in limits.groups:
        members = group.members
        if not members or members[0] < 0 or members[-1] >= assets or list(members) != sorted(set(members)):
            return f"group {group.name}: members must be places of assets, ascending, each once"
        if not (group.low <= group.high and group.gross >= 0.0):
            return f"group {group.name}: low is above high, or gross is negative"
        reach = min(limits.room, limits.box * len(members), group.gross)
        if group.low > reach or group.high < (0.0 if limits.long_only else -reach):
            return f"group {group.name}: its bounds cannot be reached within gross, box and long_only"
    return ""


def _turnover_conflict(current: Vector, limits: Limits, slack: float) -> str:
    net, held = float(current.sum()) + limits.outside_net, float(np.abs(current).sum())
    if limits.turnover >= held and limits.lowest_net <= net <= limits.net:
        return ""  # all can be sold
    clipped = np.clip(current, 0.0 if limits.long_only else -limits.box, limits.box)
    needed = {
        "box": float(np.abs(current - clipped).sum()),
        "gross": held - limits.room,
        "net": max(net - limits.net, limits.lowest_net - net),
    }
    tight = [name for name, change in needed.items() if change > limits.turnover + slack]
    return f"turnover: too small to bring the current weights within {', '.join(tight)}" if tight else ""


def relaxations(limits: Limits, assets: int) -> dict[str, dict[str, object]]:
    """By name, the changes of `Limits` that each take one limit away, as far as weights here can go."""
    ample = 10.0 * (limits.gross + limits.turnover + 1.0)
    found: dict[str, dict[str, object]] = {
        "turnover": {"turnover": ample},
        "net": {"net": ample, "net_floor": -ample},
        "gross": {"gross": limits.outside_gross + limits.box * assets + ample},
        "box": {"box": ample},
    }
    if limits.volatility is not None:
        found["volatility"] = {"volatility": math.sqrt(assets) * ample}
    for place, group in enumerate(limits.groups):
        free = type(group)(group.name, group.members)
        found[f"group {group.name}"] = {"groups": (*limits.groups[:place], free, *limits.groups[place + 1 :])}
    return found
