"""The convention: every scorer offers all of it, and needs neither torch nor a file."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pruneproof import registry
from pruneproof.errors import PruneProofError
from pruneproof.scoring import scorers

NAMES = registry.module_names("pruneproof.scoring.scorers")


@pytest.mark.parametrize("name", NAMES)
def test_every_member_is_a_scorer(name: str) -> None:
    found = scorers.scorer(name)
    assert found.TITLE


def test_unknown_scorer_names_the_closest() -> None:
    with pytest.raises(PruneProofError, match=r"unknown scorer 'popes' \(did you mean 'pope"):
        scorers.scorer("popes")


def test_no_scorer_imports_torch() -> None:
    load = "".join(f"scorers.scorer({name!r});" for name in NAMES)
    code = f"import sys; from pruneproof.scoring import scorers; {load} sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
