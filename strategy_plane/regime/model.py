"""Follow the market's regime: fitted on the past only, filtered forward, slow to change its mind."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np

from strategy_plane.history import LookAheadError, Vector
from strategy_plane.regime.features import VOLATILITY
from strategy_plane.regime.hidden_markov import HiddenMarkov, fit


class Regime(StrEnum):
    """States of the market by rising volatility."""

    CALM = "CALM"
    NORMAL = "NORMAL"
    STORM = "STORM"


REGIMES = tuple(Regime)


@dataclass(frozen=True, slots=True)
class RegimeRules:
    """How a `RegimeModel` learns and when it switches.

    The first fit is made of ``first_fit`` observations, another every ``refit_every``, each of the newest
    ``fit_window`` with ``starts`` restarts. The regime changes when another one has had at least ``certainty`` for
    ``confirmations`` observations in a row.
    """

    first_fit: int = 252
    refit_every: int = 126
    fit_window: int = 1000
    starts: int = 10
    certainty: float = 0.6
    confirmations: int = 3


@dataclass(frozen=True, slots=True)
class FittedRegimes:
    """A model with the standardisation of its sample; it knows nothing after ``trained_until``."""

    model: HiddenMarkov
    mean: Vector
    deviation: Vector
    trained_until: datetime

    def step(self, probabilities: Vector, at: datetime, features: Vector) -> Vector:
        """Filtered probabilities at ``at``; raises `LookAheadError` for a moment the fit has seen."""
        if at <= self.trained_until:
            raise LookAheadError("the regime model was fitted on this moment; only later ones can be judged by it")
        return self.model.step(probabilities, (features - self.mean) / self.deviation)

    def standardised(self, mean: Vector, deviation: Vector) -> HiddenMarkov:
        """The model of features that are standardised by another sample's ``mean`` and ``deviation``, (d,) both."""
        return self.model.in_units(self.deviation / deviation, (self.mean - mean) / deviation)


class RegimeModel:
    """Told the features of each moment in turn, knows P(regime | everything up to it) and the regime in force.

    Between fits only the forward step is taken. At a fit, on what precedes the moment, the filter runs over the
    sample once to find where it stands. Nothing is ever smoothed, so what was said of a moment never changes.
    ``generator`` gives a new generator with the same seed for each fit. One of a fit's restarts begins with the states
    of the fit before it, so that those are kept unless others are more likely: fits are a chain, which all features
    in order make again. Regimes are the states by rising volatility, which also matches those of the fit before best.
    Before the first fit the regime is NORMAL. ``missed`` counts the newest moments without features.
    """

    def __init__(self, rules: RegimeRules, generator: Callable[[], np.random.Generator]) -> None:
        self._rules = rules
        self._generator = generator
        self._past: deque[Vector] = deque(maxlen=rules.fit_window)
        self._newest: datetime | None = None
        self._since_fit = 0
        self._fitted: FittedRegimes | None = None
        self._hint: Regime | None = None
        self._hints = 0
        self.missed = 0
        self.regime = Regime.NORMAL
        self.probabilities: Vector | None = None

    def update(self, at: datetime, features: Vector) -> Regime:
        """Take the features of ``at`` and return the regime in force then.

        Raises:
            LookAheadError: when ``at`` is not later than the moment before.
        """
        if self._newest is not None and at <= self._newest:
            raise LookAheadError("regime features must come in time order")
        if self._is_time_to_fit():
            self._fit()
        if self._fitted is not None and self.probabilities is not None:
            self.probabilities = self._fitted.step(self.probabilities, at, features)
            self._settle(self.probabilities)
        self._past.append(features)
        self._newest = at
        self.missed = 0
        self._since_fit += 1
        return self.regime

    def miss(self) -> None:
        """Take a moment whose features are not known; before the first that are, there is nothing to miss."""
        if self._newest is not None:
            self.missed += 1

    @property
    def is_lost(self) -> bool:
        """Whether features have been missing for as many moments in a row as a change of the regime takes."""
        return self.missed >= self._rules.confirmations

    @property
    def is_just_lost(self) -> bool:
        """Whether the newest moment is the first at which `is_lost`."""
        return self.missed == self._rules.confirmations

    def _is_time_to_fit(self) -> bool:
        wanted = self._rules.first_fit if self._fitted is None else self._rules.refit_every
        return self._since_fit >= wanted and len(self._past) >= self._rules.first_fit

    def _fit(self) -> None:
        sample = np.array(self._past)
        mean, deviation = sample.mean(axis=0), sample.std(axis=0)
        deviation = np.where(deviation > 0.0, deviation, 1.0)
        standard = (sample - mean) / deviation
        before = self._fitted.standardised(mean, deviation) if self._fitted else None
        found, _ = fit(standard, self._generator(), len(REGIMES), self._rules.starts, before=before)
        model = found.ordered(VOLATILITY)
        if self._newest is None:
            raise LookAheadError("there is no moment to fit on")
        self._fitted = FittedRegimes(model, mean, deviation, self._newest)
        self.probabilities = model.filtered(standard)[0][-1]
        self._since_fit = 0

    def _settle(self, probabilities: Vector) -> None:
        leader = int(np.argmax(probabilities))
        candidate = REGIMES[leader]
        if candidate is self.regime or probabilities[leader] < self._rules.certainty:
            self._hint, self._hints = None, 0
            return
        self._hints = self._hints + 1 if candidate is self._hint else 1
        self._hint = candidate
        if self._hints >= self._rules.confirmations:
            self.regime, self._hint, self._hints = candidate, None, 0
