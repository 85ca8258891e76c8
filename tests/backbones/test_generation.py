from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pruneproof.backbones._generation import even_parts
from pruneproof.backbones._skipping import last_feed_forward_only_at
from pruneproof.backbones.llava import Llava


@given(st.integers(0, 200), st.integers(1, 40))
def test_even_parts_cover_everything_once(count: int, most: int) -> None:
    sizes = [len(range(count)[part]) for part in even_parts(count, most)]
    assert [i for part in even_parts(count, most) for i in range(count)[part]] == list(range(count))
    assert all(1 <= size <= most for size in sizes)
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-count // most)


def test_positions_that_are_read_do_not_change(llava: Llava) -> None:
    decoder = llava.model.model.language_model
    inputs = torch.randn(3, 9, 64, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.tensor([0, 1, 2, 2]), torch.tensor([8, 3, 5, 0])
    with torch.inference_mode():
        expected = decoder(inputs_embeds=inputs)
        with last_feed_forward_only_at(decoder, rows, columns):
            found = decoder(inputs_embeds=inputs)
        again = decoder(inputs_embeds=inputs)
    read = found.last_hidden_state[rows, columns]
    torch.testing.assert_close(read, expected.last_hidden_state[rows, columns], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found.last_hidden_state, expected.last_hidden_state, atol=1e-3), "nothing was left out"
    assert torch.equal(again.last_hidden_state, expected.last_hidden_state)
    for layer, whole in zip(found.past_key_values.layers, expected.past_key_values.layers, strict=True):
        assert torch.equal(layer.keys, whole.keys)
        assert torch.equal(layer.values, whole.values)


def test_the_hooks_are_removed_after_an_error(llava: Llava) -> None:
    decoder = llava.model.model.language_model
    nothing = torch.arange(0)
    with pytest.raises(RuntimeError, match="stop"), last_feed_forward_only_at(decoder, nothing, nothing):
        raise RuntimeError("stop")
    feed_forward = decoder.layers[-1].mlp
    assert not feed_forward._forward_hooks
    assert not feed_forward._forward_pre_hooks
