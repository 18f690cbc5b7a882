"""The ensemble decides within its regime, from matured labels, and survives a restart without a difference."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from order_messages import filled

from contracts.base import Message
from contracts.codec import encode
from contracts.control import RebalancePlan, RiskAlert
from contracts.market import BarEvent, FactEvent, OFIEvent, SliceEvent
from contracts.trading import OrderIntent
from kernel.ports import Stage, Unprocessable
from strategy_plane.composition import build_stage, build_strategy
from strategy_plane.ensemble.brain import Brain
from strategy_plane.ensemble.weighting import persistence
from strategy_plane.ensemble_composition import build_brain, build_ensemble, build_signal
from strategy_plane.informed import InformedStage
from strategy_plane.market import Market
from strategy_plane.own_code import OwnCodeRefused
from strategy_plane.regime.model import Regime
from strategy_plane.settings import SignalEnsembleSettings, StrategySettings
from strategy_plane.signal_observer import SignalObserver
from strategy_plane.signal_settings import OwnSignalSettings, six_families

SYMBOLS = ("A", "B", "C", "D", "E")
START = datetime(2024, 1, 1, 21, tzinfo=UTC)
DAYS = 170
SMALL = SignalEnsembleSettings.model_validate(
    {
        "signals": {
            "OFI": {"kind": "order_flow_imbalance", "window": 2},
            "VRP": {"kind": "volatility_premium", "index": None},
            "SIF": {"kind": "sentiment", "news_half_life_days": 0.3},
            "TSX": {"kind": "technical", "lookback": 40, "skip": 3, "trend_bars": 20, "rsi_length": 3, "long_bars": 30},
        },
        "regime": {
            "first_fit": 60,
            "refit_every": 30,
            "fit_window": 60,
            "starts": 2,
            "drawdown_bars": 30,
            "correlation_bars": 20,
            "volatility_bars": 10,
        },
        "horizon": 5,
        "score_every": 2,
        "rebalance_every": 5,
        "risk_window": 30,
        "limits": {"gross": 2.5, "net": 1.0, "box": 0.8, "turnover": 2.0, "long_only": False},
    }
)


def days(seed: int = 1) -> list[list[Message]]:
    """What is published, day by day: facts and flow, bars, and the slice."""
    rng = np.random.default_rng(seed)
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (DAYS, len(SYMBOLS))), axis=0))
    told: list[list[Message]] = []
    for number, row in enumerate(prices.tolist()):
        close = START + timedelta(days=number)
        before, today = close - timedelta(hours=2), list[Message]()
        for symbol in SYMBOLS:
            bid, ask = (rng.integers(1, 9, 2) * 100.0).tolist()
            today.append(
                OFIEvent(
                    symbol=symbol,
                    timestamp=before,
                    ofi_value=float(rng.integers(-50, 50)),
                    volume_imbalance=(bid - ask) / (bid + ask),
                    bid_volume=bid,
                    ask_volume=ask,
                )
            )
            values = {"implied_volatility": {"implied_volatility": 30.0 + float(rng.normal())}}
            values["news_sentiment"] = {"score": float(rng.uniform(-1, 1))}
            today += [
                FactEvent(table=table, symbol=symbol, timestamp=before, event_time=before, values=found)
                for table, found in values.items()
            ]
        today += [
            BarEvent(
                symbol=symbol,
                timestamp=close,
                open=price,
                high=price * 1.01,
                low=price * 0.99,
                close=price,
                volume=1.0,
                bar_size="1d",
            )
            for symbol, price in zip(SYMBOLS, row, strict=True)
        ]
        told.append([*today, SliceEvent(timestamp=close, bar_size="1d", symbols=SYMBOLS)])
    return told


@pytest.fixture(scope="module")
def market() -> list[list[Message]]:
    return days()


def settings(chosen: SignalEnsembleSettings = SMALL) -> StrategySettings:
    return StrategySettings(strategy=chosen, lot=0.001)


def tell(stage: Stage, messages: Iterable[Message]) -> list[Message]:
    return [said for message in messages for said in stage.handlers[type(message)](message)]


def live(stage: Stage, market: Sequence[Sequence[Message]], log: list[Message]) -> list[Message]:
    """What the stage says; every order fills at its close. ``log`` takes everything told and said."""
    said_all: list[Message] = []
    for day in market:
        said = tell(stage, day)
        closes = {bar.symbol: bar.close for bar in day if isinstance(bar, BarEvent)}
        reports = [filled(intent, closes[intent.symbol]) for intent in said if isinstance(intent, OrderIntent)]
        tell(stage, reports)
        log += [*day, *said, *reports]
        said_all += said
    return said_all


def test_it_trades_and_keeps_a_diary(market):
    ensemble, _, _ = build_ensemble(SMALL)
    stage = build_stage(settings())
    said = live(stage, market, [])
    assert sum(isinstance(message, OrderIntent) for message in said) > 20
    assert not any(isinstance(message, RiskAlert) for message in said)
    assert (ensemble.warm_up, ensemble.period) == (46, 5)


@pytest.mark.parametrize("gated", [False, True])
def test_a_restart_anywhere_changes_nothing(market, gated: bool):
    chosen = settings(laddered() if gated else SMALL)
    whole = list(map(encode, live(build_stage(chosen), market, [])))
    for cut in (30, 47, 93, 120):
        log: list[Message] = []
        before = live(build_stage(chosen), market[:cut], log)
        stage = build_stage(chosen)
        for message in log:
            stage.restore(message)
        after = live(stage, market[cut:], [])
        assert list(map(encode, [*before, *after])) == whole, cut


def test_telling_everything_twice_changes_nothing(market):
    doubled = [[message for message in day for _ in range(2)] for day in market]
    assert list(map(encode, live(build_stage(settings()), doubled, []))) == list(
        map(encode, live(build_stage(settings()), market, []))
    )


def by_partition(market: Sequence[Sequence[Message]], rng: np.random.Generator) -> list[Message]:
    """The market in another order of arrival, in which messages of one key keep theirs: each a partition of its own."""
    waiting: dict[str, deque[Message]] = {}
    for message in (each for day in market for each in day):
        waiting.setdefault(message.partition_key, deque()).append(message)
    arrived = list[Message]()
    while waiting:
        key = sorted(waiting)[rng.integers(len(waiting))]
        for _ in range(min(rng.integers(1, 40), len(waiting[key]))):
            arrived.append(waiting[key].popleft())
        if not waiting[key]:
            del waiting[key]
    return arrived


@pytest.mark.parametrize("seed", range(3))
def test_no_order_of_arrival_of_partitions_changes_a_decision(market, seed: int):
    """A symbol's order flow has the key of its bars, comes before them, and a slice waits for the bars it lists."""
    days = market[:90]
    closes = {(bar.timestamp, bar.symbol): bar.close for day in days for bar in day if isinstance(bar, BarEvent)}
    stage, said = build_stage(settings()), list[Message]()
    for message in by_partition(days, np.random.default_rng(seed)):
        now = tell(stage, [message])
        placed = [each for each in now if isinstance(each, OrderIntent)]
        tell(stage, [filled(each, closes[each.timestamp, each.symbol]) for each in placed])
        said += now
    assert len(said) > 10
    assert list(map(encode, said)) == list(map(encode, live(build_stage(settings()), days, [])))


@pytest.mark.parametrize("cut", [70, 111, 150])
def test_scrambling_the_future_leaves_the_past(market, cut: int):
    other = [*market[:cut], *days(seed=2)[cut:]]
    end = START + timedelta(days=cut)
    kept = [
        [encode(said) for said in live(build_stage(settings()), path, []) if said.timestamp < end]
        for path in (market, other, market[:cut])
    ]
    assert kept[0] == kept[1] == kept[2]


def told(market: Sequence[Sequence[Message]], chosen: SignalEnsembleSettings = SMALL):
    """The brain alone, told a market the way a report would."""
    return follow(*build_brain(chosen), market)


def follow(brain: Brain, knowledge: Market, market: Sequence[Sequence[Message]]) -> Brain:
    for day in market:
        for event in day:
            knowledge.learn(event)
            if isinstance(event, BarEvent):
                brain.price(event.symbol, event.close)
        brain.observe(day[-1].timestamp)
    return brain


def test_the_brain_alone_knows_what_each_signal_has_shown(market):
    summaries = told(market).summaries()
    assert summaries.keys() == SMALL.signals.keys()
    matured = [found.observations for found in summaries.values()]
    assert max(matured) == (DAYS - 5 + 1) // 2  # only labels that have ended
    assert all(abs(found.mean) <= 1.0 for found in summaries.values())


def test_a_signal_that_knows_something_is_trusted_more_than_noise(market):
    brain = told(tomorrow_in_the_news(market))
    trusted = brain.summaries()
    assert trusted["SIF"].mean > 0.3
    assert trusted["SIF"].statistic > 3.0
    assert trusted["SIF"].earned > max(trusted[name].earned for name in ("OFI", "VRP", "TSX"))
    assert max(brain.weights, key=lambda name: brain.weights[name]) == "SIF"
    assert trusted["SIF"].contribution > trusted["OFI"].contribution


def test_what_a_signal_is_said_to_contribute_is_for_the_share_it_has_in_the_forecast(market):
    signals = SMALL.signals.items()
    fading = {name: each.model_copy(update={"half_life": 1.0 + 50.0 * (name == "TSX")}) for name, each in signals}
    chosen = SMALL.model_copy(update={"signals": fading, "horizon": 20, "rebalance_every": 5})
    brain = told(market[:62], chosen)
    first = {name: outcomes[0].weight for name, outcomes in brain._record.outcomes.items()}
    assert sum(first.values()) == pytest.approx(1.0)
    factor = persistence(1.0, 20, 5) / persistence(51.0, 20, 5)
    assert first["SIF"] / first["TSX"] == pytest.approx(factor, rel=0.05)  # nearly alike in trust


@pytest.mark.parametrize("volume", [0.125, 4.0])
def test_how_loud_a_signal_speaks_changes_nothing(market, volume: float):
    plain, other = told(market), brain_that_hears(market, volume)
    assert other.weights == plain.weights
    assert other.scores == plain.scores
    assert other.forecast(market[-1][-1].timestamp) == plain.forecast(market[-1][-1].timestamp)


def brain_that_hears(market: Sequence[Sequence[Message]], volume: float):
    """`told`, with the scores of SIF times ``volume``, a power of two."""
    brain, knowledge = build_brain(SMALL)
    quiet = brain._signals["SIF"]
    brain._signals["SIF"] = lambda view: {symbol: score * volume for symbol, score in quiet(view).items()}
    return follow(brain, knowledge, market)


def tomorrow_in_the_news(market: Sequence[Sequence[Message]]) -> list[list[Message]]:
    """A market whose news, by luck, foretell the next returns."""
    closes = [{bar.symbol: bar.close for bar in day if isinstance(bar, BarEvent)} for day in market]

    def informed(event: Message, number: int) -> Message:
        if not isinstance(event, FactEvent) or event.table != "news_sentiment":
            return event
        later = closes[min(number + 5, DAYS - 1)][event.symbol] / closes[number][event.symbol] - 1.0
        return event.model_copy(update={"values": {"score": float(np.tanh(later * 20.0))}})

    return [[informed(event, number) for event in day] for number, day in enumerate(market)]


def gross_net(stage: Stage, said: Sequence[Message]) -> tuple[float, float]:
    book = stage._stage.book  # type: ignore[attr-defined]
    weights = [book.weight(symbol) for symbol in book.symbols]
    return sum(map(abs, weights)), abs(sum(weights))


@pytest.mark.parametrize(("exposure", "net"), [(0.5, 0.1), (0.0, 0.0)])
def test_no_more_is_held_than_the_regime_allows(market, exposure: float, net: float):
    regime = SMALL.regime.model_copy(update={"exposures": exposures(exposure, net)})
    stage = build_stage(settings(SMALL.model_copy(update={"regime": regime})))
    said = live(stage, market[:46], [])  # the day of the first rebalance
    gross, found = gross_net(stage, said)
    assert gross <= exposure + 1e-3
    assert found <= net + 1e-3
    assert (gross > 0.9 * exposure) or exposure == 0.0


def exposures(gross: float, net: float):
    example = SMALL.regime.exposures[Regime.CALM]
    return dict.fromkeys(Regime, example.model_copy(update={"gross": gross, "net": net}))


@pytest.mark.parametrize("every", [SMALL.rebalance_every, 1], ids=["between decisions", "by a decision"])
def test_a_tighter_regime_is_reached_in_spite_of_the_turnover_limit(market, every: int):
    regime = SMALL.regime.model_copy(
        update={"exposures": exposures(0.2, 0.1) | {Regime.NORMAL: exposures(2.0, 0.8)[Regime.NORMAL]}, "first_fit": 60}
    )
    limits = SMALL.limits.model_copy(update={"turnover": 0.15})
    eager = SMALL.optimizer.model_copy(update={"risk_aversion": 0.05})
    changes = {"regime": regime, "limits": limits, "optimizer": eager, "rebalance_every": every}
    stage, held = build_stage(settings(SMALL.model_copy(update=changes))), 0.0
    brain = stage._stage._strategy.brain  # type: ignore[attr-defined]
    before, tightened = Regime.NORMAL, list[float]()
    for day in market:
        said = live(stage, [day], [])
        assert not any(isinstance(message, RiskAlert) for message in said)
        now = brain.regime
        if now is not Regime.NORMAL and before is Regime.NORMAL:
            tightened.append(held)
        held, net = gross_net(stage, said)
        if now is not Regime.NORMAL:
            assert held <= 0.2 * 1.05 + 1e-3
            assert net <= 0.1 * 1.05 + 1e-3
        before = now
    assert max(tightened) > 0.2 * 1.05 + 0.15  # further than the turnover limit goes


SIZED: list[dict[str, object]] = [
    {"volatility_target": {"annual": 1.0, "largest": 3.0, "window": 20}},
    {"position_risk": {"risk": 0.005, "window": 5}},
    {"no_trade_band": 0.1},
    {"min_trade_value": 50_000},
    {"lot": 100},
    {"lot": 1},
]


@pytest.mark.parametrize("sizing", SIZED, ids=[next(iter(each)) + str(place) for place, each in enumerate(SIZED)])
def test_the_gate_holds_after_sizing_lots_and_band(market, sizing: dict[str, object]):
    chosen = laddered()
    stage = build_stage(StrategySettings.model_validate({"strategy": chosen, "lot": 0.001, **sizing}))
    strategy = stage._stage._strategy  # type: ignore[attr-defined]
    brain, moments = getattr(strategy, "_inner", strategy).brain, 0
    for day in market:
        said = live(stage, [day], [])
        assert not any(isinstance(message, RiskAlert) for message in said)
        (gross, net), allowed = gross_net(stage, said), chosen.regime.exposures[brain.regime]
        moments += gross > 0.0
        assert gross <= allowed.gross * 1.05 + 1e-3
        assert net <= allowed.net * 1.05 + 2e-3
    assert moments > 100


def laddered() -> SignalEnsembleSettings:
    """Regimes that allow very different exposures, and rebalances that are far apart."""
    ladder = {
        regime: exposures(gross, net)[regime]
        for regime, gross, net in zip(Regime, (0.2, 1.6, 0.4), (0.1, 0.6, 0.2), strict=True)
    }
    regime = SMALL.regime.model_copy(update={"exposures": ladder})
    optimizer = SMALL.optimizer.model_copy(update={"risk_aversion": 0.05})
    return SMALL.model_copy(update={"regime": regime, "rebalance_every": 12, "optimizer": optimizer})


@pytest.mark.parametrize("plans", [None, {"every": "monthly", "within_cash": False}], ids=["by decision", "by plan"])
def test_what_is_held_is_within_the_regime_from_the_moment_it_is_in_force(market, plans):
    chosen = laddered()
    ladder = chosen.regime.exposures
    options = {"strategy": chosen, "lot": 0.001, "rebalancing": plans}
    stage = build_stage(StrategySettings.model_validate(options))
    engine = stage._stage  # type: ignore[attr-defined]
    before, held, tightened, decided = Regime.NORMAL, (0.0, 0.0), set[int](), set[int]()
    for number, day in enumerate(market):
        said = live(stage, [day], [])
        now = engine._strategy.brain.regime
        allowed = ladder[now]
        reasons = [reason for each in said if isinstance(each, RebalancePlan) for reason in each.reasons]
        if (number - 45) % 12 == 0 if plans is None else any("monthly" in reason for reason in reasons):
            decided.add(number)
        if allowed.gross < ladder[before].gross and held[0] > allowed.gross:
            tightened.add(number)
        held, before = gross_net(stage, said), now
        if plans and not (engine._record is None or engine._record.has_ended):
            continue  # what it still buys back comes a day after what it sells
        assert held[0] <= allowed.gross * 1.05 + 1e-3, number
        assert held[1] <= allowed.net * 1.05 + 1e-3, number
    assert tightened - decided  # in between two rebalances, too


def patchy(market: Sequence[Sequence[Message]], first: int, last: int) -> list[list[Message]]:
    """The market in which every symbol lacks every other bar on the days from ``first`` to before ``last``."""
    days = [list(day) for day in market]
    for number in range(first, last):
        there = SYMBOLS[number % 2 :: 2]
        kept = [each for each in days[number] if not isinstance(each, BarEvent) or each.symbol in there]
        days[number] = [*kept[:-1], kept[-1].model_copy(update={"symbols": there})]
    return days


@pytest.mark.parametrize("plans", [None, {"every": "monthly", "within_cash": False}], ids=["by decision", "by plan"])
def test_a_regime_that_cannot_be_told_is_alarmed_and_the_tightest_gate_holds(market, plans):
    regime = SMALL.regime.model_copy(
        update={"exposures": exposures(1.6, 0.6) | {Regime.CALM: exposures(0.3, 0.2)[Regime.CALM]}, "first_fit": 500}
    )
    regime = regime.model_copy(update={"fit_window": 500})  # NORMAL for good
    optimizer = SMALL.optimizer.model_copy(update={"risk_aversion": 0.05})
    chosen = SMALL.model_copy(update={"regime": regime, "optimizer": optimizer, "rebalance_every": 12})
    stage = build_stage(StrategySettings.model_validate({"strategy": chosen, "lot": 0.001, "rebalancing": plans}))
    regimes, gross, lost = stage._stage._strategy.brain.regimes, [], []  # type: ignore[attr-defined]
    alarms = list[int]()
    for number, day in enumerate(patchy(market, 100, 112)):
        said = live(stage, [day], [])
        alarms += [number for each in said if isinstance(each, RiskAlert) and each.code == "REGIME_UNKNOWN"]
        gross.append(gross_net(stage, said)[0])
        lost.append(regimes.is_lost)
    first = lost.index(True)
    back = lost.index(False, first)
    assert 100 < first < 112 < back < DAYS - 12
    assert max(gross[first - 5 : first]) > 0.5
    assert max(gross[first + 8 : back]) <= 0.3 * 1.05 + 1e-3
    assert max(gross[back:]) > 0.5
    assert first in alarms
    assert all(first <= number < back for number in alarms)


@pytest.mark.parametrize("cut", [101, 104, 107, 118])
def test_a_restart_while_bars_are_missing_changes_nothing(market, cut: int):
    holed, chosen, log = patchy(market, 100, 112)[:130], settings(laddered()), list[Message]()
    before = live(build_stage(chosen), holed[:cut], log)
    stage = build_stage(chosen)
    for message in log:
        stage.restore(message)
    said = [*before, *live(stage, holed[cut:], [])]
    assert any(isinstance(each, RiskAlert) for each in said)
    assert list(map(encode, said)) == list(map(encode, live(build_stage(chosen), holed, [])))


def test_scores_that_are_no_numbers_are_left_out_and_named(market):
    stage, plain = build_stage(settings()), build_stage(settings())
    brain = stage._stage._strategy.brain  # type: ignore[attr-defined]
    told_by = brain._signals["SIF"]
    brain._signals["SIF"] = lambda view: {**told_by(view), "B": float("nan"), "C": float("-inf")}
    other = plain._stage._strategy.brain  # type: ignore[attr-defined]
    other._signals["SIF"] = lambda view: {s: z for s, z in told_by_other(view).items() if s not in "BC"}
    told_by_other = build_brain(SMALL)[0]._signals["SIF"]
    said, expected = (live(each, market[:70], []) for each in (stage, plain))
    alerts = [each for each in said if isinstance(each, RiskAlert)]
    assert [each for each in said if not isinstance(each, RiskAlert)] == expected
    assert {each.code for each in alerts} == {"SIGNAL_NOT_FINITE"}
    assert len(alerts) == 6 - 1  # one at each decision
    assert "SIF for B, C" in alerts[0].detail


@pytest.mark.parametrize("answer", [{"B": None, "C": "much"}, {"B": 1e200}, {"B": np.ones(2)}, {7: 1j}, None])
def test_an_own_signal_that_answers_no_numbers_stops_nothing(market, answer):
    stage = build_stage(settings())
    brain = stage._stage._strategy.brain  # type: ignore[attr-defined]
    brain._signals["SIF"] = lambda view: answer
    alerts = [each for each in live(stage, market[:70], []) if isinstance(each, RiskAlert)]
    assert {each.code for each in alerts} == ({"SIGNAL_NOT_FINITE"} if answer else set())


@pytest.mark.parametrize("number", [Decimal, np.float32])
def test_a_score_may_be_any_kind_of_number(market, number):
    stage = build_stage(settings())
    brain = stage._stage._strategy.brain  # type: ignore[attr-defined]
    brain._signals["SIF"] = lambda view: {"B": number(1e30), "C": number(-1)}
    assert any(isinstance(each, OrderIntent) for each in live(stage, market[:70], []))


def test_scores_may_be_a_series(market):
    stage, again = build_stage(settings()), build_stage(settings())
    scores = {"B": 0.5, "C": -1.0}
    stage._stage._strategy.brain._signals["SIF"] = lambda view: pd.Series(scores)  # type: ignore[attr-defined]
    again._stage._strategy.brain._signals["SIF"] = lambda view: scores  # type: ignore[attr-defined]
    assert live(stage, market[:70], []) == live(again, market[:70], [])


def test_an_own_signal_that_answers_something_else_than_scores_is_named(market):
    stage = build_stage(settings())
    stage._stage._strategy.brain._signals["SIF"] = lambda view: [1.0]  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="SIF must return scores by symbol, and returned a list"):
        live(stage, market[:5], [])


def test_a_fact_that_comes_too_late_is_a_dead_letter_and_is_none_after_a_restart(market):
    stage, again = build_stage(settings()), build_stage(settings())
    told = [each for day in market[:20] for each in day]
    facts = [each for each in told if isinstance(each, FactEvent)]
    late = facts[0].model_copy(update={"timestamp": facts[0].timestamp + timedelta(minutes=1)})
    tell(stage, told)
    with pytest.raises(Unprocessable, match="knowledge order"):
        stage.handlers[FactEvent](late)
    for each in [*told, late]:
        again.restore(each)
    views = [each._stage._strategy._market.facts.as_of(told[-1].timestamp) for each in (stage, again)]  # type: ignore[attr-defined]
    assert views[0].rows(late.table, late.symbol, 99) == views[1].rows(late.table, late.symbol, 99)
    observer = SignalObserver(*build_brain(SMALL), traded=lambda symbol: True)
    observer.note([*told, late], 0, len(told) + 1)
    assert [each.moment for each in observer.diary] == [day[-1].timestamp for day in market[:20:2]]


def test_every_family_is_built_from_its_defaults():
    for name, chosen in six_families().items():
        signal = build_signal(chosen)
        assert signal.warm_up >= 1, name
        assert signal.half_life > 0.0
    stage = build_stage(StrategySettings(strategy=SignalEnsembleSettings()))
    assert isinstance(stage, InformedStage)
    assert {FactEvent, OFIEvent} <= stage.handlers.keys()
    assert build_strategy(SignalEnsembleSettings())[0].warm_up == 253


def test_a_signal_of_ones_own_is_one_file_and_one_line(tmp_path, monkeypatch):
    (tmp_path / "cheap_signals.py").write_text(
        "from dataclasses import dataclass\n"
        "from strategy_plane.signals.port import Inputs\n"
        "from strategy_plane.signals.standardise import cross_section\n"
        "@dataclass(frozen=True)\n"
        "class Cheap:\n"
        "    power: float = 1.0\n"
        "    warm_up, half_life, inputs = 1, 20.0, Inputs(bars=1)\n"
        "    def __call__(self, view):\n"
        "        return cross_section({s: -view.bars.closes(s, 1)[0] ** self.power for s in view.symbols})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    chosen = SMALL.model_copy(
        update={"signals": {"CHEAP": OwnSignalSettings(factory="cheap_signals:Cheap", parameters={"power": 2.0})}}
    )
    brain, knowledge = build_brain(chosen)
    day = days()[0]
    for event in day:
        knowledge.learn(event)
    brain.observe(day[-1].timestamp)
    closes = {bar.symbol: bar.close for bar in day if isinstance(bar, BarEvent)}
    scores = brain.scores["CHEAP"]
    assert max(scores, key=lambda name: scores[name]) == min(closes, key=lambda name: closes[name])


def test_a_signal_of_ones_own_is_not_asked_before_its_warm_up(tmp_path, monkeypatch):
    (tmp_path / "slow_signals.py").write_text(
        "from strategy_plane.signals.port import Inputs\n"
        "class Slow:\n"
        "    warm_up, half_life, inputs = 40, 20.0, Inputs()\n"
        "    def __call__(self, view):\n"
        "        return {s: view.bars.closes(s, 40)[39] for s in view.symbols}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    signals = {"SLOW": OwnSignalSettings(factory="slow_signals:Slow")}
    brain, knowledge = build_brain(SMALL.model_copy(update={"signals": signals}))
    heard = []
    for day in days()[:42]:
        for event in day:
            knowledge.learn(event)
        brain.observe(day[-1].timestamp)
        heard.append(len(brain.forecast(day[-1].timestamp)))
    assert heard == [0] * 39 + [5] * 3


@pytest.mark.parametrize("factory", ["no_such_module:Thing", "strategy_plane.market:Nothing", "datetime:datetime"])
def test_a_factory_that_gives_no_signal_is_refused(factory: str):
    parameters = {"year": 2024, "month": 1, "day": 1} if factory.startswith("datetime") else {}
    with pytest.raises(ValueError, match=factory):
        build_signal(OwnSignalSettings(factory=factory, parameters=parameters))


@pytest.mark.parametrize(
    "wrong", ["inputs = 20", "warm_up = 20.5", "half_life = 0", "half_life = None", "half_life = 1e999"]
)
def test_a_signal_of_ones_own_that_does_not_declare_what_it_needs_is_refused(tmp_path, monkeypatch, wrong: str):
    name = f"undeclared_{wrong.split(maxsplit=1)[0]}_{len(wrong)}"
    (tmp_path / f"{name}.py").write_text(
        "from strategy_plane.signals.port import Inputs\n"
        "class It:\n"
        "    warm_up, half_life, inputs = 20, 20.0, Inputs()\n"
        f"    {wrong}\n"
        "    def __call__(self, view):\n"
        "        return {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        OwnCodeRefused, match=f"{name}:It' must declare inputs as Inputs.* half_life above 0 and finite"
    ):
        build_signal(OwnSignalSettings(factory=f"{name}:It"))


def test_an_ensemble_needs_a_signal_and_a_regime_its_limits():
    with pytest.raises(ValueError, match="signals"):
        SignalEnsembleSettings(signals={})
    with pytest.raises(ValueError, match="exposures"):
        SignalEnsembleSettings.model_validate({"regime": {"exposures": {"CALM": {"gross": 1, "net": 1}}}})
