"""Run by Python at its start where this folder is in PYTHONPATH: what `_hooks` describes, in DVC's processes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_spec = importlib.util.spec_from_file_location("_faults_hooks", Path(__file__).resolve().parents[1] / "_hooks.py")
assert _spec is not None
assert _spec.loader is not None
_hooks = importlib.util.module_from_spec(_spec)
sys.modules["_faults_hooks"] = _hooks
_spec.loader.exec_module(_hooks)
_hooks.from_environment()
