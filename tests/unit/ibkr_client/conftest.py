"""A loop for threads that are not asynchronous."""

import pytest

from ibkr_client.loop_thread import LoopThread


@pytest.fixture
def loop():
    thread = LoopThread("test")
    yield thread
    thread.close()
