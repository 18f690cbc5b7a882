"""How many messages leave in a second, and who goes first."""

import asyncio

import pytest

from ibkr_client.pacer import Pacer


async def sent_in(pacer, seconds, **options):
    count = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                await pacer.turn(**options)
                count += 1
    except TimeoutError:
        return count


def test_no_window_of_a_second_holds_more_than_the_rate():
    async def scenario():
        pacer, times = Pacer(10, 4), []
        loop = asyncio.get_running_loop()
        for _ in range(25):
            await pacer.turn(order=True)
            times.append(loop.time())
        return times

    times = asyncio.run(scenario())
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))


def test_the_rest_leaves_room_for_orders():
    async def scenario():
        pacer = Pacer(10, 4)
        assert await sent_in(pacer, 0.2) == 6
        assert await sent_in(pacer, 0.2, order=True) == 4

    asyncio.run(scenario())


def test_a_reserve_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="reserve"):
        Pacer(10, 10)
