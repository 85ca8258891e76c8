"""Positions that are read come out of a narrowed last layer as out of the whole model; so does the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    DynamicCache,
    GPT2Config,
    GPT2Model,
    IdeficsConfig,
    IdeficsModel,
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    MistralModel,
    OPTConfig,
    OPTModel,
    Qwen2Config,
    Qwen2Model,
)

from pruneproof.backbones.families._flamingo_decoder import LookingCache, LookingDecoder
from pruneproof.backbones.language.skipping import last_states

WIDTH, LENGTH = 32, 9
SHAPE: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": WIDTH,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "initializer_range": 0.3,
    "max_position_embeddings": 64,
}


def idefics() -> LookingDecoder:
    model = IdeficsModel(
        IdeficsConfig(
            **SHAPE | {"num_hidden_layers": 4},
            intermediate_size=48,
            cross_layer_interval=2,
            qk_layer_norms=True,
            alpha_initializer="ones",
            alpha_type="vector",
            use_resampler=False,
            vision_config={"embed_dim": 16, "image_size": 28, "num_hidden_layers": 1, "num_attention_heads": 2},
        )
    )
    return LookingDecoder(model.eval(), 2)


GROUPED = SHAPE | {"num_key_value_heads": 2, "intermediate_size": 48}
DECODERS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaModel(LlamaConfig(**GROUPED)).eval(),
    "mistral": lambda: MistralModel(MistralConfig(**GROUPED, head_dim=12)).eval(),
    "mistral_sliding": lambda: MistralModel(MistralConfig(**GROUPED, sliding_window=4)).eval(),
    "qwen2": lambda: Qwen2Model(Qwen2Config(**GROUPED)).eval(),
    "opt": lambda: OPTModel(OPTConfig(**_opt())).eval().decoder,
    "opt_norm_after": lambda: OPTModel(OPTConfig(**_opt(), do_layer_norm_before=False)).eval().decoder,
    "idefics": idefics,
}


def _opt() -> dict[str, Any]:
    shape = {key: value for key, value in SHAPE.items() if key != "initializer_range"}
    return shape | {"init_std": 0.3, "ffn_dim": 48, "word_embed_proj_dim": WIDTH}


@pytest.fixture(params=DECODERS)
def decoder(request: pytest.FixtureRequest) -> Iterator[Any]:
    torch.manual_seed(0)
    with torch.inference_mode():
        yield DECODERS[request.param]()


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, decoder: Any) -> str:
    getattr(decoder, "model", decoder).set_attn_implementation(request.param)
    return str(request.param)


def empty_cache(decoder: Any, rows: int) -> DynamicCache:
    """With an image for each row where the decoder looks at images."""
    if not isinstance(decoder, LookingDecoder):
        return DynamicCache()
    return LookingCache(torch.randn(rows, 5, 16, generator=torch.Generator().manual_seed(3)))


def check(decoder: Any, columns: Tensor, inputs: dict[str, Any], cached: int = 0) -> None:
    """The same forward twice, whole and narrowed, each after a prefix of `cached` positions."""
    prefix = torch.randn(1, cached, WIDTH, generator=torch.Generator().manual_seed(1))
    caches = [empty_cache(decoder, len(inputs["inputs_embeds"])) for _ in range(2)]
    for cache in caches:
        if cached:
            decoder(inputs_embeds=prefix, past_key_values=cache, use_cache=True)
    expected = decoder(past_key_values=caches[0], use_cache=True, **inputs).last_hidden_state
    found = last_states(decoder, columns, past_key_values=caches[1], use_cache=True, **inputs)
    rows = torch.arange(len(columns))[:, None]
    torch.testing.assert_close(found, expected[rows, columns], atol=1e-4, rtol=1e-4)
    for layer, whole in zip(caches[1].layers, caches[0].layers, strict=True):
        torch.testing.assert_close(layer.keys, whole.keys, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(layer.values, whole.values, atol=1e-5, rtol=1e-5)


def random(rows: int, length: int = LENGTH) -> Tensor:
    return torch.randn(rows, length, WIDTH, generator=torch.Generator().manual_seed(2))


def test_one_row_and_its_last_position(decoder: Any, attention: str) -> None:
    check(decoder, torch.tensor([[LENGTH - 1]]), {"inputs_embeds": random(1)})


def test_several_positions_of_one_row(decoder: Any, attention: str) -> None:
    check(decoder, torch.tensor([[0, 5, 7]]), {"inputs_embeds": random(1)})


def test_rows_that_end_at_different_places(decoder: Any, attention: str) -> None:
    check(decoder, torch.tensor([[8], [3], [5]]), {"inputs_embeds": random(3)})


def test_packed_after_a_cached_prefix(decoder: Any, attention: str) -> None:
    """Two questions of 4 and 5 tokens, each of which sees the prefix and itself."""
    owner, prefix = torch.tensor([0] * 4 + [1] * 5), 6
    own = (owner[:, None] == owner) & torch.ones(9, 9, dtype=torch.bool).tril()
    sees = torch.cat([torch.ones(9, prefix, dtype=torch.bool), own], dim=1)
    mask = torch.zeros(9, 15).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]
    places = prefix + torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]])
    inputs = {"inputs_embeds": random(1), "attention_mask": mask, "position_ids": places}
    check(decoder, torch.tensor([[3, 8]]), inputs, cached=prefix)


def test_the_last_layer_makes_keys_and_values_only_and_is_whole_again_afterwards() -> None:
    decoder = DECODERS["llama"]()
    inputs = {"inputs_embeds": random(1), "use_cache": True}

    def flops(work: Callable[[], Any]) -> int:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            work()
        return int(counter.get_total_flops())

    whole = flops(lambda: decoder(**inputs))
    narrowed = flops(lambda: last_states(decoder, torch.tensor([[8]]), past_key_values=DynamicCache(), **inputs))
    layer = 2 * LENGTH * WIDTH * (WIDTH + 16 + 16 + WIDTH) + 4 * LENGTH * LENGTH * WIDTH + 6 * LENGTH * WIDTH * 48
    one = 2 * WIDTH * (WIDTH + 16 + 16 + WIDTH) + 4 * LENGTH * WIDTH + 6 * WIDTH * 48
    assert whole == 3 * layer
    # Keys and values of all positions, and the layer itself at one of them, where it makes its own anew.
    assert narrowed == 2 * layer + 2 * LENGTH * WIDTH * (16 + 16) + one
    with pytest.raises(TypeError):
        last_states(decoder, torch.tensor([[8]]), inputs_embeds=random(1), position_ids="wrong")
    assert not decoder.layers[-1]._forward_pre_hooks
    assert flops(lambda: decoder(**inputs)) == whole


def test_a_layer_of_another_kind_runs_as_it_is() -> None:
    class Named:
        """GPT-2 with its layers under the name that others have."""

        def __init__(self) -> None:
            self.inner = GPT2Model(GPT2Config(vocab_size=40, n_embd=WIDTH, n_layer=2, n_head=4)).eval()
            self.layers = self.inner.h

        def __call__(self, **inputs: Any) -> Any:
            return self.inner(**inputs)

    decoder, columns = Named(), torch.tensor([[2], [8]])
    with torch.inference_mode():
        expected = decoder(inputs_embeds=random(2)).last_hidden_state[torch.arange(2)[:, None], columns]
        assert torch.equal(last_states(decoder, columns, inputs_embeds=random(2)), expected)
