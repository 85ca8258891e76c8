"""Digests of files, cached by their metadata: gigabytes of weights are read once, not in every run.

A digest is remembered with device, inode, size, and the times of the last change of content and of the inode. The last
one cannot be set back, so a file that was changed in place but kept its size and time is read again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pruneproof.files import sha256, write_bytes

SETTLED_NS = 2_000_000_000
"""A file that changed less than this long before it is read is not remembered: within one tick of the file system's
clock, another change would leave no trace."""

Reader = Callable[[Path], str]


@dataclass(slots=True)
class Digests:
    """Digests by reader and absolute path."""

    known: dict[str, list[Any]] = field(default_factory=dict)
    """`<reader> <path>` to the file's metadata, followed by the digest."""
    changed: bool = False

    def of(self, path: Path, reader: Reader = sha256) -> str:
        """What `reader` returns for a file, from memory if the file has not changed since.

        Args:
            path: of a file.
            reader: a function of the file's bytes alone, known by its name.

        Raises:
            OSError: if the file cannot be read.
        """
        stamp, now = _stamp(path), time.time_ns()
        key = f"{reader.__name__} {os.path.abspath(path)}"
        found = self.known.get(key)
        if found is not None and found[:-1] == stamp:
            return str(found[-1])
        digest = reader(path)
        if now - stamp[-1] > SETTLED_NS and _stamp(path) == stamp:
            self.known[key] = [*stamp, digest]
            self.changed = True
        return digest


@contextmanager
def remembered(memory: Path) -> Iterator[Digests]:
    """Digests cached in a file, which is rewritten if there are new ones and may be deleted at any time."""
    digests = Digests()
    with suppress(OSError, ValueError, TypeError, AttributeError):
        read = json.loads(memory.read_text(encoding="utf-8"))
        digests.known = {key: list(value) for key, value in read.items()}
    yield digests
    if digests.changed:
        with suppress(OSError):
            write_bytes(memory, json.dumps(digests.known).encode())


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
