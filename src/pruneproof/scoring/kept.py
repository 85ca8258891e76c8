"""What pruning kept: of the asked object's patches, and of the tokens that it keeps on clean input."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pruneproof.errors import PruneProofError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_CHUNK = 16_384
"""Answers turned into bits at a time, which bounds memory."""


def kept_bits(kept: pa.ListArray, tokens: int) -> Bools:
    """Kept token indices as bits, (rows, tokens).

    Raises:
        PruneProofError: if an index is not in 0..tokens-1.
    """
    bits = np.zeros((len(kept), tokens), bool)
    for start in range(0, len(kept), _CHUNK):
        part = kept.slice(start, _CHUNK)
        index = part.flatten().to_numpy()
        if index.size and (index.min() < 0 or index.max() >= tokens):
            raise PruneProofError(
                f"answers: kept tokens reach from {index.min()} to {index.max()}, but the backbone has {tokens} "
                "patches; run `dvc repro`"
            )
        length = part.value_lengths().to_numpy()
        bits[start + np.repeat(np.arange(len(part)), length), index] = True
    return bits


def share_kept(kept: Bools, target: Bools) -> Floats:
    """Share of a target's patches that were kept; nan where there is no target or nothing is known of what was kept.

    Args:
        kept: (rows, tokens).
        target: (rows, tokens).

    Returns:
        (rows) in 0..1.
    """
    return _share(kept & target, target & kept.any(-1, keepdims=True))


def jaccard(one: Bools, other: Bools) -> Floats:
    """Size of the intersection over size of the union of each row, (rows) in 0..1; nan for two empty rows."""
    return _share(one & other, one | other)


def _share(part: Bools, whole: Bools) -> Floats:
    size = whole.sum(-1)
    return np.where(size > 0, part.sum(-1) / np.maximum(size, 1), np.nan)
