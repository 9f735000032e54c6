"""One sweep per journal: a lock that dies with its process."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from paicore.records.places import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``<path>.lock`` alone; the system releases it when the process dies.

    Args:
        path: The file to protect.

    Yields:
        Nothing.

    Raises:
        RuntimeError: Another process holds it; the message names that process.
    """
    file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(file):
            holder = os.pread(file, 200, 0).decode() if fcntl else "another process"
            raise RuntimeError(
                f"{shown(path)}: {holder.strip() or 'another process'} is writing "
                "this journal; wait until it ends, or stop it"
            )
        if fcntl:  # a region locked by msvcrt cannot be read by others
            os.ftruncate(file, 0)
            since = time.strftime("%H:%M:%S")
            os.write(file, f"process {os.getpid()} (since {since})\n".encode())
        yield
    finally:
        os.close(file)


def _take(file: int) -> bool:
    """Try to lock the open file without waiting."""
    try:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
