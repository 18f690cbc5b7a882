"""Live trading never grows beyond what was signed, whatever reviews there are and whenever it is asked."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.go_live import CodeVersion, Evidence, GoLiveRecord, Review, Step, allowance

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
HASH = "ab" * 32
hours = st.integers(-100, 3_000).map(lambda each: timedelta(hours=each))


@st.composite
def records(draw):
    count = draw(st.integers(1, 4))
    fractions = sorted(draw(st.sets(st.floats(0.01, 1.0), min_size=count, max_size=count)))
    days = sorted(draw(st.sets(st.integers(1, 100), min_size=count, max_size=count)))
    return GoLiveRecord(
        account="U1",
        configuration=HASH,
        order_configuration=HASH,
        limits=HASH,
        code=CodeVersion(version="1", commit="", dirty=False, digest=HASH),
        evidence=Evidence.PAPER,
        evidence_account="DU1",
        artifacts={str(stage): HASH for stage in range(1, 9)},
        passed=True,
        decided_at=BEGIN,
        expires_at=BEGIN + timedelta(days=days[-1] + draw(st.integers(0, 5))),
        capital=draw(st.floats(1.0, 1e9)),
        scale_up=tuple(
            Step(capital_fraction=fraction, position_cap=1_000.0 * (place + 1), review_by=BEGIN + timedelta(days=day))
            for place, (fraction, day) in enumerate(zip(fractions, days, strict=True))
        ),
    )


@st.composite
def histories(draw):
    record = draw(records())
    reviews = draw(
        st.lists(
            st.builds(
                Review,
                record=st.sampled_from([record.fingerprint, record.fingerprint, "cd" * 32]),
                step=st.integers(2, 5),
                reviewed_at=hours.map(lambda each: BEGIN + each),
                findings=st.just("fine"),
            ),
            max_size=5,
        )
    )
    return record, reviews, BEGIN + draw(hours)


@given(histories())
def test_what_is_allowed_is_a_step_that_was_signed_and_never_outside_of_its_time(history):
    record, reviews, at = history
    found = allowance(record, reviews, at)
    if found is None:
        return
    assert record.decided_at <= at < record.expires_at
    steps = {(each.capital_fraction * record.capital, each.position_cap): each for each in record.scale_up}
    step = steps[found]
    assert at < step.review_by
    place = record.scale_up.index(step)
    past = [each for each in reviews if each.record == record.fingerprint and each.reviewed_at <= at]
    assert {each.step for each in past} >= set(range(2, place + 2))


@given(histories())
def test_without_reviews_only_the_first_step_and_only_until_its_date(history):
    record, _, at = history
    first = record.scale_up[0]
    found = allowance(record, [], at)
    if BEGIN <= at < min(first.review_by, record.expires_at):
        assert found == (first.capital_fraction * record.capital, first.position_cap)
    else:
        assert found is None


@given(records())
def test_a_record_survives_its_own_text(record):
    assert GoLiveRecord.model_validate_json(record.model_dump_json()).fingerprint == record.fingerprint
