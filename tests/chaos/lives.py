"""Planes in processes of their own, forked from one that has imported everything already."""

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from pathlib import Path

import order_plane_life
import plane_life

from kernel import crash_points

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "order_plane_life", "plane_life", "order_plane.journals.postgres"])
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""A process that has more than one must not be forked from."""


def begin(directory, crash_point="", database=None, overlapping=False):
    """Begin one life of the order plane over what is left of the script."""
    return _forked(order_plane_life.main, crash_point, directory, database, overlapping)


def begin_plane(plane, settings, kafka, directory, crash_point=""):
    """Begin one life of ``plane`` over Kafka."""
    return _forked(plane_life.main, crash_point, plane, settings, kafka, directory)


def end(process, seconds=100):
    """The exit code of a life; one that does not end is killed."""
    process.join(seconds)
    process.kill()
    process.join(10)
    return process.exitcode


def _forked(main, crash_point, *arguments):
    _prepare()
    process = _FORKS.Process(target=_live, args=(main, crash_point, arguments))
    process.start()
    return process


def _prepare():
    """The process that forks must find the programs beside the tests."""
    wanted = {
        **_ONE_THREAD,
        "PYTHONPATH": os.pathsep.join(map(str, [Path(__file__).parent, *filter(None, sys.path)])),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _live(main, crash_point, arguments):
    crash_points._fuse = crash_points._Fuse(crash_point)
    main(*arguments)
