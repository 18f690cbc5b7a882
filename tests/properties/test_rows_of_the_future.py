"""A row dated in the far future is refused, and changes nothing for any row after it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.codec import encode
from contracts.market import BarEvent, FactEvent, TickType
from data_plane.composition import build_connector, build_stage, horizon_of
from data_plane.connectors.port import AFTER_ALL, RawBar, RawFact, RawQuote, RawTick
from data_plane.quality import Horizon, Reason
from data_plane.settings import DataSettings

OPEN = datetime(2024, 7, 1, 13, 30, tzinfo=UTC)
HORIZON = OPEN + timedelta(days=1)
AHEAD = st.integers(1, 10_000).map(lambda minutes: HORIZON + timedelta(minutes=minutes))


def prepared(**changes):
    given_settings = {"sources": [{"files": ["unused"]}], "bar_size": "1min", "calendar": "24/7", "symbols": ["A", "B"]}
    return DataSettings.model_validate(given_settings | changes)


def a_bar(minute, symbol="A", at=None):
    close, at = 100.0 + minute % 7 / 8, at or OPEN + timedelta(minutes=minute)
    return RawBar(symbol, at, close, close + 1, close - 1, close, 10.0, "1min", "s", minute)


def a_tick(second, symbol="A", at=None):
    return RawTick(symbol, at or OPEN + timedelta(seconds=second), 100.0, 1.0, TickType.TRADE, "s", second)


def a_quote(second, symbol="A", at=None):
    at = at or OPEN + timedelta(seconds=second)
    return RawQuote(symbol, at, 99.0, 1.0, 101.0, 1.0 + second % 3, "s", second)


def a_fact(second, symbol="A", at=None):
    at = at or OPEN + timedelta(seconds=second)
    return RawFact("earnings", symbol, at, OPEN, {"eps": float(second)}, "s", second)


MAKERS = {"bar": a_bar, "tick": a_tick, "quote": a_quote, "fact": a_fact}


def told(rows, **changes):
    found = []
    stage = build_stage(prepared(publish_ticks=True, order_flow_interval="1min", **changes), found.append, HORIZON)
    messages = [encode(message) for row in rows for message in stage.handle(row)]
    return messages + [encode(message) for message in stage.finish()], found


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 40), st.sampled_from("AB"))
def test_it_changes_nothing_for_the_rows_after_it(data, count, symbol):
    kinds = data.draw(st.lists(st.sampled_from(list(MAKERS)), min_size=1, max_size=3, unique=True))
    rows = sorted(
        (MAKERS[kind](number, name) for number in range(1, count) for kind in kinds for name in "AB"),
        key=lambda row: row.timestamp,
    )
    false = MAKERS[data.draw(st.sampled_from(kinds))](7, symbol, data.draw(AHEAD))
    place = data.draw(st.integers(0, len(rows)))
    honest, found_before = told(rows)
    disturbed, found = told([*rows[:place], false, *rows[place:]])
    assert disturbed == honest
    assert [each.reason for each in found if each not in found_before] == [Reason.FUTURE]


def lines(symbol, count, extra=()):
    rows = [(minute, OPEN + timedelta(minutes=minute)) for minute in range(1, count)]
    for place, at in extra:
        rows.insert(place, (place, at))
    written = [f"{symbol},{at.isoformat()},{close},{close + 1},{close - 1},{close},10"
               for minute, at in rows for close in [100 + minute % 7 / 8]]  # fmt: skip
    return "\n".join(["symbol,timestamp,open,high,low,close,volume", *written, ""])


@pytest.fixture
def play(tmp_path):
    """Publishes files of two symbols and a table, the far-future rows of the first given by place."""
    (tmp_path / "B.csv").write_text(lines("B", 60))
    facts = [f"A,{OPEN.isoformat()},{(OPEN + timedelta(minutes=each)).isoformat()},{each}" for each in (10, 40)]
    (tmp_path / "facts.csv").write_text("\n".join(["symbol,event_time,knowledge_time,eps", *facts, ""]))

    def call(extra, with_facts):
        (tmp_path / "A.csv").write_text(lines("A", 60, extra))
        table = {"tables": {"earnings": {"files": [str(tmp_path / "facts.csv")], "fields": ["eps"]}}}
        chosen = prepared(
            sources=[{"files": [str(tmp_path / "A.csv"), str(tmp_path / "B.csv")]}], **(table if with_facts else {})
        )
        stage = build_stage(chosen, horizon=HORIZON)
        blocks = build_connector(chosen, HORIZON).blocks()
        return [message for messages in stage.play(blocks) for message in messages], stage

    return call


@pytest.mark.parametrize("with_facts", [False, True])
@pytest.mark.parametrize("place", [0, 1, 30, 59])
def test_files_and_facts_go_on_in_their_order_behind_it(play, place, with_facts):
    honest, _ = play((), with_facts)
    assert sum(isinstance(each, BarEvent) for each in honest) == 2 * 59
    assert sum(isinstance(each, FactEvent) for each in honest) == 2 * with_facts
    disturbed, stage = play([(place, datetime(2031, 1, 1, tzinfo=UTC))], with_facts)
    assert list(map(encode, disturbed)) == list(map(encode, honest))
    assert stage.quarantined == {Reason.FUTURE: 1}


def test_bars_are_taken_up_to_the_horizon_and_no_further():
    rows = [a_bar(minute) for minute in range(24 * 60 - 20, 24 * 60 + 20)]
    messages, found = told(rows, symbols=["A"])
    assert sum(b"bar_event" in message for message in messages) == 21
    assert {each.reason for each in found} == {Reason.FUTURE}
    assert len(found) == 19


def test_the_horizon_of_files_is_after_today_and_a_gateway_has_its_own():
    assert timedelta(days=1) < horizon_of(prepared()) - datetime.now(UTC) <= timedelta(days=2)
    live = DataSettings.model_validate({"ibkr": {}, "bar_size": "1min", "symbols": ["A"]})
    assert horizon_of(live) == AFTER_ALL


def test_the_horizon_follows_a_clock_and_never_goes_back():
    horizon = Horizon()
    horizon.follow(OPEN)
    assert horizon.until == OPEN + timedelta(days=1)
    horizon.follow(OPEN - timedelta(days=2))
    assert horizon.until == OPEN + timedelta(days=1)
    stage = build_stage(prepared(symbols=["A"]), horizon=OPEN)
    assert stage.handle(a_bar(2)) == ()
    stage.on_time(OPEN)
    assert len(stage.handle(a_bar(2))) == 2
