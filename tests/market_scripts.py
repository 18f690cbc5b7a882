"""What happens to a gateway in random order, and time that goes on meanwhile, for tests of bars over cuts."""

import asyncio
from datetime import timedelta


async def happen(world, script):
    """Let each happening of ``script`` befall ``world``, and the seconds behind it pass."""
    for what, about, seconds in script:
        done = what(world, about)
        if done is not None:
            await done
        await world.passes(seconds)


async def let_pass(world, seconds, turns):
    """Time goes on; it is looked at every few seconds, and what that begins has so many ``turns``."""
    until = world.now + timedelta(seconds=seconds)
    while world.now < until:
        world.now += timedelta(seconds=7)
        world.bars.on_time()
        for _ in range(turns):
            await asyncio.sleep(0)
