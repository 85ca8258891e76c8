"""Dropping visual tokens between layers, against the same model run whole with those tokens hidden by a mask."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, shown
from transformers import LlamaConfig, LlamaModel, OPTConfig, OPTModel, Qwen2Config, Qwen2Model

from pruneproof.backbones import Narrowing
from pruneproof.backbones.families.llava import Llava
from pruneproof.backbones.language.beginnings import WholePrompt
from pruneproof.backbones.language.generation import CausalModel
from pruneproof.backbones.language.narrowing import continue_narrowed, prefill_narrowed, step_narrowed
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, LanguageLayer

LAYERS, WIDTH, VOCABULARY, LONGEST = 4, 32, 50, 6
BEFORE, VISUAL = 3, 10


KINDS: dict[str, tuple[Any, Any]] = {"llama": (LlamaConfig, LlamaModel), "qwen2": (Qwen2Config, Qwen2Model)}


@pytest.fixture(scope="module", params=[("llama", "sdpa"), ("llama", "eager"), ("qwen2", "sdpa")], ids="-".join)
def model(request: pytest.FixtureRequest) -> CausalModel:
    torch.manual_seed(0)
    kind, attention = request.param
    config_class, model_class = KINDS[kind]
    config = config_class(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=128, attn_implementation=attention,
        initializer_range=0.5,
    )  # fmt: skip
    head = torch.nn.Linear(WIDTH, VOCABULARY, bias=False).requires_grad_(False)
    return CausalModel(model_class(config).eval().requires_grad_(False), head, frozenset({0}))


def prompt(number: int, after: int) -> WholePrompt:
    rng = torch.Generator().manual_seed(number)
    embedded = torch.randn(BEFORE + VISUAL + after, WIDTH, generator=rng)
    return WholePrompt(number, embedded, torch.arange(BEFORE, BEFORE + VISUAL), after)


PROMPTS = [prompt(0, 5), prompt(1, 2), prompt(2, 8)]


def masked(model: CausalModel, one: WholePrompt, kept: dict[int, list[int]], longest: int) -> list[int]:
    """A literal transcription: every layer reads all tokens, and from a layer on nothing sees the dropped ones.

    `kept` says for some layers which visual tokens are left from there on. Tokens have their original positions.
    """
    decoder, embedded, answer = model.decoder, one.embedded, []
    for _ in range(longest):
        total = len(embedded)
        places = torch.arange(total)[None]
        state, hidden = embedded[None], torch.zeros(total, dtype=torch.bool)
        for number, layer in enumerate(decoder.layers):
            if number in kept:
                hidden[BEFORE : BEFORE + VISUAL] = True
                hidden[[BEFORE + i for i in kept[number]]] = False
            sees = torch.ones(total, total, dtype=torch.bool).tril() & ~hidden[None]
            sees |= torch.eye(total, dtype=torch.bool)
            mask = torch.zeros(total, total).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]
            rotary = decoder.rotary_emb(state, position_ids=places)
            state = layer(state, attention_mask=mask, position_embeddings=rotary, position_ids=places)
        token = int(model.head(decoder.norm(state)[0, -1]).argmax())
        if token in model.eos:
            break
        answer.append(token)
        embedded = torch.cat([embedded, model.embed(torch.tensor([token]))])
    return answer


def dropping(kept: dict[int, dict[int, list[int]]], renumbers: bool = False) -> Narrowing:
    """What is left of each question's original tokens at some layers, given as indices into those still there."""
    left: dict[int, list[int]] = {number: list(range(VISUAL)) for number in kept}

    def decide(number: int, layer: int, view: LanguageLayer) -> Kept | None:
        if layer not in kept[number]:
            return None
        index = [left[number].index(i) for i in kept[number][layer]]
        left[number] = kept[number][layer]
        return Kept(torch.tensor(index))

    return Narrowing(decide, renumbers)


RAGGED = {0: {1: [0, 3, 4, 9], 3: [3, 9]}, 1: {2: [5]}, 2: {}}
"""Each prompt loses its own tokens at its own layers; the last one none."""


def test_dropping_is_masking_token_for_token(model: CausalModel) -> None:
    expected = [masked(model, one, RAGGED[one.number], LONGEST) for one in PROMPTS]
    assert len({tuple(answer) for answer in expected}) == 3
    assert expected[0] != masked(model, PROMPTS[0], {}, LONGEST), "dropping must matter"
    found = continue_narrowed(model, PROMPTS, dropping(RAGGED), LONGEST)
    assert [answer.tokens for answer in found] == expected
    alone = [continue_narrowed(model, [one], dropping(RAGGED), LONGEST)[0] for one in PROMPTS]
    assert [answer.tokens for answer in alone] == expected
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one.first_logits, other.first_logits, atol=1e-4, rtol=1e-4)


def test_prompts_that_begin_alike_answer_as_they_do_alone(model: CausalModel) -> None:
    rests = [prompt(number, after) for number, after in ((10, 5), (11, 2), (12, 8), (13, 4), (14, 3))]
    beginnings = [prompt(0, 1).embedded[:-1], prompt(1, 1).embedded[:-1]]
    picture = [0, 1, 0, 0, 1]
    prompts = [
        WholePrompt(i, torch.cat([beginnings[of], one.embedded[-one.after :]]), one.visual, one.after, of)
        for i, (one, of) in enumerate(zip(rests, picture, strict=True))
    ]
    kept = {0: {2: [0, 3]}, 1: {2: [5, 6, 9]}, 2: {2: [1]}, 3: {3: [7]}, 4: {}}
    expected = [masked(model, one, kept[one.number], LONGEST) for one in prompts]
    assert len({tuple(answer) for answer in expected}) > 3
    read: list[tuple[int, int]] = []

    def count(layer: int) -> Any:
        return lambda _, args, __: read.append((layer, args[0].shape[0] * args[0].shape[1]))

    hooks = [layer.register_forward_hook(count(number)) for number, layer in enumerate(model.decoder.layers)]
    found = continue_narrowed(model, prompts, dropping(kept), 1)
    for hook in hooks:
        hook.remove()
    longest = max(one.after for one in prompts)
    shared = len(beginnings) * (BEFORE + VISUAL) + len(prompts) * longest
    assert [sum(n for at, n in read if at == layer) for layer in range(LAYERS)][:2] == [shared, shared]
    assert sum(n for at, n in read if at == LAYERS - 1) == len(prompts), "the last layer is asked for its last tokens"
    found = continue_narrowed(model, prompts, dropping(kept), LONGEST)
    assert [answer.tokens for answer in found] == expected
    alone = [continue_narrowed(model, [one], dropping(kept), LONGEST)[0] for one in prompts]
    for one, other in zip(found, alone, strict=True):
        assert (one.tokens, one.lengths, one.left) == (other.tokens, other.lengths, other.left)
        torch.testing.assert_close(one.first_logits, other.first_logits, atol=1e-4, rtol=1e-4)


def test_lengths_are_counted_layer_by_layer(model: CausalModel) -> None:
    found = continue_narrowed(model, PROMPTS, dropping(RAGGED), 1)
    text = [BEFORE + one.after for one in PROMPTS]
    assert [tuple(n - other for n in one.lengths) for one, other in zip(found, text, strict=True)] == [
        (10, 4, 4, 2), (10, 10, 1, 1), (10, 10, 10, 10),
    ]  # fmt: skip
    assert [one.left for one in found] == [(3, 9), (5,), tuple(range(10))]


def test_without_dropping_it_is_the_model_itself(model: CausalModel) -> None:
    found = continue_narrowed(model, PROMPTS, Narrowing(lambda *_: None), LONGEST)
    for one, answer in zip(PROMPTS, found, strict=True):
        logits = model.head(model.decoder(inputs_embeds=one.embedded[None]).last_hidden_state[0, -1])
        torch.testing.assert_close(answer.first_logits, logits, atol=1e-4, rtol=1e-4)
        assert answer.tokens == masked(model, one, {}, LONGEST)


def test_renumbered_tokens_are_read_as_if_the_dropped_ones_had_never_been(model: CausalModel) -> None:
    """Dropped before layer 0 and renumbered, they leave no trace."""
    one = PROMPTS[0]
    chosen = [1, 4, 5]
    (found,) = continue_narrowed(model, [one], dropping({0: {0: chosen}}, renumbers=True), LONGEST)
    rows = [*range(BEFORE), *(BEFORE + i for i in chosen), *range(BEFORE + VISUAL, len(one.embedded))]
    short = WholePrompt(0, one.embedded[rows], torch.arange(BEFORE, BEFORE + 3), one.after)
    assert found.tokens == masked(model, short, {}, LONGEST)
    (numbered,) = continue_narrowed(model, [one], dropping({0: {0: chosen}}), LONGEST)
    assert not torch.allclose(numbered.first_logits, found.first_logits, atol=1e-3)


def test_merged_tokens_come_after_the_kept_ones_and_are_mixed(model: CausalModel) -> None:
    """Two tokens stay and the mean of two others is put after them, before the question."""
    weights = torch.zeros(3, VISUAL)
    weights[0, 2] = weights[1, 7] = 1.0
    weights[2, [0, 1]] = 0.5
    kept = Kept(torch.tensor([2, 7, -1]), weights)
    narrowing = Narrowing(lambda number, layer, view: kept if layer == 0 else None, renumbers=True)
    (found,) = continue_narrowed(model, PROMPTS[:1], narrowing, LONGEST)
    embedded = PROMPTS[0].embedded
    visual = embedded[BEFORE : BEFORE + VISUAL]
    middle = torch.stack([visual[2], visual[7], (visual[0] + visual[1]) / 2])
    short = WholePrompt(0, torch.cat([embedded[:BEFORE], middle, embedded[BEFORE + VISUAL :]]), torch.arange(3, 6), 5)
    assert found.tokens == masked(model, short, {}, LONGEST)
    assert found.left == (2, 7)
    assert found.lengths == (BEFORE + 3 + 5,) * LAYERS


def test_the_view_shows_what_the_model_computes(model: CausalModel) -> None:
    one = PROMPTS[0]
    eager: Any = type(model.decoder)(model.decoder.config).eval()
    eager.load_state_dict(model.decoder.state_dict())
    eager.set_attn_implementation("eager")
    whole = eager(inputs_embeds=one.embedded[None], output_attentions=True, output_hidden_states=True, use_cache=True)
    seen: list[int] = []

    def decide(number: int, layer: int, view: LanguageLayer) -> None:
        rows = torch.tensor([len(one.embedded) - 1, 4])
        assert (view.depth, view.start, view.visual.tolist()) == (LAYERS, VISUAL, one.visual.tolist())
        assert view.text.tolist() == list(range(BEFORE + VISUAL, len(one.embedded)))
        torch.testing.assert_close(view.embedded_visual, one.embedded[one.visual])
        torch.testing.assert_close(view.embedded_text, one.embedded[view.text])
        torch.testing.assert_close(view.state, whole.hidden_states[layer][0], atol=1e-4, rtol=1e-4)
        cached: Any = whole.past_key_values.layers
        for previous in (False, True):
            at = layer - previous
            if at < 0:
                continue
            expected = whole.attentions[at][0][:, rows]
            torch.testing.assert_close(view.attention(rows, previous), expected, atol=1e-4, rtol=1e-3)
            torch.testing.assert_close(view.keys(previous), cached[at].keys[0], atol=1e-4, rtol=1e-3)
        seen.append(layer)

    with torch.no_grad():
        continue_narrowed(model, [one], Narrowing(decide), 1)
    assert seen == list(range(LAYERS))


def test_what_is_counted_is_what_answers(model: CausalModel) -> None:
    """Prefill and one step by themselves leave the cache that answering leaves."""
    one, narrowing = PROMPTS[0], dropping({0: {2: [1, 2]}})
    cache = prefill_narrowed(model, one, narrowing)
    lengths = [int(cast(Any, layer).keys.shape[-2]) for layer in cache.layers]
    assert lengths == [18, 18, 10, 10]
    (answer,) = continue_narrowed(model, [one], dropping({0: {2: [1, 2]}}), 2)
    first = model.embed(torch.tensor(answer.tokens[:1]))[None]
    logits = step_narrowed(model, first, cache, len(one.embedded), narrowing)
    assert int(logits[0].argmax()) == answer.tokens[1]


def test_unknown_layers_and_windows_are_refused() -> None:
    opt = OPTModel(OPTConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, ffn_dim=8))
    head = torch.nn.Linear(8, 9)
    for decoder, what in (
        (opt.decoder, "OPTDecoderLayer"),
        (SimpleNamespace(layers=[llama().layers[0]], config=SimpleNamespace(sliding_window=4)), "sliding window"),
    ):
        with pytest.raises(PruneProofError, match=what):
            continue_narrowed(CausalModel(decoder, head, frozenset()), PROMPTS[:1], Narrowing(lambda *_: None), 1)


def llama() -> LlamaModel:
    return LlamaModel(LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2))


def test_a_loaded_llava_that_drops_nothing_answers_as_ever(llava: Llava, pictures: list[Image.Image]) -> None:
    questions = ["is there a dog?", "what is it that you can see there?"]
    image = llava.encode(pictures)[0]
    everything = torch.arange(image.count)[None]
    expected = ask(llava, [image], questions, everything, LONGEST)
    found = ask(llava, [image], questions, everything, LONGEST, narrowing=Narrowing(lambda *_: None))
    assert [(one.text, one.sequence, one.visual) for one in found] == [
        (one.text, one.sequence, one.visual) for one in expected
    ]
    assert [one.left for one in found] == [tuple(range(image.count))] * 2


def test_a_loaded_llava_counts_what_each_layer_reads(llava: Llava, pictures: list[Image.Image]) -> None:
    image = llava.encode(pictures)[0]

    def halves(number: int, layer: int, view: LanguageLayer) -> Kept | None:
        return Kept(torch.arange(0, 16, 2)) if layer else None

    (reply,) = ask(llava, [image], ["is there a dog?"], torch.arange(16)[None], 2, narrowing=Narrowing(halves))
    assert reply.visual == (16, 8)
    assert reply.left == tuple(range(0, 16, 2))
    kept = Kept(torch.arange(16))
    (one,) = shown(llava, [image], torch.arange(16)[None], 1)
    parts = llava.components((image, kept), one, "is there a dog?", Narrowing(halves))
    whole = llava.components((image, kept), one, "is there a dog?")
    per_token = whole.kv_cache_bytes / (2 * reply.sequence)
    assert whole.kv_cache_bytes - parts.kv_cache_bytes == 8 * per_token
