"""Random streams that depend on what is drawn, never on when or by which process."""

from __future__ import annotations

import hashlib

import numpy as np


def seed_of(*parts: str | int) -> int:
    """A 64-bit seed from any identifying parts, such as (study seed, sample id, perturbation, severity).

    The parts are joined with a separator that no identifier holds, so ("a", "bc") and ("ab", "c") differ.

    Returns:
        An integer in [0, 2**64), the first eight bytes of a SHA-256.
    """
    text = "\x1f".join(str(part) for part in parts)
    # A file name that is not valid UTF-8 reaches Python with lone surrogates; it must get a seed, too.
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:8], "big")


def generator(*parts: str | int) -> np.random.Generator:
    """A NumPy generator for one item; the same parts give the same stream in any order, process or run."""
    return np.random.default_rng(seed_of(*parts))
