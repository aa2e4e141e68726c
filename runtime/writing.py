"""Write files whole or not at all, never over another one, also when the process is killed or others write there too.

A file is first written under a hidden name and then given its own by a hard link, which fails when the name is taken.
Where there are no hard links (FAT, some network shares), the name is taken by an empty file that is then replaced, so
an empty file is no result. Whoever works on a hidden or an empty file holds a lock on it, which ends with the process:
what is not locked was left by one that is dead.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from .errors import OutputError

try:
    import fcntl
except ImportError:  # Windows, where what somebody has open can be neither removed nor replaced
    fcntl = None  # type: ignore[assignment]

# What a file system without hard links answers to link().
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
_PART = re.compile(r"\.face-encryption-[0-9a-f]{16}\.part")
_TRIES = 20


class ExistsError(OutputError):
    """The name is taken."""


def write(path: Path, data: bytes) -> None:
    """Write a new file, whole or not at all; folders on the way to it are made. An empty file is replaced.

    Raises:
        ExistsError: there is a file of this name, and it is not empty.
        OutputError: the system does not let it be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _part(path.parent) as (part, file):
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()
            _publish(part, path)
    except FileExistsError as error:
        if not os.path.lexists(path):  # the file that exists is one where a folder should be
            raise OutputError(f"{path}: cannot be written ({reason(error)}); choose another with -o") from error
        raise ExistsError(f"{path}: exists already and is never overwritten; remove it or choose another") from error
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be written ({reason(error)}); choose another place with -o") from error


def is_taken(path: Path) -> bool:
    """Tell whether something has this name; an empty file is what a process left that died while it took the name."""
    try:
        status = os.lstat(path)
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(status.st_mode) and status.st_size == 0)


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove the hidden files that dead processes left in folders."""
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            for part in [Path(entry.path) for entry in os.scandir(folder) if _PART.fullmatch(entry.name)]:
                with contextlib.suppress(OSError):
                    _remove_unless_locked(part)


def reason(error: OSError | ValueError) -> str:
    """Return what the system says of a failure."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


@contextlib.contextmanager
def _part(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a hidden file that is locked, and remove it at the end, also when interrupted."""
    for _ in range(_TRIES):
        part = folder / f".face-encryption-{secrets.token_hex(8)}.part"
        try:
            with open(part, "xb") as file:
                # Before it is locked, another process may take it for a leftover.
                if _lock(file.fileno(), part, without_locks=True):
                    yield part, file
                    return
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
    raise OSError(errno.EAGAIN, "another process removes files there")


def _remove_unless_locked(part: Path) -> None:
    if fcntl is None:
        part.unlink()
        return
    descriptor = os.open(part, os.O_RDWR)
    try:
        if _lock(descriptor, part, without_locks=False):
            part.unlink()
    finally:
        os.close(descriptor)


def _publish(part: Path, path: Path) -> None:
    """Give a finished file its name, unless the name is taken."""
    try:
        os.link(part, path)  # unlike a rename, this fails when the name is taken
        return
    except FileExistsError:
        if is_taken(path):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
    with _held(path):
        os.replace(part, path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a name by an empty file, a new one or one that a dead process left.

    Raises:
        FileExistsError: the name is taken, or held by another process.
    """
    try:
        descriptor, is_new = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), True
    except FileExistsError:
        if is_taken(path):
            raise
        descriptor, is_new = os.open(path, os.O_WRONLY), False
    try:
        if not _lock(descriptor, path, without_locks=True) or os.fstat(descriptor).st_size:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        if fcntl is None:
            os.close(descriptor)
        try:
            yield
        except BaseException:
            if is_new and not is_taken(path):
                os.unlink(path)
            raise
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _lock(descriptor: int, path: Path, without_locks: bool) -> bool:
    """Lock an open file; return whether nobody else holds it and it is still the one of this name.

    Args:
        descriptor: of the file, which keeps the lock until it is closed.
        path: its name.
        without_locks: what to return where the file system has no locks.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return without_locks
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False
