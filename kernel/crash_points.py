"""Named moments at which a test may kill the process."""

import os
import signal

_VARIABLE = "ALGOTRADE_CRASH_POINT"


class _Fuse:
    """Counts down the passages of the one crash point that the environment names, ``name`` or ``name:passage``."""

    def __init__(self, wish: str) -> None:
        self.name, _, passage = wish.partition(":")
        self.left = int(passage or "1")

    def burn(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


_fuse = _Fuse(os.environ.get(_VARIABLE, ""))


def crash_point(name: str) -> None:
    """Die here as by ``kill -9`` when the environment variable ALGOTRADE_CRASH_POINT says so."""
    if name == _fuse.name:
        _fuse.burn()
