"""The one error a user is meant to read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class PruneProofError(Exception):
    """Bad input, reported in one line: what is wrong, where, the value, and how to fix it.

    The command line prints the message without a traceback and exits with code 2. Raise it for everything a user can
    fix (a misspelt name, a truncated file, a missing checkpoint); let real defects raise what they raise.
    """


class MethodError(PruneProofError):
    """What a pruning method did wrong, or asks of a model that does not have it, in words that follow its name."""


@contextmanager
def of_method(name: str, method: object) -> Iterator[None]:
    """Errors get the method's name, which only those know who run it.

    A `MethodError` gets it in its line, a defect in a note below its traceback.

    Args:
        name: its id in params.yaml.
        method: the method, whose module is told too.
    """
    said = f"method {name!r} ({type(method).__module__.rpartition('.')[2]}.py)"
    try:
        yield
    except MethodError as error:
        raise PruneProofError(f"{said} {error}") from error
    except PruneProofError:
        raise
    except Exception as error:
        error.add_note(f"while {said} ran")
        raise


def failure(error: OSError) -> str:
    """What an operating system's error says, in one line: `weights.npz (No such file or directory)`."""
    if error.filename:
        return f"{error.filename} ({error.strerror})"
    return (str(error).splitlines() or [repr(error)])[0]


_FULL = "no space left on the disk; free some and run it again"
_DISK = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "a file became larger than is allowed here: raise the limit (`ulimit -f`) and run it again",
    errno.EROFS: "the disk can only be read: make it writable, or put the study on another one",
    errno.EIO: "the disk cannot be read or written: see to it, or put the study on another one",
}


def disk_fault(error: OSError) -> str | None:
    """What to say of an error that lies in the disk, and neither in this program nor in a single file; else None."""
    return _DISK.get(error.errno or 0)
