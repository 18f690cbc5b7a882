"""Orders that only reduce a position never do anything else, however many work and whichever trades first."""

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.trading import Side
from order_plane.exposure import Exposure
from order_plane.risk.reducing import reduces

units = st.integers(1, 40).map(float)
wishes = st.lists(st.tuples(st.sampled_from(Side), units), max_size=12)


@settings(max_examples=200)
@given(held=st.integers(-60, 60).map(float), wished=wishes, data=st.data())
def test_a_position_only_shrinks_and_keeps_its_side_whatever_trades_first(held, wished, data):
    exposure, working = Exposure(), []
    exposure.hold("A", held)
    path = [held]
    while wished or working:
        if wished and (not working or data.draw(st.booleans(), label="wish")):
            side, wanted = wished.pop(0)
            if reduces(side, wanted, *exposure.reach("A")):
                working.append((side, wanted))
                exposure.work("A", wanted, buying=side is Side.BUY)
            continue
        side, left = working.pop(data.draw(st.integers(0, len(working) - 1), label="order"))
        traded = data.draw(st.sampled_from([0.0, left / 2, left]), label="traded")
        exposure.work("A", -left, buying=side is Side.BUY)
        exposure.hold("A", traded if side is Side.BUY else -traded)
        path.append(exposure.positions.get("A", 0.0))
    assert [abs(each) for each in path] == sorted(map(abs, path), reverse=True)
    assert all(each * held >= 0.0 for each in path)
