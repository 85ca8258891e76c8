from __future__ import annotations

import subprocess
import sys

import pytest

from pruneproof import allocator

FAULTS = """
import resource, sys
import numpy as np
from pruneproof.allocator import keep_freed_memory

print(keep_freed_memory() if sys.argv[1] == "keep" else False)
for turn in range(40):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    [np.ones(2**20) for _ in range(3)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> tuple[bool, int]:
    """Of taking and freeing 8 MiB again and again."""
    ran = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    taken, faults = ran.stdout.split()
    return taken == "True", int(faults)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_freed_memory_is_used_again_without_page_faults() -> None:
    taken, faults = page_faults("keep")
    assert taken
    assert faults < 100 < 10_000 < page_faults("leave")[1]


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not allocator.keep_freed_memory()
