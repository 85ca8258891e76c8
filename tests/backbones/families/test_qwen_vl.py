"""Qwen2.5-VL and Qwen3-VL against the stock models of transformers, on small random checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, components, shown
from tests.backbones._qwen_vl_checkpoint import EOS, IMAGE, MERGE, PATCH, WIDTH, save_qwen_vl
from tests.backbones.clip.test_patch_boxes import SIZES as MAPPED
from tests.backbones.clip.test_patch_boxes import check, map_of
from tests.backbones.families._alike import (
    QUESTIONS,
    attending,
    counted,
    everything,
    generated,
    picture_of,
    png,
    texts_of,
)
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.doors import Picture, show
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones import Narrowing, flops
from pruneproof.backbones.families._qwen_vl_base import QwenVlBase
from pruneproof.backbones.families._qwen_vl_tower import GroupedImage
from pruneproof.errors import PruneProofError
from pruneproof.method_checks import door_problems
from pruneproof.pruning import atp_received, kept_count, random
from pruneproof.pruning.protocol import Kept, LanguageLayer, Signals
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings

LONGEST = 10
SIZES = {"square": (80, 80), "wide": (150, 50), "tall": (50, 150), "large": (300, 210)}
"""Width and height: 5 x 5, 3 x 8, 8 x 3 and 6 x 9 groups, of which windows of 2 x 2 leave a rest."""
GRIDS = {"square": (5, 5), "wide": (3, 8), "tall": (8, 3), "large": (6, 9)}
KINDS = ("qwen2_5_vl", "qwen3_vl")
DEEP = {"qwen2_5_vl": (), "qwen3_vl": (0, 2)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen")
    for kind in KINDS:
        save_qwen_vl(folder / kind, kind)
    return folder


def settings_of(kind: str, checkpoint: str = "") -> BackboneSettings:
    return BackboneSettings(family=kind, checkpoint=checkpoint or kind)


@pytest.fixture(scope="module")
def models(root: Path) -> dict[str, QwenVlBase]:
    found: dict[str, Any] = {kind: backbones.load(settings_of(kind), root, "cpu") for kind in KINDS}
    return found


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def model(kind: str, models: dict[str, QwenVlBase]) -> QwenVlBase:
    return models[kind]


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, model: QwenVlBase) -> Iterator[str]:
    """The model with one implementation of attention, put back afterwards."""
    with attending(model.model, request.param) as how:
        yield how


def picture(size: str, seed: int = 0) -> Image.Image:
    return picture_of(SIZES[size], seed)


def stock_inputs(model: QwenVlBase, pictures: list[Image.Image], questions: list[str]) -> Any:
    prompts = [model.prompt_text(question) for question in questions]
    return model.processor(images=pictures, text=prompts, padding=True, padding_side="left", return_tensors="pt")


def stock_texts(model: QwenVlBase, inputs: Any) -> list[str]:
    """What transformers' own `generate` answers."""
    return texts_of(model, generated(model.model, LONGEST, **inputs))


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("shared", [True, False], ids=["packed", "one_row_each"])
def test_all_tokens_kept_is_stock_generate_token_for_token(
    model: QwenVlBase, attention: str, batch: int, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "_rows", batch)
    for size in SIZES:
        questions, one = list(QUESTIONS[:batch]), picture(size)
        expected = stock_texts(model, stock_inputs(model, [one] * batch, questions))
        image = model.encode([one])[0]
        rows, columns = GRIDS[size]
        assert (image.count, model.grid(one.size)) == (rows * columns, GRIDS[size])
        each = 1 if shared else batch
        replies = ask(model, [image] * each, questions, everything(image, each), LONGEST)
        assert [reply.text for reply in replies] == expected
        assert len(set(expected)) > batch // 2
        inputs = stock_inputs(model, [one], questions[:1])
        assert replies[0].sequence == inputs["input_ids"].shape[1]
        assert replies[0].visual == (image.count,) * model.layers


def test_pictures_of_different_sizes_in_one_batch_are_stock_generate(model: QwenVlBase, attention: str) -> None:
    pictures = [picture(size, seed) for seed in (0, 1) for size in SIZES]
    expected = stock_texts(model, stock_inputs(model, pictures, list(QUESTIONS)))
    assert len(set(expected)) > 5
    images = model.encode(pictures)
    seen = [one for image in images for one in shown(model, [image], everything(image), 1)]
    assert [reply.text for reply in model.answer(seen, QUESTIONS, LONGEST)] == expected


@torch.inference_mode()
def stock_tokens(model: QwenVlBase, one: Image.Image) -> tuple[Tensor, list[Tensor]]:
    """[N, W] of the stock merger, and of DeepStack's."""
    inputs = model.processor.image_processor(images=[one], return_tensors="pt")
    found = model.model.model.get_image_features(**inputs, return_dict=True)
    return found.pooler_output[0], [deep[0] for deep in getattr(found, "deepstack_features", None) or []]


@pytest.mark.parametrize("size", SIZES)
def test_groups_pruned_before_the_merger_are_stock_tokens(model: QwenVlBase, kind: str, size: str) -> None:
    """The merger sees the kept groups only, whatever window they came from, and so do those of DeepStack."""
    tokens, deep = stock_tokens(model, picture(size))
    image = model.encode([picture(size)])[0]
    kept = torch.from_numpy(np.sort(np.random.default_rng(1).permutation(image.count)[: image.count // 2]))
    read: list[int] = []
    tower = model.model.model.visual
    mergers = [tower.merger, *getattr(tower, "deepstack_merger_list", [])]
    hooks = [merger.register_forward_pre_hook(lambda _, args: read.append(args[0].numel())) for merger in mergers]
    with torch.inference_mode():
        found = model.projected(image, Kept(kept))
    for hook in hooks:
        hook.remove()
    assert read == [len(kept) * MERGE**2 * 32] * (1 + len(DEEP[kind]))
    assert model.set_aside == WIDTH * len(DEEP[kind])
    torch.testing.assert_close(found, torch.cat([tokens, *deep], dim=-1)[kept], atol=1e-5, rtol=1e-4)
    (connected,) = model.connect([(image, Kept(kept))])
    torch.testing.assert_close(connected, found, atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def masked(model: QwenVlBase, one: Image.Image, question: str, kept: dict[int, list[int]]) -> tuple[str, Tensor]:
    """A literal transcription: every layer reads the whole prompt, and from a layer on nothing sees dropped tokens.

    Positions are those of the stock model's `get_rope_index`, DeepStack adds all of its features. `kept` says for some
    layers which visual tokens are left from there on. Returns the answer and its first logits.
    """
    inputs = stock_inputs(model, [one], [question])
    inner, decoder = model.model.model, model.model.model.language_model
    ids = inputs["input_ids"]
    places, delta = inner.get_rope_index(ids, inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    visual = (ids[0] == IMAGE).nonzero()[:, 0]
    tokens, deep = stock_tokens(model, one)
    embedded = inner.get_input_embeddings()(ids)
    embedded[0, visual] = tokens
    answer: list[int] = []
    first: Tensor | None = None
    for _ in range(LONGEST):
        total, state = embedded.shape[1], embedded
        hidden = torch.zeros(total, dtype=torch.bool)
        rotary = decoder.rotary_emb(state, places)
        for number, layer in enumerate(decoder.layers):
            if number in kept:
                hidden[visual] = True
                hidden[visual[kept[number]]] = False
            sees = (torch.ones(total, total, dtype=torch.bool).tril() & ~hidden[None]) | torch.eye(total).bool()
            mask = torch.zeros(total, total).masked_fill(~sees, torch.finfo(torch.float32).min)[None, None]
            state = layer(state, attention_mask=mask, position_embeddings=rotary)
            if number < len(deep):
                state[0, visual] += deep[number]
        logits = model.model.lm_head(decoder.norm(state)[0, -1])
        first = logits if first is None else first
        if int(logits.argmax()) == EOS:
            break
        answer.append(int(logits.argmax()))
        embedded = torch.cat([embedded, inner.get_input_embeddings()(torch.tensor([[answer[-1]]]))], dim=1)
        # Source: transformers `compute_3d_position_ids`: cache length of the whole prompt + `rope_deltas`.
        places = torch.cat([places, (total + delta).expand(3, 1, 1)], dim=2)
    assert first is not None
    return texts_of(model, [answer])[0], first


@pytest.mark.parametrize("size", ["wide", "large"])
@pytest.mark.parametrize("shared", [True, False], ids=["packed", "one_row_each"])
def test_dropped_tokens_are_as_if_hidden_from_the_whole_prompt(
    model: QwenVlBase, attention: str, size: str, shared: bool
) -> None:
    """Positions, those of decoded tokens among them, and DeepStack are the stock model's on the full picture."""
    image = model.encode([picture(size)])[0]
    kept = random.drawn(image.count, 0.5, generator(3)).tolist()
    questions = QUESTIONS[:3]
    expected = [masked(model, picture(size), question, {0: kept}) for question in questions]
    whole = masked(model, picture(size), questions[0], {})
    assert not torch.allclose(expected[0][1], whole[1], atol=0.05), "dropping must matter"
    index = torch.tensor([kept] * (1 if shared else 3))
    replies = ask(model, [image] * len(index), questions, index, LONGEST)
    assert [reply.text for reply in replies] == [text for text, _ in expected]
    for reply, (_, logits) in zip(replies, expected, strict=True):
        assert reply.yes_logit == pytest.approx(float(logits[model._verdicts.yes].max()), abs=1e-3)


def test_random_pruning_to_half_shortens_what_the_first_layer_receives(model: QwenVlBase) -> None:
    lengths: list[int] = []
    layer = model.model.model.language_model.layers[0]
    hook = layer.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    method = random.Random(random.Settings(keep=0.5))
    for size, (rows, columns) in GRIDS.items():
        tokens = model.encode([picture(size)])[0]
        (seen,) = show(model, method, [Picture(tokens, QUESTIONS[:1], lambda: generator(0))])
        lengths.clear()
        (reply,) = model.answer([seen[0].shown], QUESTIONS[:1], 1)
        half = kept_count(0.5, rows * columns)
        text = len(model.prompt(QUESTIONS[0]))
        assert lengths == [reply.sequence] == [half + text]
        assert reply.visual == (half,) * model.layers
        whole = stock_inputs(model, [picture(size)], [QUESTIONS[0]])["input_ids"].shape[1]
        assert whole - lengths[0] == rows * columns - half
    hook.remove()


def test_positions_are_the_stock_ones_at_the_kept_tokens(model: QwenVlBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the rotary embedding receives them, for the prompt and for decoded tokens, whose numbers go on from all."""
    received: list[Tensor] = []
    rotary = model.model.model.language_model.rotary_emb
    hook = rotary.register_forward_pre_hook(lambda _, args: received.append(args[1].clone()))
    monkeypatch.setattr(model, "language", replace(model.language, eos=frozenset()))
    pictures = [picture("wide"), picture("tall")]
    kept = torch.tensor([[0, 3, 9, 10, 23], [1, 2, 7, 15, 22]])
    ask(model, model.encode(pictures), QUESTIONS[:1] * 2, kept, 3)
    hook.remove()
    inputs = stock_inputs(model, pictures, [QUESTIONS[0]] * 2)
    ids = inputs["input_ids"]
    places, delta = model.model.model.get_rope_index(ids, inputs["mm_token_type_ids"], inputs["image_grid_thw"])
    assert [tuple(one.shape) for one in received] == [(3, 2, ids.shape[1] - 19), (3, 2, 1), (3, 2, 1)]
    for row, own in enumerate(kept):
        chosen = torch.ones(ids.shape[1], dtype=torch.bool)
        visual = (ids[row] == IMAGE).nonzero()[:, 0]
        chosen[visual] = False
        chosen[visual[own]] = True
        assert torch.equal(received[0][:, row], places[:, row, chosen])
        for step, one in enumerate(received[1:]):
            assert one[:, row, 0].tolist() == [int(ids.shape[1] + delta[row] + step)] * 3


RAGGED = {0: {1: [0, 3, 9, 10, 23], 3: [3, 23]}, 1: {2: [5]}, 2: {}}
"""Each prompt loses its own tokens at its own layers; the last one none."""


def dropping(kept: dict[int, dict[int, list[int]]], count: int) -> Narrowing:
    """What is left of each question's original tokens at some layers, given as indices into those still there."""
    left = {number: list(range(count)) for number in kept}

    def decide(number: int, layer: int, view: LanguageLayer) -> Kept | None:
        assert (view.depth, view.start, len(view.visual)) == (4, count, len(left[number]))
        if layer not in kept[number]:
            return None
        index = [left[number].index(i) for i in kept[number][layer]]
        left[number] = kept[number][layer]
        return Kept(torch.tensor(index))

    return Narrowing(decide)


def test_tokens_dropped_between_layers_are_as_if_hidden_from_there_on(model: QwenVlBase, attention: str) -> None:
    """DeepStack adds to those that are left what is theirs."""
    image = model.encode([picture("wide")])[0]
    questions = QUESTIONS[:3]
    expected = [masked(model, picture("wide"), question, RAGGED[i]) for i, question in enumerate(questions)]
    seen = shown(model, [image], everything(image), 3)
    replies = model.answer(seen, questions, LONGEST, narrowing=dropping(RAGGED, image.count))
    assert [reply.text for reply in replies] == [text for text, _ in expected]
    assert [reply.visual for reply in replies] == [(24, 5, 5, 2), (24, 24, 1, 1), (24,) * 4]
    assert [reply.left for reply in replies] == [(3, 23), (5,), tuple(range(24))]


@pytest.mark.parametrize("attention", ["eager"], indirect=True)
def test_the_view_between_layers_is_what_the_stock_layers_compute(model: QwenVlBase, attention: str) -> None:
    """Stock attention maps need eager attention."""
    one = picture("wide")
    inputs = stock_inputs(model, [one], [QUESTIONS[0]])
    with torch.inference_mode():
        whole = model.model.model(**inputs, output_attentions=True, output_hidden_states=True, use_cache=True)
    visual = (inputs["input_ids"][0] == IMAGE).nonzero()[:, 0]
    checked: list[int] = []

    def decide(number: int, layer: int, view: LanguageLayer) -> None:
        rows = torch.tensor([len(view.state) - 1, int(visual[4])])
        assert torch.equal(view.visual, visual)
        for previous in (False, True):
            if layer >= previous:
                at = layer - previous
                expected = whole.attentions[at][0][:, rows]
                torch.testing.assert_close(view.attention(rows, previous), expected, atol=1e-4, rtol=1e-3)
                expected = whole.past_key_values.layers[at].keys[0]
                torch.testing.assert_close(view.keys(previous), expected, atol=1e-4, rtol=1e-3)
        checked.append(layer)

    image = model.encode([one])[0]
    model.answer(shown(model, [image], everything(image), 1), QUESTIONS[:1], 1, narrowing=Narrowing(decide))
    assert checked == list(range(4))


@torch.inference_mode()
def slow_attention(model: QwenVlBase, one: Image.Image, layer: int, windowed: bool) -> Tensor:
    """[N] attention received by each group, patch by patch in the processor's order, windows found by coordinates."""
    tower = model.model.model.visual
    inputs = model.processor.image_processor(images=[one], return_tensors="pt")
    _, down, across = inputs["image_grid_thw"][0].tolist()
    heads = tower.blocks[layer].attn.num_heads
    joined: list[Tensor] = []
    turned: list[Tensor] = []
    hooks = [
        tower.blocks[layer].attn.qkv.register_forward_hook(lambda *found: joined.append(found[2])),
        tower.blocks[layer].register_forward_pre_hook(
            lambda _, __, kwargs: turned.extend(kwargs["position_embeddings"]), with_kwargs=True
        ),
    ]
    tower(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"])
    for hook in hooks:
        hook.remove()
    rows, columns = down // MERGE, across // MERGE
    raster = [(row, column) for row in range(rows) for column in range(columns)]
    order = sorted(raster, key=lambda at: (at[0] // 2, at[1] // 2, at)) if hasattr(tower, "window_size") else raster
    place = [at for at in order for _ in range(MERGE**2)]
    query, key, _ = joined[0].view(len(place), 3, heads, -1).unbind(1)
    half = query.shape[-1] // 2

    def rotated(part: Tensor) -> Tensor:
        cos, sin = (angle[:, None] for angle in turned)
        return part * cos + torch.cat([-part[..., half:], part[..., :half]], dim=-1) * sin

    query, key = rotated(query), rotated(key)
    received = dict.fromkeys(raster, 0.0)
    for i, own in enumerate(place):
        seen = [
            j for j, at in enumerate(place) if not windowed or (at[0] // 2, at[1] // 2) == (own[0] // 2, own[1] // 2)
        ]
        for head in range(heads):
            shares = (key[seen, head] @ query[i, head] / query.shape[-1] ** 0.5).softmax(dim=0)
            for j, share in zip(seen, shares.tolist(), strict=True):
                received[place[j]] += share / heads / len(place) / MERGE**2
    return torch.tensor([received[at] for at in raster])


@pytest.mark.parametrize("layer", [-1, 2])
def test_received_attention_is_the_mean_over_heads_queries_and_the_group(
    model: QwenVlBase, kind: str, layer: int
) -> None:
    """Also in a layer that looks into windows, at a picture that they leave a rest of."""
    image = model.encode([picture("wide")])[0]
    found = image.received_attention(layer)
    windowed = kind == "qwen2_5_vl" and layer == 2
    torch.testing.assert_close(found, slow_attention(model, picture("wide"), layer, windowed), atol=1e-5, rtol=1e-3)
    assert float(found.sum()) * MERGE**2 == pytest.approx(1.0, abs=1e-4), "every query gives away one"
    assert torch.equal(found, image.received_attention(layer % 4))


def test_a_large_picture_is_scored_part_by_part(model: QwenVlBase, monkeypatch: pytest.MonkeyPatch) -> None:
    image = model.encode([picture("large")])[0]
    found = image.received_attention(-1)
    monkeypatch.setattr("pruneproof.backbones.families._qwen_vl_tower._QUERIES", 7)
    torch.testing.assert_close(image.received_attention(-1), found, atol=1e-6, rtol=1e-5)


def test_keys_are_the_mean_over_the_group(model: QwenVlBase, kind: str) -> None:
    image = model.encode([picture("wide")])[0]
    joined: list[Tensor] = []
    tower = model.model.model.visual
    hook = tower.blocks[1].attn.qkv.register_forward_hook(lambda *found: joined.append(found[2]))
    stock_tokens(model, picture("wide"))
    hook.remove()
    raster = [(row, column) for row in range(3) for column in range(8)]
    order = sorted(raster, key=lambda at: (at[0] // 2, at[1] // 2, at)) if kind == "qwen2_5_vl" else raster
    for number, at in enumerate(raster):
        own = joined[0][order.index(at) * 4 : order.index(at) * 4 + 4, 32:64]
        torch.testing.assert_close(image.keys(1)[:, number].flatten(), own.mean(dim=0), atol=1e-5, rtol=1e-4)


def test_the_adapted_atp_runs_end_to_end(model: QwenVlBase) -> None:
    """S_intra by the tower, S_inter by the language model's words, of what the model reads at its input alone."""
    method = atp_received.build(atp_received.Settings(keep=0.25))
    tokens = model.encode([picture("large")])[0]
    (seen,) = show(model, method, [Picture(tokens, QUESTIONS[:4], lambda: generator(0))])
    first, _ = stock_tokens(model, picture("large"))
    words = ["there", "car", "in", "image"]
    embedded = torch.cat([model.words(word) for word in words])
    inter = torch.nn.functional.cosine_similarity(first[:, None], embedded[None], dim=-1).mean(dim=1)
    intra = tokens.received_attention(-1)
    scores = sum((one - one.min()) / (one.max() - one.min()) for one in (inter, intra))
    expected = scores.argsort(descending=True)[: kept_count(0.25, tokens.count)].sort().values  # type: ignore[union-attr]
    assert torch.equal(seen[0].patches, expected)
    assert seen[0].shown.rows.shape[1] == WIDTH + model.set_aside
    replies = model.answer([one.shown for one in seen], QUESTIONS[:4], 4)
    assert [reply.visual for reply in replies] == [(14,) * 4] * 4


def test_stored_images_answer_as_encoded_ones(model: QwenVlBase, tmp_path: Path) -> None:
    """What DeepStack needs is stored too."""
    pngs = [png(picture(size)) for size in ("wide", "large")]
    store = FeatureStore(tmp_path, "base", 2**22)
    written, read = (store.encode(model, pngs, Signals(keys=(0,))) for _ in range(2))
    fresh = model.encode([picture("wide"), picture("large")])
    kept = torch.tensor([[0, 2, 17], [5, 16, 52]])
    expected = ask(model, fresh, QUESTIONS[:2], kept, LONGEST)
    for images in (written, read):
        assert ask(model, images, QUESTIONS[:2], kept, LONGEST) == expected
        for stored, one in zip(images, fresh, strict=True):
            assert torch.equal(stored.received_attention(-1), one.received_attention(-1))
            assert torch.equal(stored.keys(0), one.keys(0))
            assert torch.equal(stored.places, one.places)
            assert torch.equal(stored.tower_features, one.tower_features)
            assert stored.tower_features.shape[1] == 32 * MERGE**2
    assert fresh[1].places[10].tolist() == [0, 1, 1]


def test_a_token_that_is_no_group_stands_in_the_middle(model: QwenVlBase) -> None:
    image = model.encode([picture("square")])[0]
    (rows,) = model.connect([(image, Kept(torch.tensor([0]), torch.full((1, 25), 1 / 25)))])
    places, following = model.placed(4, backbones.Shown(rows, torch.tensor([-1]), image.size))
    assert places.tolist() == [[0] * 3, [1] * 3, [2] * 3, [3] * 3, [4, 6, 6]]
    assert following == 9


@pytest.mark.parametrize("size", MAPPED.values(), ids=MAPPED)
def test_boxes_say_what_the_groups_show(model: QwenVlBase, kind: str, root: Path, size: tuple[int, int]) -> None:
    processor = model.processor.image_processor
    mean, std = (np.reshape(values, (3, 1)) for values in (processor.image_mean, processor.image_std))
    pixels = processor(images=[map_of(size)], return_tensors="pt").pixel_values
    groups = np.asarray(pixels, float).reshape(-1, MERGE**2, 3, 2 * PATCH**2).mean((1, 3))
    boxes = backbones.patch_boxes(settings_of(kind), root)(size)
    assert len(boxes) == model.encode([map_of(size)])[0].count
    check(boxes, 255 * (groups * std.T + mean.T), size)


@pytest.mark.parametrize("size", ["square", "wide", "large"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_components_cost_what_the_formula_says(model: QwenVlBase, size: str, share: float) -> None:
    """Only kept groups pass the mergers, and windows cost what they hold."""
    rows, columns = GRIDS[size]
    image = model.encode([picture(size)])[0]
    kept = torch.arange(kept_count(share, image.count))
    text = len(model.prompt(QUESTIONS[0]))
    formula = flops.qwen_vl(model.model.config, rows, columns, len(kept), text, received=True)
    assert counted(lambda: model.encode([picture(size)])) == formula.vision_tower
    assert counted(lambda: image.received_attention(-1)) == formula.scoring
    parts = components(model, image, QUESTIONS[0], kept[None])
    assert {name: counted(work) for name, work in parts.work.items()} == {
        "connector": formula.connector, "prefill": formula.prefill, "decode": formula.decode,
    }  # fmt: skip
    assert flops.qwen_vl(model.model.config, rows, columns, len(kept), text).scoring == 0
    # Keys and values of 4 layers with 2 heads of 16, in 4 bytes.
    assert parts.kv_cache_bytes == (text + len(kept)) * 2 * 4 * 2 * 16 * 4


REFUSED = {
    "atp": "looks at `cls_attention`, which it does not have: its vision tower has no class token; take `atp_received`",
    "fastervlm": "looks at `cls_attention`",
    "visionzip": "looks at `cls_attention`",
    "prumerge_plus": "looks at `joined_attention`",
    "cdpruner": "looks at `aligned`",
    "trim": "looks at `projected`, which it does not have: its vision tower is not CLIP's; take `atp_received`",
    "tome": "acts at the door 'tower', which it does not have",
    "pyramiddrop": "numbers the tokens that are left anew, which it cannot: its visual tokens are numbered by row and",
    "sparsevlm": "numbers the tokens that are left anew",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_tower_does_not_give_is_refused_before_a_run(kind: str, name: str) -> None:
    options = {} if name in ("pyramiddrop", "sparsevlm") else {"keep": 0.25}
    (problem,) = door_problems({"m": {"method": name, **options}}, {"it": {"family": kind}})
    assert REFUSED[name] in problem.what
    assert problem.what.endswith("give it a list `methods` without it")


@pytest.mark.parametrize("name", ["atp_received", "random", "divprune", "mmtok", "dart", "fastv", "average_pool"])
def test_what_needs_neither_cls_nor_clip_is_let_through(kind: str, name: str) -> None:
    assert list(door_problems({"m": {"method": name, "keep": 0.25}}, {"it": {"family": kind}})) == []


def test_signals_that_are_not_there_are_refused_where_validation_did_not_run(model: QwenVlBase) -> None:
    image = model.encode([picture("square")])[0]
    assert isinstance(image, GroupedImage)
    assert len(image.cls) == 0
    for name in ("cls_attention", "joined_attention", "aligned", "projected"):
        with pytest.raises(PruneProofError, match="neither: take `atp_received`"):
            getattr(image, name)(-1)
    with pytest.raises(PruneProofError, match="layer 4 of the vision tower, which has 4 layers: give 0 to 3"):
        image.received_attention(4)


BROKEN: dict[str, tuple[str, dict[str, Any], str]] = {
    "windows in the last layer": (
        "qwen2_5_vl",
        {"fullatt_block_indexes": [1]},
        "last layer of its vision tower, 3, must",
    ),
    "a sliding window": (
        "qwen2_5_vl",
        {"text_use_sliding_window": True, "text_sliding_window": 8, "text_max_window_layers": 2},
        "see a sliding window",
    ),
    "too deep a stack": (
        "qwen3_vl",
        {"text_num_hidden_layers": 2},
        "has 2 layers in its language model, which must be",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_checkpoint_that_cannot_be_served_is_one_line(case: str, tmp_path: Path) -> None:
    kind, changed, what = BROKEN[case]
    save_qwen_vl(tmp_path / "it", kind, **changed)
    with pytest.raises(PruneProofError, match=what) as error:
        backbones.load(settings_of(kind, "it"), tmp_path, "cpu")
    assert "\n" not in str(error.value)


def test_another_family_and_a_processor_that_does_not_resize_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(PruneProofError, match="is a 'qwen3_vl' model, not qwen2_5_vl: change `family`"):
        backbones.load(settings_of("qwen2_5_vl", "qwen3_vl"), root, "cpu")
    save_qwen_vl(tmp_path / "it")
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (tmp_path / "it" / name).is_file():
            values = json.loads((tmp_path / "it" / name).read_text())
            values.get("image_processor", values)["do_resize"] = False
            (tmp_path / "it" / name).write_text(json.dumps(values))
    with pytest.raises(PruneProofError, match="must resize pictures between a least and a most number of pixels"):
        backbones.patch_boxes(settings_of("qwen2_5_vl", "it"), tmp_path)


def test_fewer_pixels_than_one_group_has_are_refused(kind: str, root: Path) -> None:
    settings = settings_of(kind).model_copy(update={"pixels": (10, 783)})
    with pytest.raises(PruneProofError, match=r"is \[10, 783\], but its smallest picture is one group of 28 x 28, 784"):
        backbones.patch_boxes(settings, root)


def test_a_strip_that_the_processor_refuses_is_one_line(model: QwenVlBase) -> None:
    for read in (lambda: model.grid((402, 2)), lambda: model.encode([Image.new("RGB", (402, 2))])):
        with pytest.raises(PruneProofError, match="a picture of 402 x 2 pixels cannot be read"):
            read()


def test_numbers_of_pixels_in_the_settings_come_before_those_of_the_checkpoint(kind: str, root: Path) -> None:
    """About as many groups for every picture if they are the same number."""
    side = (PATCH * MERGE) ** 2
    settings = settings_of(kind).model_copy(update={"pixels": (16 * side, 16 * side)})
    loaded: Any = backbones.load(settings, root, "cpu")
    boxes = backbones.patch_boxes(settings, root)
    for size, number in {"square": 16, "wide": 21, "tall": 21, "large": 12}.items():
        assert loaded.encode([picture(size)])[0].count == len(boxes(SIZES[size])) == number
    assert len(backbones.patch_boxes(settings_of(kind), root)(SIZES["large"])) == 54
