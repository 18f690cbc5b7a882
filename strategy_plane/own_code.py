"""Find a class or function that a configuration names in a file of the user's own."""

import sys
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from numbers import Integral
from pathlib import Path
from typing import Any

from strategy_plane.strategies.own_rule import OwnRule
from strategy_plane.strategies.port import Frequency, Strategy


class OwnCodeRefused(ValueError):
    """A configuration names a class or function that is not there, or not of the kind it must be."""


def own_strategy(reference: str, parameters: dict[str, Any], bars: int, period: int) -> Strategy:
    """The strategy that ``module:name`` gives.

    A class with ``decide`` is one (`Strategy`). A function of a view, and an object of a class that can be called with
    one, are asked for weights every ``period`` moments, and look back on ``bars``.

    Raises:
        OwnCodeRefused: when there is no such thing, it is not of that kind, or takes no such parameters.
    """
    section = "strategy.strategy"
    found = named(reference, section)
    if not isinstance(found, type):
        try:
            signature(found).bind(None, **parameters)
        except TypeError as error:
            raise OwnCodeRefused(
                f"{section}: {reference!r} does not take a view and these parameters: {error}"
            ) from None
        return OwnRule(partial(found, **parameters), bars, period)
    made = from_own_file(reference, parameters, section)
    if hasattr(made, "decide"):
        missing = [part for part in ("warm_up", "period", "on_bar") if not hasattr(made, part)]
        if missing:
            raise OwnCodeRefused(
                f"{section}: {reference!r} has no {', '.join(missing)}; see strategy_plane/strategies/port.py"
            )
        strategy: Strategy = made
        wrong = _miscounted(strategy)
        if wrong:
            raise OwnCodeRefused(f"{section}: {reference!r}: {wrong}; give it as a value or by a @property")
        return strategy
    if not callable(made):
        raise OwnCodeRefused(f"{section}: {reference!r} has neither decide nor __call__; give it one of them")
    return OwnRule(made, bars, period)


def from_own_file(reference: str, parameters: dict[str, Any], section: str) -> Any:  # noqa: ANN401 - the user's own
    """What ``module:name`` gives: an object of the class with ``parameters``, or what the function returns for them.

    Raises:
        OwnCodeRefused: naming ``section`` and the fix, when there is no such thing, or the parameters do not fit.
    """
    found = named(reference, section)
    try:
        return found(**parameters)
    except TypeError as error:
        raise OwnCodeRefused(f"{section}: {reference!r} does not take these parameters: {error}") from None


def named(reference: str, section: str) -> Any:  # noqa: ANN401 - the user's own
    """The class or function ``module:name``; the working directory is looked into first, as ``python -m`` does.

    A module is imported once in a process. What goes wrong inside it is raised as it is: the user knows the file.

    Raises:
        OwnCodeRefused: naming ``section`` and the fix, when there is no such module or name.
    """
    module, _, name = reference.partition(":")
    _look_here_first()
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it needs is not
        found = None
    if not callable(found):
        raise OwnCodeRefused(
            f"{section}: factory {reference!r} cannot be found; name a module in the working directory, or an "
            "installed one, and a class or function in it"
        )
    return found


def source_digest(reference: str) -> str:
    """SHA-256 of the file of ``module:name`` as it is now; empty when there is none. What it imports is not read."""
    _look_here_first()
    try:
        spec = find_spec(reference.partition(":")[0])
    except ModuleNotFoundError:
        spec = None
    file = Path(spec.origin) if spec and spec.origin else None
    return sha256(file.read_bytes()).hexdigest() if file and file.is_file() else ""


def _miscounted(strategy: Strategy) -> str:
    """What is wrong with what ``strategy`` declares of time; empty when nothing is."""
    if not _is_whole(strategy.warm_up, 0):
        return "warm_up must be a whole number of moments, at least 0"
    if not (isinstance(strategy.period, Frequency) or _is_whole(strategy.period, 1)):
        return "period must be a whole number of moments, at least 1, or a Frequency such as Frequency.MONTHLY"
    return ""


def _is_whole(number: object, least: int) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool) and int(number) >= least


def _look_here_first() -> None:
    directory = str(Path.cwd())
    if directory not in sys.path and "" not in sys.path:
        sys.path.insert(0, directory)
