"""Who runs the loop, and that it never stands still whoever calls, or nobody."""

import asyncio
import socket
import threading
from pathlib import Path

import pytest

PATIENCE = 20.0


async def ident():
    await asyncio.sleep(0)
    return threading.get_ident()


async def running():
    return asyncio.get_running_loop()


def in_thread(work):
    """Begin ``work`` in a thread; its results are appended to the list that is returned with the thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    return thread, results


def test_the_calling_thread_runs_the_loop_and_our_own_runs_it_otherwise(loop):
    own = loop.start(ident()).result(PATIENCE)
    assert own != threading.get_ident()
    assert loop.call(ident(), PATIENCE) == threading.get_ident()
    assert loop.start(ident()).result(PATIENCE) == own


def test_what_the_work_raises_is_raised(loop):
    async def work():
        raise LookupError("nothing there")

    with pytest.raises(LookupError, match="nothing there"):
        loop.call(work(), PATIENCE)


def test_libraries_find_the_loop_in_every_thread_that_runs_it(loop):
    async def both():
        return asyncio.get_event_loop_policy().get_event_loop() is asyncio.get_running_loop()

    assert loop.call(both(), PATIENCE)
    assert loop.start(both()).result(PATIENCE)
    thread, results = in_thread(lambda: loop.call(both(), PATIENCE))
    thread.join(PATIENCE)
    assert results == [True]


class Echo(asyncio.Protocol):
    """Gives what comes to whoever waits for it."""

    def __init__(self):
        self.heard = asyncio.Queue()
        self.threads = []

    def data_received(self, data):
        self.threads.append(threading.get_ident())
        self.heard.put_nowait(data)


@pytest.fixture
def wire(loop):
    """A protocol in the loop, its transport, and the other end of its socket."""
    near, far = socket.socketpair()

    async def connect():
        return await asyncio.get_running_loop().create_connection(Echo, sock=near)

    transport, protocol = loop.call(connect(), PATIENCE)
    yield protocol, far
    far.close()
    loop.call(asyncio.sleep(0, transport.close()), PATIENCE)


def test_sockets_are_heard_while_nobody_calls(loop, wire):
    protocol, far = wire
    far.sendall(b"news")
    assert loop.start(protocol.heard.get()).result(PATIENCE) == b"news"
    assert threading.get_ident() not in protocol.threads


def test_our_own_thread_sleeps_while_a_caller_hears_the_sockets(loop, wire):
    protocol, far = wire

    async def round_trip():
        await asyncio.sleep(0)
        far.sendall(b"question")
        return await protocol.heard.get()

    loop.start(asyncio.sleep(0)).result(PATIENCE)
    own = next(each.native_id for each in threading.enumerate() if each.name == "test")
    before = woken(own)
    for _ in range(100):
        assert loop.call(round_trip(), PATIENCE) == b"question"
    assert set(protocol.threads) == {threading.get_ident()}
    assert woken(own) - before < 50


def woken(thread):
    """How often a thread went to sleep, and so was woken."""
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_timer_set_in_a_call_fires_though_our_own_thread_waits_for_a_later_one(loop):
    fired = threading.Event()
    loop.start(asyncio.sleep(3_600))

    async def work():
        asyncio.get_running_loop().call_later(0.02, fired.set)

    loop.call(asyncio.sleep(0.01), PATIENCE)
    loop.call(work(), PATIENCE)
    assert fired.wait(PATIENCE)


def test_timers_fire_one_after_the_other_while_nobody_calls(loop):
    async def beats():
        for _ in range(5):
            await asyncio.sleep(0.01)
        return "five"

    assert loop.start(beats()).result(PATIENCE) == "five"


def test_what_a_call_leaves_ready_goes_on_without_another(loop):
    done = threading.Event()

    async def work():
        running = asyncio.get_running_loop()

        def step(left):
            running.call_soon(step, left - 1) if left else done.set()

        running.call_soon(step, 10)

    loop.call(work(), PATIENCE)
    assert done.wait(PATIENCE)


def test_another_callers_work_is_done_while_one_waits(loop):
    async def make():
        return asyncio.Event()

    gate = loop.call(make(), PATIENCE)
    first, results = in_thread(lambda: loop.call(gate.wait(), PATIENCE))

    async def is_waited_for():
        while not gate._waiters:
            await asyncio.sleep(0.001)

    async def set_gate():
        gate.set()
        return threading.get_ident()

    loop.call(is_waited_for(), PATIENCE)
    second, idents = in_thread(lambda: loop.call(set_gate(), PATIENCE))
    second.join(PATIENCE)
    first.join(PATIENCE)
    assert results == [True]
    assert idents in ([first.ident], [second.ident])


def test_work_that_was_handed_over_goes_on_when_the_one_who_took_it_leaves(loop):
    begun = threading.Event()

    async def short():
        begun.set()
        await asyncio.sleep(0.05)

    async def long():
        await asyncio.sleep(0.2)
        return "done"

    first, _ = in_thread(lambda: loop.call(short(), PATIENCE))
    assert begun.wait(PATIENCE)
    assert loop.call(long(), PATIENCE) == "done"
    first.join(PATIENCE)


def test_many_threads_call_and_start_at_once(loop):
    async def work(number):
        await asyncio.sleep(0.001 * (number % 3))
        return number

    def caller(name):
        started = [loop.start(work(number)) for number in range(40)]
        called = [loop.call(work(number), PATIENCE) for number in range(40)]
        return [each.result(PATIENCE) for each in started] == called == list(range(40))

    threads = [in_thread(lambda name=name: caller(name)) for name in range(6)]
    for thread, _ in threads:
        thread.join(PATIENCE)
    assert [results for _, results in threads] == [[True]] * 6


def test_a_thread_in_which_another_loop_runs_can_call(loop):
    async def outside():
        return loop.call(running(), PATIENCE) is not asyncio.get_running_loop()

    assert asyncio.run(outside())


def test_callbacks_that_never_rest_keep_no_caller_waiting(loop):
    stop, ours = threading.Event(), threading.Event()

    async def restless():
        caller = threading.main_thread().ident
        while not stop.is_set():
            await asyncio.sleep(0)
            if threading.get_ident() != caller:
                ours.set()

    busy = loop.start(restless())
    idents = set()
    for _ in range(20):
        assert ours.wait(PATIENCE)
        idents.add(loop.call(ident(), PATIENCE))
        ours.clear()
    stop.set()
    busy.result(PATIENCE)
    assert idents == {threading.get_ident()}


def test_callers_that_never_rest_keep_nothing_else_waiting(loop):
    async def beats():
        for _ in range(20):
            await asyncio.sleep(0.001)
        return "twenty"

    other = loop.start(beats())
    while not other.done():
        loop.call(asyncio.sleep(0), PATIENCE)
    assert other.result() == "twenty"
