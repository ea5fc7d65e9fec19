"""One writer: a journal is held by one process, and is free again the moment that process dies."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import IO


def hold(path: Path) -> IO[bytes] | None:
    """Hold the journal for writing until the returned file is closed, or this process ends.

    The lock lies on a file of its own beside it, since locks on the database are SQLite's. Nothing is held where the
    system has no such locks; there the journal's mark tells a second writer. Raises BlockingIOError if another process
    holds it, and OSError.
    """
    if sys.platform == "win32":
        return None
    import fcntl

    file = Path(f"{path}-lock").open("ab")  # noqa: SIM115 - it stays open, that is the lock
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        file.close()
        words = "another process writes this journal: stop it first, or give this one a journal of its own"
        raise BlockingIOError(errno.EAGAIN, words, str(path)) from err
    except OSError as err:  # a file system without locks: the mark must do
        file.close()
        if err.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise OSError(err.errno, os.strerror(err.errno or 0), str(path)) from err
        return None
    return file
