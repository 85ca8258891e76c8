from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, components, relevance
from tests.backbones._llava_next_checkpoint import SIDE, save_llava_next
from tests.backbones.families._alike import (
    QUESTIONS,
    attending,
    change_json,
    check_as_if_alone,
    check_half_precision,
    check_not_flat,
    check_shared_selection,
    check_varied,
    check_verdict_logits,
    counted,
    decoded,
    eager_maps,
    everything,
    generated,
    picture_of,
    png,
    refused,
    texts_of,
)
from tests.conftest import IMAGE
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.doors import whole
from pruneproof.answering.features import FeatureStore
from pruneproof.answering.views import Questions
from pruneproof.backbones import flops
from pruneproof.backbones.families.llava_next import CroppedImage, LlavaNext
from pruneproof.errors import PruneProofError
from pruneproof.pruning import atp
from pruneproof.pruning.protocol import Signals
from pruneproof.settings import BackboneSettings

LONGEST = 12
SIZES = {"square": (80, 80), "wide": (150, 50), "tall": (50, 150), "narrow": (33, 200), "sliver": (2, 400)}
"""Width and height; the sliver is narrower than a patch."""
KINDS: dict[str, dict[str, Any]] = {
    "vicuna": {},
    "mistral": {"mistral": True},
    "other_grids": {"grids": [[112, 168], [56, 56], [168, 112]]},
}


def settings_of(kind: str) -> BackboneSettings:
    return BackboneSettings(
        family="llava_next", checkpoint=f"data/backbones/{kind}", text_tower=f"data/backbones/{kind}/clip"
    )


def load(settings: BackboneSettings, root: Path) -> LlavaNext:
    loaded = backbones.load(settings, root, "cpu")
    assert isinstance(loaded, LlavaNext)
    return loaded


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for kind, options in KINDS.items():
        save_llava_next(root / "data/backbones" / kind, **options)
    return root


@pytest.fixture(scope="module")
def models(project: Path) -> dict[str, LlavaNext]:
    return {kind: load(settings_of(kind), project) for kind in KINDS}


@pytest.fixture
def vicuna(models: dict[str, LlavaNext]) -> LlavaNext:
    return models["vicuna"]


@pytest.fixture(params=list(KINDS))
def model(request: pytest.FixtureRequest, models: dict[str, LlavaNext]) -> LlavaNext:
    return models[request.param]


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, model: LlavaNext) -> Iterator[str]:
    """The model with one implementation of attention, put back afterwards."""
    with attending(model.model, request.param) as how:
        yield how


def stock_inputs(model: LlavaNext, shown: Image.Image, questions: list[str]) -> Any:
    prompts = [model.prompt_text(question) for question in questions]
    model.processor.tokenizer.padding_side = "left"
    return model.processor(images=[shown] * len(prompts), text=prompts, padding=True, return_tensors="pt")


def stock_features(model: LlavaNext, shown: Image.Image) -> Tensor:
    """[L, W] what the stock model puts into the image's place, newlines among it."""
    inputs = model.processor.image_processor(images=[shown], return_tensors="pt")
    with torch.inference_mode():
        packed: Tensor = model.model.get_image_features(**inputs, return_dict=True).pooler_output[0]
    return packed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("shared", [True, False], ids=["packed", "one_row_each"])
def test_all_tokens_kept_is_stock_generate_token_for_token(
    model: LlavaNext, attention: str, size: str, batch: int, shared: bool
) -> None:
    questions, shown = list(QUESTIONS[:batch]), picture_of(SIZES[size])
    inputs = stock_inputs(model, shown, questions)
    expected = generated(model.model, LONGEST, **inputs)
    image = model.encode([shown])[0]
    assert len(model.laid_out(whole(model, image))[0]) == int((inputs.input_ids[0] == IMAGE).sum())
    with decoded(model) as found:
        ask(model, [image], questions, everything(image, 1 if shared else batch), LONGEST)
    assert found == expected
    if batch == 8:
        check_varied(expected, more_than=4)


def test_bfloat16_gives_the_stock_logits_within_tolerance(project: Path) -> None:
    half = load(settings_of("vicuna").model_copy(update={"dtype": "bfloat16"}), project)
    shown = picture_of(SIZES["wide"])
    image = half.encode([shown])[0]
    inputs = stock_inputs(half, shown, [QUESTIONS[0]])
    with torch.inference_mode():
        logits = half.model(**inputs.to(torch.bfloat16)).logits[0, -1].float()
    reply = ask(half, [image], [QUESTIONS[0]], everything(image), 1)[0]
    check_half_precision(half, reply, logits)


def kept_rows(packed: Tensor, newline: Tensor, kept: list[int]) -> Tensor:
    """Of the stock sequence, the kept patches, and the newline of every row that keeps one; one by one."""
    found, number, left = [], 0, False
    for i, row in enumerate(packed):
        if i >= SIDE**2 and torch.equal(row, newline):
            found += [row] if left else []
            left = False
            continue
        if number in kept:
            found.append(row)
            left = i >= SIDE**2
        number += 1
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["vicuna", "mistral"])
def test_pruned_answers_are_stock_generate_on_the_rows_that_are_kept(models: dict[str, LlavaNext], kind: str) -> None:
    """The three selections keep 3, 1 and 0 newlines, so their prompts differ in length."""
    model = models[kind]
    shown = picture_of(SIZES["wide"], 1)
    image = model.encode([shown])[0]
    kept = torch.tensor([[0, 9, 17, 40, 63], [1, 15, 29, 30, 31], [0, 3, 7, 8, 12]])
    assert [len(model.layout(image.size).reading(row)) - 5 for row in kept] == [3, 1, 0]
    questions = list(QUESTIONS[:3])
    replies = ask(model, [image], questions, kept, LONGEST)
    packed, newline, embed = stock_features(model, shown), model.model.model.image_newline, model.language.embed
    for question, chosen, reply in zip(questions, kept.tolist(), replies, strict=True):
        prompt = model.prompt(question)
        parts = [embed(torch.tensor(prompt.before)), kept_rows(packed, newline, chosen)]
        embeddings = torch.cat([*parts, embed(torch.tensor(prompt.after))])[None]
        with torch.inference_mode():
            logits = model.model(inputs_embeds=embeddings).logits[0, -1]
        assert [reply.text] == texts_of(model, generated(model.model, LONGEST, inputs_embeds=embeddings))
        check_verdict_logits(model, reply, logits, abs=1e-4)


def test_a_shared_selection_answers_as_the_same_selection_for_each_question(vicuna: LlavaNext) -> None:
    image = vicuna.encode([picture_of(SIZES["tall"])])[0]
    check_shared_selection(vicuna, image, [1, 2, 16, 20, 21, 45], LONGEST, abs=1e-4)


def test_rows_of_pictures_of_other_sizes_are_answered_as_if_alone(vicuna: LlavaNext) -> None:
    shown = [picture_of(SIZES[size]) for size in ("square", "narrow", "wide")]
    square, narrow, wide = vicuna.encode(shown)
    images = [square, narrow, narrow, wide]
    kept = torch.tensor([[0, 1, 2], [3, 20, 39], [0, 1, 2], [9, 20, 63]])
    questions = [QUESTIONS[3], QUESTIONS[1], QUESTIONS[3], QUESTIONS[5]]
    together = check_as_if_alone(vicuna, images, questions, kept, LONGEST, abs=1e-4)
    assert together[0] != together[2], "the same question on another image"


def test_one_selection_for_several_pictures(vicuna: LlavaNext) -> None:
    images = vicuna.encode([picture_of(SIZES["square"], seed) for seed in range(2)])
    kept = torch.tensor([[2, 30, 31, 70]])
    together = ask(vicuna, images, QUESTIONS[:2], kept, LONGEST)
    alone = [ask(vicuna, [image], [QUESTIONS[i]], kept, LONGEST)[0] for i, image in enumerate(images)]
    assert [reply.text for reply in together] == [reply.text for reply in alone]


@pytest.mark.parametrize("size", SIZES)
def test_features_are_what_the_projector_of_transformers_receives(vicuna: LlavaNext, size: str) -> None:
    shown = picture_of(SIZES[size])
    image = vicuna.encode([shown])[0]
    assert image.size == SIZES[size]
    assert image.cls.shape == (0, 48)
    rows, places = vicuna.laid_out(whole(vicuna, image))
    with torch.inference_mode():
        torch.testing.assert_close(rows, stock_features(vicuna, shown))
        torch.testing.assert_close(rows[places], vicuna.model.model.multi_modal_projector(image.features))


def test_a_picture_is_encoded_the_same_whatever_stands_beside_it(vicuna: LlavaNext) -> None:
    shown = [picture_of(size) for size in SIZES.values()]
    for together, alone in zip(vicuna.encode(shown), (vicuna.encode([one])[0] for one in shown), strict=True):
        assert torch.equal(together.features, alone.features)
        assert torch.equal(together.cls_attention(-1), alone.cls_attention(-1))


@pytest.mark.parametrize("layer", [-1, -2, -3])
def test_attention_is_the_cls_row_of_each_crop_in_eager_attention(vicuna: LlavaNext, layer: int) -> None:
    shown = picture_of(SIZES["wide"])
    image = vicuna.encode([shown])[0]
    maps = eager_maps(vicuna.model.model.vision_tower, vicuna.pixels([shown])[0])[layer]
    crops = maps[:, :, 0, 1:].mean(1)
    assert len(crops) == 1 + 3, "150 x 50 fits the grid of one row and three tiles best"
    # By hand: each tile gives its 4 x 4, tiles lie side by side, and nothing of this picture is padding.
    grid = torch.cat([crop.view(SIDE, SIDE) for crop in crops[1:]], dim=1)
    row = image.cls_attention(layer)
    torch.testing.assert_close(row, torch.cat([crops[0], grid.flatten()]))
    check_not_flat(row)


def test_attention_of_a_layer_that_is_not_there(vicuna: LlavaNext) -> None:
    with pytest.raises(PruneProofError, match=r"layer -9 .*3 layers"):
        vicuna.encode([picture_of((60, 60))])[0].cls_attention(-9)


def test_one_budget_is_shared_over_the_crops(vicuna: LlavaNext) -> None:
    """The best 24 of 80 patches, wherever they lie: no crop has a quota."""
    image = vicuna.encode([picture_of(SIZES["square"])])[0]
    method = atp.build(atp.Settings(keep=0.3, alpha=0.0))
    (one,) = method.select(image, Questions(QUESTIONS, vicuna, method.signals), np.random.default_rng(0))
    kept = one.index
    assert kept.shape == (24,)
    scores = image.cls_attention(-1)
    left = torch.ones(80, dtype=torch.bool).scatter(0, kept, False)
    assert float(scores[kept].min()) >= float(scores[left].max())
    assert isinstance(image, CroppedImage)
    of_crop = torch.bincount(image.order[kept] // SIDE**2, minlength=5)
    assert int(of_crop.sum()) == 24
    assert len(set(of_crop.tolist())) > 1


def test_relevance_lives_in_clip_space(vicuna: LlavaNext) -> None:
    """Taken through the same norm and projection, each crop's CLS is open_clip's own embedding of it."""
    shown = picture_of(SIZES["square"])
    image = vicuna.encode([shown])[0]
    assert isinstance(image, CroppedImage)
    clip = vicuna.clip.matched
    with torch.inference_mode():
        expected = clip.model.encode_image(vicuna.pixels([shown])[0], normalize=True)
        asked = clip.model.encode_text(clip.tokenizer(list(QUESTIONS)), normalize=True)
    whole = [vicuna.clip.project(crop.states[-1]) for crop in image.crops]
    torch.testing.assert_close(torch.stack([one[0] for one in whole]), expected, atol=1e-5, rtol=1e-4)
    top, bottom = (torch.cat([whole[i][1:].view(SIDE, SIDE, -1) for i in pair], dim=1) for pair in ((1, 2), (3, 4)))
    patches = torch.cat([whole[0][1:], torch.cat([top, bottom]).flatten(0, 1)])
    scores = relevance(vicuna, image, QUESTIONS)
    assert scores.shape == (8, 80)
    torch.testing.assert_close(scores, asked @ patches.T, atol=1e-5, rtol=1e-4)


def test_stored_images_answer_as_encoded_ones(vicuna: LlavaNext, tmp_path: Path) -> None:
    shown = [picture_of(SIZES[size]) for size in ("square", "narrow")]
    pngs = [png(one) for one in shown]
    store = FeatureStore(tmp_path, "base", 2**20)
    written, read = (store.encode(vicuna, pngs, Signals()) for _ in range(2))
    kept = torch.tensor([[0, 2, 17, 18, 39], [5, 16, 25, 30, 31]])
    fresh = vicuna.encode(shown)
    expected = ask(vicuna, fresh, QUESTIONS[:2], kept, LONGEST)
    for images in (written, read):
        assert ask(vicuna, images, QUESTIONS[:2], kept, LONGEST) == expected
        assert torch.equal(images[1].cls_attention(-1), fresh[1].cls_attention(-1))
        torch.testing.assert_close(images[1].aligned(-1), fresh[1].aligned(-1))


@pytest.mark.parametrize(("kept", "newlines"), [(list(range(64)), 4), ([0, 9, 17, 40, 63], 3), ([0, 3], 0)])
def test_components_cost_what_the_formula_says(
    vicuna: LlavaNext, project: Path, kept: list[int], newlines: int
) -> None:
    """Every crop passes the tower; only kept patches pass the projector; newlines are read by the language model."""
    shown, config = picture_of(SIZES["wide"]), vicuna.model.config
    clip = json.loads((project / "data/backbones/vicuna/clip/open_clip_config.json").read_text())["model_cfg"]
    prompt = vicuna.prompt(QUESTIONS[0])
    text = len(prompt.before) + len(prompt.after)
    formula = flops.llava_next(config, 4, 64, len(kept), newlines, text, clip=clip)
    image = vicuna.encode([shown])[0]
    assert image.count == 64
    assert counted(lambda: vicuna.encode([shown])) == formula.vision_tower
    vicuna.clip.forget()
    assert counted(lambda: vicuna.clip.embed(QUESTIONS[:1])) == formula.text_tower
    assert counted(lambda: (image.cls_attention(-1), relevance(vicuna, image, QUESTIONS[:1]))) == formula.scoring
    parts = components(vicuna, image, QUESTIONS[0], torch.tensor([kept]))
    assert {name: counted(work) for name, work in parts.work.items()} == {
        "connector": formula.connector, "prefill": formula.prefill, "decode": formula.decode,
    }  # fmt: skip
    assert flops.llava_next(config, 4, 64, len(kept), newlines, text).scoring == 0
    length = text + len(kept) + newlines
    # Keys and values of 2 layers with 2 heads of 16, in 4 bytes.
    assert parts.kv_cache_bytes == length * 2 * 2 * 2 * 16 * 4


def test_the_prompt_is_the_checkpoints_template_cut_at_the_image(models: dict[str, LlavaNext]) -> None:
    for kind, before, after in (
        ("vicuna", "user: ", "\nis it? assistant:"),
        ("mistral", "[inst] ", "\nis it? [/inst]"),
    ):
        prompt, decode = models[kind].prompt("is it?"), models[kind].processor.tokenizer.decode
        assert (decode(prompt.before), decode(prompt.after)) == (f"<s>{before}", after)
        with pytest.raises(PruneProofError, match="2 image placeholders"):
            models[kind].prompt("is there a <image>?")


def test_a_picture_narrower_than_a_patch_keeps_its_bare_newlines(vicuna: LlavaNext) -> None:
    image = vicuna.encode([picture_of((2, 400))])[0]
    layout = vicuna.layout(image.size)
    assert layout.order.tolist() == list(range(16))
    assert layout.reading(torch.tensor([3, 4])).tolist() == [0, 1, 2, 2, 2, 2]


def broken(root: Path, to: Path, file: str, **changes: Any) -> str:
    """The message, which must be one line, of a checkpoint whose JSON file is changed."""
    shutil.copytree(root / "data", to / "data")
    change_json(to / "data/backbones/vicuna" / file, **changes)
    return refused(lambda: load(settings_of("vicuna"), to))


def test_another_family(project: Path, tmp_path: Path) -> None:
    message = broken(project, tmp_path, "config.json", model_type="llava")
    assert "is a 'llava' model, not llava_next: change `family`" in message


def test_grids_of_which_processor_and_model_know_different_ones(project: Path, tmp_path: Path) -> None:
    message = broken(project, tmp_path, "processor_config.json", image_grid_pinpoints=[[56, 112]])
    assert "image_grid_pinpoints" in message
    assert "[[56, 112]] in its image processor" in message


def test_features_that_are_not_the_patches_of_one_layer(project: Path, tmp_path: Path) -> None:
    assert "'full'" in broken(project, tmp_path / "a", "config.json", vision_feature_select_strategy="full")
    assert "vision_feature_layer [-2]" in broken(project, tmp_path / "b", "config.json", vision_feature_layer=[-2])


def test_a_clip_that_is_not_the_towers_is_refused(project: Path) -> None:
    other = settings_of("vicuna").model_copy(update={"text_tower": "data/backbones/other/clip"})
    save_llava_next(project / "data/backbones/other", seed=9)
    with pytest.raises(PruneProofError, match="its weights differ"):
        load(other, project)
    assert load(other.model_copy(update={"allow_tower_mismatch": True}), project).device == "cpu"
