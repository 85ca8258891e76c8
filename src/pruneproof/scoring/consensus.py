"""The consensus score of questions that were asked in several wordings (Shah et al., 2019, VQA-Rephrasings)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from pruneproof.scoring.statistics import sum_by_image

Floats = NDArray[np.float64]

WORDINGS = 4
"""The question itself and its three rephrasings."""


def consensus(marks: Floats, group: NDArray[np.int_], k: int, fewest: int = WORDINGS) -> tuple[Floats, Floats]:
    """CS(k) as (numerator, denominator) of every group: sum both over groups, then divide.

    CS(k) of one group is the share of its subsets of k wordings of which every member is answered rightly at least in
    part: with r of n wordings so answered, C(r, k) / C(n, k). CS(1) is the share of wordings that score anything, and
    CS(k) never rises with k.

    Args:
        marks: (K, N) of each wording, 0 to 1; more than 0 counts as right, as in the paper; nan was not answered.
        group: (N) which question each is a wording of, 0..G-1.
        k: size of the subsets, at least 1.
        fewest: answered wordings without which a group does not count.

    Returns:
        (K, G) each.
    """
    groups = int(group.max()) + 1 if group.size else 0
    size = sum_by_image(np.isfinite(marks).astype(float), group, groups)
    right = sum_by_image((np.nan_to_num(marks) > 0).astype(float), group, groups)
    counts = size >= max(fewest, k)
    share = np.divide(comb(right, k), comb(size, k), out=np.zeros(size.shape), where=counts)
    return share, counts.astype(float)
