"""What tells the file of a journal from its copies."""

import fcntl
import os
import sys
from pathlib import Path

from order_plane.journals.port import JournalError

_GENERATION = 0x80087601  # FS_IOC_GETVERSION of Linux, see ioctl_iflags(2)


def place_of(path: Path) -> str:
    """What tells the file at ``path``, made if there is none, from every copy of it: a copy is another file.

    The number of a file is used again on other disks and after its end; most file systems of Linux count that, too.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise JournalError(
            f"journal {path} cannot be opened: {error.strerror}; make it a file that can be written"
        ) from None
    try:
        number = os.fstat(file).st_ino
        try:
            generation = int.from_bytes(fcntl.ioctl(file, _GENERATION, bytes(8)), sys.byteorder)
        except OSError:
            generation = 0
        return f"{number} {generation}"
    finally:
        os.close(file)  # before SQLite opens it, whose locks on it would end with this
