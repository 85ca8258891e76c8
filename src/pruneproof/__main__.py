"""`python -m pruneproof`."""

from __future__ import annotations

import atexit
import gc
import os
import sys

_ALLOCATIONS = 50_000
"""Objects made between two searches for garbage. Python's own 700 make it search again and again while torch and
transformers are imported, whose objects all live to the end."""

_code = 1
"""What the process ends with: 1 after a traceback."""


def _leave() -> None:
    """End now: taking apart, object by object, what torch and transformers imported changes nothing."""
    lost = False
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the disk is full, or whoever read has gone
            lost = True
        except (AttributeError, ValueError):  # there is none, or it is closed
            pass
    os._exit(_code or int(lost))


gc.set_threshold(_ALLOCATIONS)
atexit.register(_leave)  # the first that is registered is the last that runs
try:
    from pruneproof.cli import main

    _code = main()
except SystemExit as end:  # of argparse
    if isinstance(end.code, str):
        print(end.code, file=sys.stderr)
    _code = end.code if isinstance(end.code, int) else int(end.code is not None)
except KeyboardInterrupt:  # while Python was still loading; later ones are told by `main`
    print("pruneproof: interrupted", file=sys.stderr)
    _code = 130
