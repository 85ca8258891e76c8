from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, components, shown
from tests.backbones._llava_next_checkpoint import SIDE
from tests.backbones._llava_onevision_checkpoint import save_llava_onevision
from tests.backbones.families._alike import (
    QUESTIONS,
    attending,
    change_json,
    check_as_if_alone,
    check_half_precision,
    check_not_flat,
    check_varied,
    check_verdict_logits,
    counted,
    decoded,
    eager_maps,
    everything,
    generated,
    half,
    picture_of,
    png,
    refused,
    texts_of,
)
from tests.conftest import IMAGE
from torch import Tensor
from torch.nn.functional import interpolate

from pruneproof import backbones
from pruneproof.answering.doors import whole
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones import Narrowing, flops
from pruneproof.backbones.families._siglip import SiglipImage
from pruneproof.backbones.families.llava_onevision import LlavaOnevision
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, LanguageLayer, Signals
from pruneproof.settings import BackboneSettings

LONGEST = 8
SIZES = {"square": (80, 80), "wide": (150, 50), "small": (56, 40), "narrow": (33, 200), "sliver": (2, 400)}
"""Width and height: 4 and 3 tiles, made smaller; 1 tile; 3 with unpadding; and one without any patch of its tiles."""
SETTINGS = BackboneSettings(family="llava_onevision", checkpoint="checkpoint")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    save_llava_onevision(root / "checkpoint")
    return root


@pytest.fixture(scope="module")
def loaded(project: Path) -> LlavaOnevision:
    found = backbones.load(SETTINGS, project, "cpu")
    assert isinstance(found, LlavaOnevision)
    return found


@pytest.fixture(params=["sdpa", "eager"])
def model(request: pytest.FixtureRequest, loaded: LlavaOnevision) -> Iterator[LlavaOnevision]:
    """With each implementation of attention, put back afterwards."""
    with attending(loaded.model, request.param):
        yield loaded


def picture(size: str, seed: int = 0) -> Image.Image:
    return picture_of(SIZES[size], seed)


def encoded(model: LlavaOnevision, size: str, seed: int = 0) -> SiglipImage:
    image = model.encode([picture(size, seed)])[0]
    assert isinstance(image, SiglipImage)
    return image


def stock_features(model: LlavaOnevision, size: str) -> Tensor:
    """[L, W] what the stock model puts into the picture's place, newlines among it."""
    inputs = model.processor.image_processor(images=[picture(size)], return_tensors="pt")
    with torch.inference_mode():
        packed: Tensor = model.model.get_image_features(**inputs, return_dict=True).pooler_output[0]
    return packed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("batch", "shared"), [(1, True), (8, True), (8, False)], ids=["one", "packed", "one_row_each"])
def test_all_tokens_kept_is_stock_generate_token_for_token(
    model: LlavaOnevision, size: str, batch: int, shared: bool
) -> None:
    questions = list(QUESTIONS[:batch])
    model.processor.tokenizer.padding_side = "left"
    inputs = model.processor(
        images=[picture(size)] * batch,
        text=[model.prompt_text(question) for question in questions],
        padding=True,
        return_tensors="pt",
    )
    expected = generated(model.model, LONGEST, **inputs)
    image = encoded(model, size)
    assert len(model.laid_out(whole(model, image))[0]) == int((inputs.input_ids[0] == IMAGE).sum())
    with decoded(model) as found:
        ask(model, [image], questions, everything(image, 1 if shared else batch), LONGEST)
    assert found == expected
    if batch == 8:
        check_varied(expected, more_than=3)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_left_after_pruning_is_the_stock_models_own_rows(loaded: LlavaOnevision, size: str) -> None:
    """Half of the tokens at random: the rows at those places of the stock sequence, and no other reaches the model."""
    packed = stock_features(loaded, size)
    image = encoded(loaded, size)
    rows, places = loaded.laid_out(whole(loaded, image))
    torch.testing.assert_close(rows, packed, atol=1e-5, rtol=1e-4)
    assert torch.equal(
        torch.cat([packed, packed[:0]])[[i for i in range(len(packed)) if i not in places]],
        loaded.model.model.image_newline.expand(len(packed) - image.count, -1),
    )
    kept = half(image)
    only = shown(loaded, [image], kept[None], 1)[0]
    torch.testing.assert_close(only.rows, packed[places[kept]], atol=1e-5, rtol=1e-4)
    lengths: list[int] = []
    hook = loaded.language.decoder.layers[0].register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    try:
        reply = loaded.answer([only], QUESTIONS[:1], 1)[0]
    finally:
        hook.remove()
    newlines = len({int(row) for row in image.places[kept, 1][image.places[kept, 0] == 1]})
    bare = len(packed) - image.count if size == "sliver" else 0
    assert lengths == [len(loaded.prompt(QUESTIONS[0])) + len(kept) + newlines + bare]
    assert reply.sequence == lengths[0]
    assert reply.visual == (len(kept),) * loaded.layers


def test_pruned_answers_are_stock_generate_on_the_rows_that_are_kept(model: LlavaOnevision) -> None:
    image = encoded(model, "wide")
    packed, places = stock_features(model, "wide"), model.laid_out(whole(model, image))[1]
    row_of = image.places[:, 1]
    embed = model.language.embed
    for question, kept in zip(QUESTIONS[:3], ([0, 9, 17, 22, 40], [1, 15, 29, 30, 31], [0, 3, 7, 8, 12]), strict=True):
        read: list[Tensor] = []
        for i, token in enumerate(kept):
            read.append(packed[places[token]])
            later = kept[i + 1] if i + 1 < len(kept) else None
            if token >= SIDE**2 and (later is None or row_of[later] != row_of[token]):
                read.append(model.model.model.image_newline)
        prompt = model.prompt(question)
        parts = [embed(torch.tensor(prompt.before)), torch.stack(read), embed(torch.tensor(prompt.after))]
        inputs = torch.cat(parts)[None]
        with torch.inference_mode():
            logits = model.model(inputs_embeds=inputs).logits[0, -1]
        reply = ask(model, [image], [question], torch.tensor([kept]), LONGEST)[0]
        (expected,) = texts_of(model, generated(model.model, LONGEST, inputs_embeds=inputs))
        assert reply.text == expected
        check_verdict_logits(model, reply, logits, abs=1e-4)


def test_pictures_of_several_sizes_are_answered_as_if_alone(loaded: LlavaOnevision) -> None:
    images = [encoded(loaded, size) for size in ("square", "narrow", "small", "wide")]
    kept = torch.tensor([[0, 1, 2], [3, 20, 39], [0, 1, 2], [9, 20, 40]])
    check_as_if_alone(loaded, images, QUESTIONS[:4], kept, LONGEST, abs=1e-4)


def test_stored_images_answer_as_encoded_ones(loaded: LlavaOnevision, tmp_path: Path) -> None:
    """Two of one size among them, which share the places of their tokens."""
    pngs = [png(picture(size, seed)) for size, seed in (("square", 0), ("square", 1), ("narrow", 0))]
    store = FeatureStore(tmp_path, "base", 2**20)
    written, read = (store.encode(loaded, pngs, Signals()) for _ in range(2))
    fresh = [encoded(loaded, "square"), encoded(loaded, "square", 1), encoded(loaded, "narrow")]
    kept = torch.tensor([[0, 2, 17, 18, 39], [5, 16, 25, 30, 31], [0, 8, 16, 17, 39]])
    expected = ask(loaded, fresh, QUESTIONS[:3], kept, LONGEST)
    for images in (written, read):
        assert ask(loaded, images, QUESTIONS[:3], kept, LONGEST) == expected
        for image, own in zip(images, fresh, strict=True):
            assert torch.equal(image.received_attention(-1), own.received_attention(-1))
            assert torch.equal(image.places, own.places)


@torch.inference_mode()
@pytest.mark.parametrize("size", ["square", "narrow"])
@pytest.mark.parametrize("layer", [-1, -3])
def test_received_attention_is_that_of_each_crop_in_eager_attention(
    loaded: LlavaOnevision, size: str, layer: int
) -> None:
    tower = loaded.model.model.vision_tower
    maps = eager_maps(tower, loaded.pixels([picture(size)])[0])[layer]
    crops = maps.mean(dim=(1, 2))
    if size == "square":
        # By hand: 2 x 2 tiles of 4 x 4, no padding, made smaller to 5 x 5 as the stock model does with features.
        left, right = (crops[[i, i + 2]].reshape(2 * SIDE, SIDE) for i in (1, 2))
        grid = interpolate(torch.cat([left, right], dim=1)[None, None], [5, 5], mode="bilinear")
    else:
        # Three tiles below each other, of whose 4 columns the outer ones show padding.
        grid = crops[1:].reshape(3 * SIDE, SIDE)[:, 1:3]
    image = encoded(loaded, size)
    found = image.received_attention(layer)
    torch.testing.assert_close(found, torch.cat([crops[0], grid.flatten()]), atol=1e-6, rtol=1e-4)
    check_not_flat(found)
    block = tower.encoder.layers[layer]
    keys = block.self_attn.k_proj(block.layer_norm1(image.states[range(3)[layer]])[0]).view(SIDE**2, 3, 16)
    torch.testing.assert_close(image.keys(layer)[:, : SIDE**2], keys.transpose(0, 1), atol=1e-5, rtol=1e-4)
    assert image.keys(layer).shape == (3, image.count, 16)


def test_what_is_not_there_is_refused(loaded: LlavaOnevision) -> None:
    image = encoded(loaded, "small")
    assert image.cls.shape == (0, 48)
    for signal in ("cls_attention", "joined_attention", "aligned", "projected"):
        with pytest.raises(PruneProofError, match=rf"{signal}\(-1\)"):
            getattr(image, signal)(-1)
    with pytest.raises(PruneProofError, match=r"layer -9 .*3 layers"):
        image.received_attention(-9)
    with pytest.raises(PruneProofError, match="packed patch by patch"):
        loaded.encode([picture("small")], side=lambda side: side)


@torch.inference_mode()
@pytest.mark.parametrize("size", ["square", "small"])
def test_merged_tokens_pass_the_projector_once(loaded: LlavaOnevision, size: str) -> None:
    """Of a grid that was made smaller, what is merged is the tower's output made smaller in the same way."""
    image = encoded(loaded, size)
    weights = torch.rand(2, image.count, generator=torch.Generator().manual_seed(0))
    features = image.features
    if size == "square":
        whole = image.states[-1].view(5, SIDE, SIDE, -1)
        rows = [torch.cat([whole[i], whole[i + 1]], dim=1) for i in (1, 3)]
        grid = interpolate(torch.cat(rows).permute(2, 0, 1)[None], [5, 5], mode="bilinear")[0]
        features = torch.cat([whole[0].flatten(0, 1), grid.flatten(1).T])
    expected = loaded.model.model.multi_modal_projector(weights @ features)
    (found,) = loaded.connect([(image, Kept(torch.tensor([-1, 3]), weights))])
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_method_inside_the_language_model_drops_tokens_and_no_newlines(loaded: LlavaOnevision) -> None:
    image = encoded(loaded, "square")
    kept = half(image)

    def decide(question: int, layer: int, view: LanguageLayer) -> Kept | None:
        assert view.start == image.count
        return Kept(kept) if layer == 1 else None

    (reply,) = ask(loaded, [image], QUESTIONS[:1], everything(image), LONGEST, narrowing=Narrowing(decide))
    assert reply.visual == (image.count, len(kept))
    assert reply.left == tuple(kept.tolist())
    assert reply.sequence == len(loaded.prompt(QUESTIONS[0])) + image.count + 5
    nothing = Narrowing(lambda *_: None)
    replies = [ask(loaded, [image], QUESTIONS, everything(image), LONGEST, narrowing=one) for one in (None, nothing)]
    assert [reply.text for reply in replies[0]] == [reply.text for reply in replies[1]]


@pytest.mark.parametrize("size", ["square", "narrow"])
def test_components_cost_what_the_formula_says(loaded: LlavaOnevision, size: str) -> None:
    image, config = encoded(loaded, size), loaded.model.config
    text = len(loaded.prompt(QUESTIONS[0]))
    for kept in (torch.arange(image.count), half(image)):
        patches = len(torch.unique(image.packing.patches[kept]))
        newlines = len(torch.unique(image.places[kept, 1][image.places[kept, 0] == 1]))
        formula = flops.llava_onevision(config, len(image.states[0]), patches, len(kept), newlines, text)
        assert counted(lambda: loaded.encode([picture(size)])) == formula.vision_tower
        parts = components(loaded, image, QUESTIONS[0], kept[None])
        assert {name: counted(work) for name, work in parts.work.items()} == {
            "connector": formula.connector, "prefill": formula.prefill, "decode": formula.decode,
        }  # fmt: skip
        # Keys and values of 2 layers with 2 heads of 16, in 4 bytes.
        assert parts.kv_cache_bytes == (text + len(kept) + newlines) * 2 * 2 * 2 * 16 * 4


def test_bfloat16_gives_the_stock_logits_within_tolerance(project: Path) -> None:
    small = backbones.load(SETTINGS.model_copy(update={"dtype": "bfloat16"}), project, "cpu")
    assert isinstance(small, LlavaOnevision)
    image = encoded(small, "square")
    inputs = small.processor(images=[picture("square")], text=[small.prompt_text(QUESTIONS[0])], return_tensors="pt")
    with torch.inference_mode():
        logits = small.model(**inputs.to(torch.bfloat16)).logits[0, -1].float()
    reply = ask(small, [image], [QUESTIONS[0]], everything(image), 1)[0]
    check_half_precision(small, reply, logits)


def broken(project: Path, to: Path, file: str, **changes: Any) -> str:
    """What loading says of a checkpoint with other values in one of its files."""
    shutil.copytree(project / "checkpoint", to / "checkpoint")
    change_json(to / "checkpoint" / file, **changes)
    return refused(lambda: backbones.load(SETTINGS, to, "cpu"))


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("config.json", {"model_type": "llava_next"}, "is a 'llava_next' model, not llava_onevision: change `family`"),
        ("config.json", {"vision_feature_layer": [-2]}, "vision_feature_layer [-2]"),
        ("config.json", {"vision_feature_select_strategy": "default"}, "'default': only patches of one layer"),
        ("config.json", {"vision_aspect_ratio": "anyres"}, "vision_aspect_ratio 'anyres': it must be 'anyres_max_'"),
        ("processor_config.json", {"image_grid_pinpoints": [[56, 112]]}, "[[56, 112]] in its image processor"),
    ],
)
def test_checkpoints_that_are_packed_otherwise_are_refused(
    project: Path, tmp_path: Path, file: str, changes: dict[str, Any], said: str
) -> None:
    assert said in broken(project, tmp_path, file, **changes)
