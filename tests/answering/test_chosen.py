"""A method that gives something wrong is told in one line what, at whichever door it acts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pruneproof.answering.chosen import require_kept, require_selections
from pruneproof.errors import MethodError
from pruneproof.pruning.protocol import Kept

COUNT = 6


THREE = torch.tensor([0, 2, 5])


@pytest.mark.parametrize(
    "kept",
    [
        Kept(THREE),
        Kept(torch.tensor([5, 0])),
        Kept(THREE, torch.ones(3, COUNT)),
        Kept(torch.tensor([0, -1]), torch.ones(2, COUNT)),
    ],
)
def test_what_is_right_passes_as_it_is(kept: Kept) -> None:
    assert require_kept(kept, COUNT) is kept


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (THREE, "gave tensor"),
        ("all", "gave 'all': it must give a `Kept`"),
        (Kept([0, 1]), r"index \[0, 1\]: it must be a tensor of int64"),
        (Kept(torch.tensor([0.0, 1.0])), r"index torch.float32 of shape \(2,\)"),
        (Kept(torch.ones(COUNT, dtype=torch.bool)), "index torch.bool"),
        (Kept(torch.tensor([[0, 1]])), r"index torch.int64 of shape \(1, 2\)"),
        (Kept(torch.tensor([], dtype=torch.int64)), "not empty"),
        (Kept(torch.tensor([0, COUNT])), "index 6: of 6 tokens, it must be from 0 to 5"),
        (Kept(torch.tensor([0, -1])), "index -1: of 6 tokens, it must be from 0 to 5"),
        (Kept(torch.tensor([-2]), torch.ones(1, COUNT)), "index -2: of 6 tokens, it must be from -1 to 5"),
        (Kept(THREE, torch.ones(COUNT, 3)), r"float tensor of shape \(3, 6\)"),
        (Kept(THREE, torch.ones(3, COUNT, dtype=torch.int64)), "weights torch.int64"),
        (Kept(THREE, torch.full((3, COUNT), torch.nan)), "not finite"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(kept: Any, said: str) -> None:
    with pytest.raises(MethodError, match=said) as error:
        require_kept(kept, COUNT)
    assert str(error.value).startswith("gave ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "said"), [(Kept(THREE), "must give a list"), ([], "gave 0 selections where 1 were asked for")]
)
def test_selections_are_as_many_as_asked_for(given: Any, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        require_selections(given, 3, False)
    assert require_selections((Kept(THREE),), 3, False)[0].count == 3
    with pytest.raises(MethodError, match="gave 1 selections where 3 were asked for"):
        require_selections([Kept(THREE)], 3, True)
