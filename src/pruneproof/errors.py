"""The one error a user is meant to read."""

from __future__ import annotations


class PruneProofError(Exception):
    """Bad input, reported in one line: what is wrong, where, the value, and how to fix it.

    The command line prints the message without a traceback and exits with code 2. Raise it for everything a user can
    fix (a misspelt name, a truncated file, a missing checkpoint); let real defects raise what they raise.
    """


def failure(error: OSError) -> str:
    """What an operating system's error says, in one line: `weights.npz (No such file or directory)`."""
    if error.filename:
        return f"{error.filename} ({error.strerror})"
    return (str(error).splitlines() or [repr(error)])[0]
