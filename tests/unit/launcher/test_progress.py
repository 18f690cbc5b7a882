import io
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from data_plane.connectors.ibkr_history import Step
from launcher import progress
from launcher.progress import Counts, Pace, clock, shown, terminal_backfill

SOME = Counts(bars=4903, intents=287, fills=281, dead_letters=2, equity=1_302_114.4)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")])
def test_durations_read_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_time_left_follows_from_the_rate_since_the_first_bar():
    times = iter([0.0, 10.0, 14.0])  # ten seconds of start-up are no part of the rate
    pace = Pace(100, lambda: next(times))
    assert pace.left(20) is None
    assert pace.left(60) == pytest.approx(4.0)


def test_time_left_is_unknown_before_anything_moves():
    pace = Pace(100, lambda: 5.0)
    assert pace.left(0) is None
    assert pace.left(1) is None
    assert pace.left(1) is None


def test_a_run_without_end_shows_how_long_it_is_up():
    times = iter([0.0, 65.0])
    assert Pace(None, lambda: next(times)).text(7) == "1:05 up"


def test_a_pipe_gets_few_plain_lines_and_the_last_state():
    out = io.StringIO()
    with shown(Console(file=out, width=80), 8780) as show:
        for bars in range(4903, 8781):
            show(replace(SOME, bars=bars))
    assert out.getvalue().splitlines() == [
        " 56%  4,903 bars  287 intents  281 fills  2 dead letters  equity 1,302,114",
        "100%  0:00 left  8,780 bars  287 intents  281 fills  2 dead letters  equity 1,302,114",
    ]


def test_a_terminal_of_80_columns_holds_every_count():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    with shown(console, 8780) as show:
        show(Counts(bars=1_234_567, intents=123_456, fills=123_456, dead_letters=12, equity=123_456_789))
    assert "1,234,567 bars  123,456 intents  123,456 fills  12 dead letters  equity 123,4" in out.getvalue()


def test_refused_rows_are_said_with_the_reason_of_most():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    refused = Counter({"STALE": 2, "NOT_A_SESSION": 1_234})
    with shown(console, None) as show:
        show(Counts(bars=0, intents=0, fills=0, dead_letters=0, equity=1_000_000, refused=refused))
    assert "0 dead letters  1,236 quarantined (NOT_A_SESSION)" in out.getvalue()


FETCHING = Step(12, 40, "IBM", symbols=1, of_symbols=4, bars=23_400, held_back=8.2)


def test_a_back_fill_of_another_process_has_a_bar_of_its_own_above_the_counts():
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    with shown(console, None) as show:
        show(replace(SOME, backfill=FETCHING))
    assert " 30%" in out.getvalue()
    assert "back-fill: 1 of 4 symbols  23,400 bars  waiting 0:08 for the gateway's pacing" in out.getvalue()
    assert "4,903 bars" in out.getvalue()


def test_a_plane_in_a_terminal_shows_its_own_back_fill_and_the_time_left(monkeypatch):
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "Console", lambda **_: console)
    times = iter([0.0, 2.0, 2.0, 12.0])
    monkeypatch.setattr(Pace.__init__, "__defaults__", (lambda: next(times, 12.0),))
    with terminal_backfill() as fetching:
        for done in (10, 20):
            fetching(Step(done, 40, "IBM", symbols=1, of_symbols=4))
    assert " 50%" in out.getvalue()
    assert "left" in out.getvalue()


def test_without_a_terminal_there_is_nothing_to_show_it_on(monkeypatch):
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=io.StringIO()))
    with terminal_backfill() as fetching:
        assert fetching is None
