"""Trust comes from matured labels, in stated units."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from strategy_plane.ensemble.information import Outcome, information_coefficient, long_short, ranks, summary
from strategy_plane.ensemble.record import TrackRecord
from strategy_plane.ensemble.weighting import (
    ScoreCorrelation,
    ScoreScale,
    Trust,
    combined,
    grinold,
    persistence,
    shrunk_ic,
    signal_weights,
)

NAN = math.nan


def outcomes(*ics: float) -> list[Outcome]:
    return [Outcome(ic, 0.0, 0.0, 1.0) for ic in ics]


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_ranks_are_those_of_scipy(values: list[int]):
    assert ranks(np.array(values, float)).tolist() == stats.rankdata(values).tolist()


def test_information_coefficient_is_spearmans_over_what_both_have():
    rng = np.random.default_rng(1)
    scores, returns = (dict(zip("ABCDEFGH", rng.integers(0, 5, 8).tolist(), strict=True)) for _ in range(2))
    expected = stats.spearmanr(list(scores.values()), list(returns.values())).statistic
    assert information_coefficient(scores | {"X": 9.0}, returns | {"Y": 9.0}) == pytest.approx(expected)


def test_too_few_or_equal_scores_have_no_information_coefficient():
    assert math.isnan(information_coefficient({"A": 1.0, "B": 2.0}, {"A": 1.0, "B": 2.0}))
    assert math.isnan(information_coefficient(dict.fromkeys("ABC", 1.0), {"A": 1.0, "B": 2.0, "C": 3.0}))


def test_a_long_short_portfolio_is_neutral_and_of_gross_one():
    held = long_short({"A": 2.0, "B": 1.0, "C": -1.5})
    assert sum(held.values()) == pytest.approx(0.0)
    assert sum(map(abs, held.values())) == pytest.approx(1.0)
    assert held["A"] > held["B"] > held["C"]
    assert long_short({"A": 1.0, "B": 1.0}) == {} == long_short({})


def test_a_label_counts_when_it_has_ended_and_not_before():
    record = TrackRecord(["s"], horizon=3)
    prices = {"A": 1.0, "B": 1.0, "C": 1.0}
    record.advance(prices)
    record.score({"s": {"A": 1.0, "B": 0.0, "C": -1.0}}, {"s": 0.5}, prices)
    for moment in (1, 2):
        record.advance({"A": 2.0 + moment, "B": 1.0, "C": 0.5})
        assert record.outcomes["s"] == []
    record.advance({"A": 1.1, "B": 1.0, "C": 0.9})
    (outcome,) = record.outcomes["s"]
    assert outcome.ic == pytest.approx(1.0)
    assert outcome.earned == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert outcome.weight == 0.5


def test_turnover_is_what_changes_between_two_scorings():
    record = TrackRecord(["s"], horizon=1)
    prices = dict.fromkeys("AB", 1.0)
    for scores in ({"A": 1.0, "B": -1.0}, {"A": -1.0, "B": 1.0}, {"A": -1.0, "B": 1.0}):
        record.score({"s": scores}, {}, prices)
        record.advance(prices)
    assert [outcome.turnover for outcome in record.outcomes["s"]] == pytest.approx([NAN, 2.0, 0.0], nan_ok=True)


def test_a_summary_says_what_a_signal_has_shown():
    told = [Outcome(ic, earned, 0.5, 2.0) for ic, earned in ((0.1, 0.01), (NAN, 0.0), (0.3, 0.02))]
    found = summary(told, spacing=5, horizon=20, periods_per_year=240.0)
    assert found.observations == 2
    assert found.mean == pytest.approx(0.2)
    assert found.ratio == pytest.approx(0.2 / np.std([0.1, 0.3], ddof=1))
    assert found.statistic == pytest.approx(found.ratio * math.sqrt(2 / 4))  # four labels overlap
    assert found.earned == pytest.approx(0.01 * 12)
    assert found.contribution == pytest.approx(0.02 * 12)
    assert found.turnover == 0.5
    assert summary([], 5, 20, 240.0).observations == 0


def test_a_signal_that_is_mostly_silent_contributes_what_it_earned_when_it_spoke():
    told = [Outcome(0.1, 0.012, 0.5, 0.5)] + [Outcome(NAN, NAN, NAN, 0.5)] * 11
    found = summary(told, spacing=20, horizon=20, periods_per_year=240.0)  # twelve labels make the year
    assert found.contribution == pytest.approx(0.012 * 0.5)
    assert (found.observations, found.mean, found.earned) == pytest.approx((1, 0.1, 0.012 * 12))
    assert math.isnan(summary([], 5, 20, 240.0).contribution)


def test_an_ic_is_shrunk_towards_the_prior_and_floored():
    trust = Trust(half_life=1e9, prior_ic=0.02, prior_weight=10.0, floor=-1.0)
    told = outcomes(*[0.12] * 40)
    assert shrunk_ic(told, trust, overlap=4.0) == pytest.approx((0.12 * 10 + 0.02 * 10) / 20)
    assert shrunk_ic([], trust, 4.0) == shrunk_ic(outcomes(NAN), trust, 4.0) == 0.02
    assert shrunk_ic(outcomes(*[-0.5] * 40), Trust(floor=0.0), 1.0) == 0.0


def test_newer_outcomes_count_more():
    trust = Trust(half_life=5.0, prior_weight=0.0)
    rising = outcomes(*np.linspace(0.0, 0.2, 30))
    weights = 0.5 ** (np.arange(29, -1, -1) / 5.0)
    assert shrunk_ic(rising, trust, 1.0) == pytest.approx(np.average(np.linspace(0.0, 0.2, 30), weights=weights))


NAMES = ("a", "b", "c")


def sample() -> tuple[np.ndarray, np.ndarray]:
    """Correlated scores of many symbols, spoken at different volumes, and returns that follow them."""
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(4000, 3)) @ np.linalg.cholesky(np.array([[1, 0.7, 0.2], [0.7, 1, 0.1], [0.2, 0.1, 1]])).T
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    return scores * [1.0, 0.5, 0.2], scores @ np.array([0.1, 0.05, 0.02]) + rng.normal(size=4000)


def by_signal(scores: np.ndarray) -> dict[str, dict[str, float]]:
    """Columns of shape (symbols, 3) as the scores of one moment."""
    symbols = [str(number) for number in range(len(scores))]
    return {name: dict(zip(symbols, scores[:, k].tolist(), strict=True)) for k, name in enumerate(NAMES)}


def heard(scores: np.ndarray) -> tuple[dict[str, dict[str, float]], np.ndarray]:
    """The scores as they are weighted, and their correlation as it is trusted after very many moments."""
    scale = ScoreScale(NAMES, half_life=52.0, limit=math.inf)
    correlation = ScoreCorrelation(NAMES, Trust(prior_weight=0.0), shrinkage=0.0)
    scale.add(by_signal(scores))
    standard = scale.standard(by_signal(scores))
    correlation.add(standard)
    return standard, correlation.matrix()


def test_the_forecast_is_that_of_a_regression_however_loud_each_signal_speaks():
    sm = pytest.importorskip("statsmodels.api")
    scores, returns = sample()
    standard, correlation = heard(scores)
    ics = np.array([np.corrcoef(scores[:, place], returns)[0, 1] for place in range(3)])
    weights = dict(zip(NAMES, signal_weights(ics, correlation, Trust(floor=-1.0)).tolist(), strict=True))
    found = np.array(list(combined(standard, weights).values())) * returns.std()
    expected = sm.OLS(returns, scores).fit().fittedvalues
    assert found == pytest.approx(expected[np.argsort([str(number) for number in range(len(scores))])], rel=1e-6)


def test_orthogonal_scores_are_uncorrelated_and_closest_to_the_given_ones():
    scores, _ = sample()
    _, correlation = heard(scores)
    assert correlation == pytest.approx(np.corrcoef(scores, rowvar=False))
    weights = [signal_weights(each, correlation, Trust(floor=-10.0)) for each in np.eye(3)]
    assert np.array(weights) == pytest.approx(np.linalg.inv(correlation))
    assert signal_weights(np.ones(3), correlation, Trust(orthogonalise=False)).tolist() == [1.0, 1.0, 1.0]


def test_scores_are_measured_by_how_large_they_were_so_far():
    scale = ScoreScale(["s", "t"], half_life=1.0)
    rows = [{"A": 0.6, "B": -0.8}, {}, {"A": 0.0, "B": 0.0}, {"A": 0.1, "C": -0.1, "B": 0.1}]
    sizes = [0.5, 0.5, 0.5, (0.5 * 0.5 + 0.01) / 1.5]  # mean squares; silence and zeros leave them
    for row, size in zip(rows, sizes, strict=True):
        scale.add({"s": row})
        standard = scale.standard({"s": {"A": 0.3, "B": -9.0}, "t": {"A": 0.3}})
        assert standard["s"] == pytest.approx({"A": 0.3 / math.sqrt(size), "B": -3.0})
        assert standard["t"] == {"A": 0.3}  # never heard of


def test_what_fades_is_smaller_than_what_is_fresh_of_the_same_signal():
    scale, fresh = ScoreScale(["s"], half_life=52.0), {"A": 1.0, "B": -1.0}
    for moment in range(40):
        scale.add({"s": {symbol: score * 0.5 ** (moment % 10 / 5) for symbol, score in fresh.items()}})
    standard = scale.standard({"s": fresh | {"C": 0.25}})["s"]
    assert standard["A"] / standard["C"] == pytest.approx(4.0)
    assert standard["A"] > 1.3


@pytest.mark.parametrize("glitch", [1e6, 1e150, 1e308])
def test_one_score_that_went_astray_silences_no_signal(glitch: float):
    scale, usual = ScoreScale(["s"], half_life=52.0), {"A": 1.0, "B": -1.0}
    for moment in range(60):
        scale.add({"s": {"A": glitch, "B": -1.0, "C": glitch, "D": glitch} if moment == 30 else usual})
    assert scale.standard({"s": usual})["s"]["A"] > 0.5


@pytest.mark.parametrize("glitch", [1e6, 1e14, 1e100])
def test_one_score_that_went_astray_at_the_very_first_silences_no_signal(glitch: float):
    scale, usual = ScoreScale(["s"], half_life=52.0), {"A": 1.0, "B": -1.0, "C": 0.0, "D": 0.5}
    for moment in range(60):
        scale.add({"s": usual | {"C": glitch} if moment == 0 else usual})
    assert scale.standard({"s": usual})["s"]["A"] > 0.5


@pytest.mark.parametrize("first", [{"C": 1e6}, {"A": 0.0, "B": 0.0, "C": 1e6}, {"A": 1e100, "B": 1e6, "C": 1e6}])
def test_nothing_but_scores_that_went_astray_at_the_very_first_silence_no_signal(first: dict[str, float]):
    scale, usual = ScoreScale(["s"], half_life=52.0), {"A": 1.0, "B": -1.0, "C": 0.0, "D": 0.5}
    for moment in range(60):
        scale.add({"s": usual if moment else first})
    assert scale.standard({"s": usual})["s"]["A"] > 0.5


def test_scores_that_have_become_larger_for_good_are_soon_measured_by_that():
    scale = ScoreScale(["s"], half_life=52.0)
    for moment in range(60):
        scale.add({"s": {"A": 1.0, "B": -1.0} if moment < 30 else {"A": 1e6, "B": -1e6}})
    assert scale.standard({"s": {"A": 1e6}})["s"]["A"] < 2.5


def test_no_signal_is_trusted_less_than_the_floor():
    alike = np.array([[1.0, 0.6], [0.6, 1.0]])
    for floor in (0.0, 0.01):
        found = signal_weights(np.array([0.05, max(0.0, floor)]), alike, Trust(floor=floor))
        assert found[1] == floor
        assert found[0] > 0.05
    assert signal_weights(np.array([0.05, 0.0]), alike, Trust(floor=-1.0))[1] < 0.0


def test_twins_share_what_they_are_worth():
    twins = ScoreCorrelation(["a", "b"], Trust(half_life=10.0, prior_weight=0.0), shrinkage=1e-9)
    for scores in np.random.default_rng(1).normal(size=(50, 6)):
        row = dict(zip("ABCDEF", scores.tolist(), strict=True))
        twins.add({"a": row, "b": row})
    weights = signal_weights(np.array([0.05, 0.05]), twins.matrix(), Trust(floor=0.0))
    assert weights.sum() == pytest.approx(0.05, rel=1e-3)


def test_correlation_of_scores_is_decayed_shrunk_and_identity_for_the_silent():
    found = ScoreCorrelation(["a", "b", "c"], Trust(half_life=1.0, prior_weight=0.0), shrinkage=0.2)
    assert found.matrix().tolist() == np.eye(3).tolist()
    found.add({"a": {"X": 1.0, "Y": -1.0}, "b": {"X": 1.0, "Y": 1.0}})
    found.add({"a": {"X": 1.0, "Y": -1.0}, "b": {"X": 1.0, "Y": -1.0}})
    products = np.array([[2.0, 0.0], [0.0, 2.0]]) * 0.5 + np.full((2, 2), 2.0)
    assert found.matrix()[0, 1] == pytest.approx(0.8 * products[0, 1] / products[0, 0])
    assert found.matrix()[2].tolist() == [0.0, 0.0, 1.0]


def test_correlation_is_trusted_by_the_moments_it_rests_on():
    """Two signals that say the same, one of which begins late; ``n / (n + k)`` is what ICs are shrunk by, too."""
    trust = Trust(half_life=1e9, prior_weight=12.0)
    found, row = ScoreCorrelation(["a", "b"], trust, overlap=4.0), {"X": 1.0, "Y": -1.0, "Z": 0.5}
    for spoken in range(1, 25):
        found.add({"a": row, "b": row})
        assert found.matrix()[0, 1] == pytest.approx(spoken / 4.0 / (spoken / 4.0 + 12.0))
    late = ScoreCorrelation(["a", "b"], trust)
    for _ in range(24):
        late.add({"a": row})
    late.add({"a": row, "b": row})
    together = 1.0 / math.sqrt(25.0)
    assert late.matrix()[0, 1] == pytest.approx(together * math.sqrt(25 / 37 * 1 / 13))


def test_correlation_can_be_inverted_whatever_was_said():
    rng = np.random.default_rng(8)
    found = ScoreCorrelation("abcd", Trust(half_life=5.0, prior_weight=1.0))
    for moment in range(60):
        row = dict(zip("XYZ", rng.normal(size=3).tolist(), strict=True))
        found.add({name: row for place, name in enumerate("abcd") if moment >= 15 * place})
        assert np.linalg.eigvalsh(found.matrix()).min() > 0.2 - 1e-9


def test_with_nothing_known_all_signals_weigh_like_the_prior():
    found = ScoreCorrelation(["a", "b", "c"], Trust(), overlap=4.2)
    found.add({"a": {"X": 1.0, "Y": -1.0}, "b": {"X": 1.0, "Y": -1.0}, "c": {"X": 0.5, "Y": 1.0}})
    weights = signal_weights(np.full(3, 0.02), found.matrix(), Trust())
    assert weights == pytest.approx([0.02] * 3, rel=0.03)


def test_a_forecast_adds_what_each_signal_says():
    scores = {"a": {"X": 1.0, "Y": 2.0}, "b": {"X": -1.0}}
    assert combined(scores, {"a": 0.1, "b": 0.05}) == pytest.approx({"X": 0.05, "Y": 0.2})


def test_expected_returns_are_annual():
    # IC .05 of monthly returns, score 2, 24 % a year: a month has 24 / sqrt(12) % and .1 of it is expected
    month = 0.05 * 2.0 * 0.24 / math.sqrt(12)
    assert grinold(np.array([0.1]), np.array([0.24]), 21, 252.0) == pytest.approx([month * 12])


def test_expected_returns_are_those_of_simulated_ones():
    rng = np.random.default_rng(6)
    score = rng.normal(size=400_000)
    monthly = 0.3 / math.sqrt(12) * (0.1 * score + math.sqrt(1 - 0.01) * rng.normal(size=400_000))
    high = score > 1.0
    expected = grinold(0.1 * score[high], np.full(high.sum(), 0.3), 21, 252.0).mean()
    assert monthly[high].mean() * 12 == pytest.approx(expected, rel=0.03)


def test_a_label_needs_a_length():
    with pytest.raises(ValueError, match="horizon"):
        TrackRecord(["s"], 0)


@pytest.mark.parametrize("half_life", [0.5, 5.0, 60.0, 1e6])
def test_what_fades_pays_at_first(half_life: float):
    paid = [integrate.quad(lambda t: 0.5 ** (t / half_life), 0.0, moments)[0] / moments for moments in (5, 21)]
    assert persistence(half_life, 21, 5) == pytest.approx(paid[0] / paid[1])
    assert persistence(half_life, 21, 21) == 1.0


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.nan, math.inf])
def test_a_half_life_that_no_score_has_is_refused(half_life: float):
    with pytest.raises(ValueError, match="half_life of a signal must be positive and finite"):
        persistence(half_life, 21, 5)


def test_expected_returns_have_the_published_scale():
    """Grinold and Kahn (2000), chapter 14: an IC of 0.05 and a risk of 30 % make alphas of 1.5 % at a score of one."""
    scores = np.array([1.0, -2.0])
    assert grinold(0.05 * scores, np.full(2, 0.30), 252, 252.0) == pytest.approx([0.015, -0.030])
