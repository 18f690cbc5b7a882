"""Order planes in processes of their own, forked from one that has imported everything already."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path

import order_plane_life

from order_plane import crash_points

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "order_plane_life", "order_plane.journals.postgres"])


def begin(directory, crash_point="", database=None):
    """Begin one life of the order plane over what is left of the script."""
    _prepare()
    process = _FORKS.Process(target=_live, args=(directory, crash_point, database))
    process.start()
    return process


def end(process, seconds=100):
    """The exit code of a life; one that does not end is killed."""
    process.join(seconds)
    process.kill()
    process.join(10)
    return process.exitcode


def _prepare():
    """The process that forks must find the programs beside the tests."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, [Path(__file__).parent, *filter(None, sys.path)]))
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before


def _live(directory, crash_point, database):
    crash_points._fuse = crash_points._Fuse(crash_point)
    order_plane_life.main(directory, database)
