"""Promise: planes with a journal each, killed, cut off and handed over at any moment, send no intent twice."""

from collections import Counter

import pytest
from drills import FIRST, SCHEDULES
from handover_world import play


@pytest.mark.fault("F28: two order planes on two journals, hostile schedules")
@pytest.mark.timeout(3600)
def test_no_intent_is_sent_twice_whoever_dies_wakes_or_takes_over():
    seen = Counter()
    for seed in range(FIRST, FIRST + SCHEDULES):
        happened = play(seed)
        assert max(Counter(happened.sent).values(), default=0) <= 1, f"seed {seed}"
        seen.update(sent=len(happened.sent), refused=happened.refused, handed=happened.handed)
    assert all(seen[each] > SCHEDULES / 20 for each in ("sent", "refused", "handed")), seen


def test_planes_that_make_no_claims_do_send_twice():
    doubled = 0
    for seed in range(FIRST, FIRST + 200):
        doubled += max(Counter(play(seed, careless=True).sent).values(), default=0) > 1
    assert doubled, "the schedules would not show it"
