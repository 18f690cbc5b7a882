"""Whatever was told in whatever order of subjects, a view answers like a plain reading of the rules."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from contracts.market import FactEvent
from strategy_plane.tables import FactStore

START = datetime(2024, 1, 1, tzinfo=UTC)
TOLD = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8), st.integers(-3, 3)), max_size=40).map(
    lambda rows: sorted(rows, key=lambda row: row[0])
)


def moment(day: int) -> datetime:
    return START + timedelta(days=day)


def fact(known: int, event: int, value: int) -> FactEvent:
    return FactEvent(
        table="t", symbol="A", timestamp=moment(known), event_time=moment(event), values={"x": float(value)}
    )


@given(told=TOLD, at=st.integers(0, 32), last=st.integers(1, 10))
def test_a_view_has_the_newest_known_version_of_the_newest_subjects(told, at: int, last: int):
    store, plain = FactStore(), dict[int, float]()
    for row in told:
        store.append(fact(*row))
    for known, event, value in dict.fromkeys(told):  # what is told twice counts once
        if known < at:
            plain[event] = float(value)
    expected = [plain[event] for event in sorted(plain)][-last:]
    assert store.as_of(moment(at)).column("t", "A", "x", last).tolist() == expected


@given(told=TOLD, cut=st.integers(0, 40), at=st.integers(0, 32))
def test_telling_a_part_again_after_a_restart_changes_nothing(told, cut: int, at: int):
    once, again = FactStore(), FactStore()
    for row in told:
        once.append(fact(*row))
    for row in [*told[:cut], *told[: min(cut, len(told))], *told[cut:]]:
        again.append(fact(*row))
    views = (store.as_of(moment(at)).rows("t", "A", 99) for store in (once, again))
    assert next(views) == next(views)
