"""The built-in benchmark: procedurally drawn, busy scenes with exact ground truth."""

from __future__ import annotations

from pruneproof.benchmarks.scenes.benchmark import CARD, Options, build

__all__ = ["CARD", "Options", "build"]
