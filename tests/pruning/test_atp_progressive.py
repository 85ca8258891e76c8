"""Progressive ATP against its definition restated with loops, and properties of its score and schedule."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from tests.pruning._layers import FakeLayer, fake_layer

from pruneproof.pruning.atp_progressive import AtpProgressive, Schedule, Settings, intra_modal, left_at
from pruneproof.seeds import generator


def progressive(keep: float = 0.25, **options: Any) -> AtpProgressive:
    return AtpProgressive(Settings(keep=keep, **options))


def restated(layer: FakeLayer, left: int, alpha: float) -> list[int]:
    """The definition, with min-max normalisation, token by token."""
    maps = layer.maps[1].double().numpy().mean(axis=0)
    visual, text = layer.visual.tolist(), layer.text.tolist()
    inter = [np.mean([maps[word, token] for word in text]) for token in visual]
    intra = []
    for j, token in enumerate(visual):
        multiples = []
        for i, row in enumerate(visual[j:], start=j):
            seen = visual[: i + 1]
            multiples.append(maps[row, token] / sum(maps[row, other] for other in seen) * len(seen))
        intra.append(np.mean(multiples))

    def minmax(values: list[Any]) -> NDArray[np.float64]:
        found = np.array(values)
        spread = np.ptp(found)
        return (found - found.min()) / spread if spread else found * 0

    scores = alpha * minmax(inter) + (1 - alpha) * minmax(intra)
    return sorted(sorted(range(len(visual)), key=lambda i: (-round(scores[i], 5), i))[:left])


@settings(deadline=None)
@given(st.integers(2, 30), st.integers(1, 6), st.sampled_from([0.0, 0.3, 1.0]), st.integers(0, 1000))
def test_the_kept_tokens_are_the_defined_ones(count: int, text: int, alpha: float, seed: int) -> None:
    layer = fake_layer(count, seed=seed, text=text, depth=4)
    kept = progressive(0.4, alpha=alpha).narrow(2, layer, generator(0))
    left = left_at("linear", 0.4, 2, 4, count)
    if kept is None:
        assert left == count
    else:
        assert kept.index.tolist() == restated(layer, left, alpha)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_even_attention_prefers_no_token(count: int) -> None:
    """Whatever the tokens before the image take, and wherever a token stands."""
    visible = torch.ones(2, count, count).tril() / torch.arange(5, 5 + count)[None, :, None]
    torch.testing.assert_close(intra_modal(visible), torch.ones(count))


def test_attention_received_by_hand() -> None:
    attention = torch.tensor([[[0.2, 0.0, 0.0], [0.1, 0.3, 0.0], [0.1, 0.1, 0.2]]])
    # Rows over what they see, times its number: (1), (0.5, 1.5), (0.75, 0.75, 1.5).
    expected = torch.tensor([(1 + 0.5 + 0.75) / 3, (1.5 + 0.75) / 2, 1.5])
    torch.testing.assert_close(intra_modal(attention), expected)


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 1.0), st.sampled_from([1, 2, 4, 32]), st.sampled_from(get_args(Schedule)))
def test_the_budget_is_what_is_left(count: int, keep: float, depth: int, schedule: Schedule) -> None:
    method, left, found = progressive(keep, schedule=schedule), count, []
    for number in range(depth):
        kept = method.narrow(number, fake_layer(left, start=count, depth=depth, heads=1), generator(0))
        left = left if kept is None else kept.count
        found.append(left)
    assert tuple(found) == method.budget(count, depth)
    assert found[0] == count
    assert found == sorted(found, reverse=True)


def test_schedules_by_hand() -> None:
    assert progressive(0.25).budget(16, 4) == (16, 12, 8, 4)
    assert progressive(1 / 8, schedule="geometric").budget(16, 4) == (16, 8, 4, 2)


def test_keeping_everything_is_the_full_model() -> None:
    method = progressive(1.0)
    assert all(method.narrow(number, fake_layer(7), generator(0)) is None for number in range(32))
    assert method.budget(7, 32) == (7,) * 32


def test_one_token_stays() -> None:
    kept = progressive(0.01).narrow(31, fake_layer(9), generator(0))
    assert kept is not None
    assert kept.count == 1


def test_positions_keep_their_numbers() -> None:
    assert not progressive().renumbers


@pytest.mark.parametrize("options", [{"keep": 0.0}, {"alpha": 1.1}, {"schedule": "cosine"}, {"layer": 2}])
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"keep": 0.5, **options})
