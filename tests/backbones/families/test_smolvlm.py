from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, components, shown
from tests.backbones._smolvlm_checkpoint import SCALE, save_smolvlm, stock_processor
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
    refused,
    texts_of,
)
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pruneproof import backbones
from pruneproof.answering.doors import whole
from pruneproof.backbones import Narrowing, flops
from pruneproof.backbones.families._siglip import SiglipImage
from pruneproof.backbones.families.smolvlm import SmolVlm
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Kept, LanguageLayer
from pruneproof.settings import BackboneSettings

LONGEST = 8
SIZES = {"square": (80, 80), "wide": (150, 50), "tall": (20, 35), "sliver": (2, 400)}
"""Width and height: 3 x 3, 1 x 3, 3 x 2 and 3 x 1 sub-images."""
KINDS: dict[str, dict[str, Any]] = {"cut": {}, "whole": {"splitting": False}, "idefics3": {"ancestor": True}}
CASES = [*(("cut", size) for size in SIZES), ("whole", "wide"), ("idefics3", "wide")]


def settings_of(kind: str) -> BackboneSettings:
    return BackboneSettings(family="smolvlm", checkpoint=kind)


def load(kind: str, root: Path, **changes: Any) -> SmolVlm:
    loaded = backbones.load(settings_of(kind).model_copy(update=changes), root, "cpu")
    assert isinstance(loaded, SmolVlm)
    return loaded


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for kind, options in KINDS.items():
        save_smolvlm(root / kind, **options)
    return root


@pytest.fixture(scope="module")
def models(project: Path) -> dict[str, SmolVlm]:
    return {kind: load(kind, project) for kind in KINDS}


@pytest.fixture
def loaded(models: dict[str, SmolVlm]) -> SmolVlm:
    return models["cut"]


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, models: dict[str, SmolVlm]) -> Iterator[None]:
    """All models with each implementation of attention, put back afterwards."""
    with ExitStack() as stack:
        for model in models.values():
            stack.enter_context(attending(model.model, request.param))
        yield


def picture(size: str, seed: int = 0) -> Image.Image:
    return picture_of(SIZES[size], seed)


def encoded(model: SmolVlm, size: str, seed: int = 0) -> SiglipImage:
    image = model.encode([picture(size, seed)])[0]
    assert isinstance(image, SiglipImage)
    return image


def stock_inputs(model: SmolVlm, size: str, questions: list[str]) -> Any:
    """What transformers' own processor makes of a picture and some questions; the template has written BOS already."""
    model.processor.tokenizer.padding_side = "left"
    return stock_processor(model)(
        images=[[picture(size)]] * len(questions),
        text=[model.prompt_text(question) for question in questions],
        add_special_tokens=False,
        padding=True,
        return_tensors="pt",
    )


def stock_tokens(model: SmolVlm, **inputs: Any) -> list[list[int]]:
    """transformers' own `generate`, which takes no numbers of crops."""
    inputs = {key: value for key, value in inputs.items() if key not in ("rows", "cols")}
    return generated(model.model, LONGEST, **inputs)


def stock_features(model: SmolVlm, size: str) -> Tensor:
    """[N, W] what the stock model puts into the places of all visual tokens."""
    inputs = model.processor.image_processor(images=[[picture(size)]], return_tensors="pt")
    with torch.inference_mode():
        found: Tensor = model.model.get_image_features(**inputs, return_dict=True).pooler_output[0]
    return found


@pytest.mark.parametrize(("kind", "size"), CASES)
@pytest.mark.parametrize(("batch", "shared"), [(1, True), (8, True), (8, False)], ids=["one", "packed", "one_row_each"])
@pytest.mark.usefixtures("attention")
def test_all_tokens_kept_is_stock_generate_token_for_token(
    models: dict[str, SmolVlm], kind: str, size: str, batch: int, shared: bool
) -> None:
    model, questions = models[kind], list(QUESTIONS[:batch])
    inputs = stock_inputs(model, size, questions)
    expected = stock_tokens(model, **inputs)
    image = encoded(model, size)
    assert image.count == int((inputs.input_ids[0] == model.model.config.image_token_id).sum())
    with decoded(model) as found:
        ask(model, [image], questions, everything(image, 1 if shared else batch), LONGEST)
    assert found == expected
    if batch == 8:
        check_varied(expected, more_than=3)


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_what_is_left_after_pruning_is_the_stock_models_own_rows(
    models: dict[str, SmolVlm], kind: str, size: str
) -> None:
    """Half of the tokens at random: the rows of those in the stock sequence, and all of the text between crops."""
    model = models[kind]
    features, image = stock_features(model, size), encoded(model, size)
    inputs = stock_inputs(model, size, [QUESTIONS[0]])
    prompt, (rows, places) = model.prompt(QUESTIONS[0]), model.laid_out(whole(model, image))
    visual = inputs.input_ids[0] == model.model.config.image_token_id
    embedded = model.language.embed(inputs.input_ids[0])
    embedded[visual] = features
    torch.testing.assert_close(rows, embedded[len(prompt.before) : len(embedded) - len(prompt.after)])
    assert torch.equal(places + len(prompt.before), visual.nonzero()[:, 0])
    kept = half(image)
    only = shown(model, [image], kept[None], 1)[0]
    torch.testing.assert_close(only.rows, features[kept], atol=1e-5, rtol=1e-4)
    read: list[Tensor] = []
    hook = model.language.decoder.layers[0].register_forward_pre_hook(lambda _, args: read.append(args[0]))
    try:
        reply = model.answer([only], QUESTIONS[:1], 1)[0]
    finally:
        hook.remove()
    (first,) = read
    assert first.shape[1] == len(embedded) - image.count + len(kept) == reply.sequence
    goes_on = ~visual
    goes_on[visual.nonzero()[:, 0][kept]] = True
    torch.testing.assert_close(first[0], embedded[goes_on], atol=1e-5, rtol=1e-4)
    assert reply.visual == (len(kept),) * model.layers


@pytest.mark.usefixtures("attention")
def test_pruned_answers_are_stock_generate_on_the_rows_that_are_kept(loaded: SmolVlm) -> None:
    image, features = encoded(loaded, "wide"), stock_features(loaded, "wide")
    for question, kept in zip(QUESTIONS[:3], ([0, 9, 17, 22, 40], [1, 15, 29, 30, 31], [0, 3, 7, 8, 12]), strict=True):
        ids = stock_inputs(loaded, "wide", [question]).input_ids[0]
        visual = (ids == loaded.model.config.image_token_id).nonzero()[:, 0]
        embedded = loaded.language.embed(ids)
        embedded[visual] = features
        goes_on = torch.ones(len(ids), dtype=torch.bool)
        goes_on[[int(visual[i]) for i in range(len(visual)) if i not in kept]] = False
        inputs = embedded[goes_on][None]
        with torch.inference_mode():
            logits = loaded.model(inputs_embeds=inputs).logits[0, -1]
        reply = ask(loaded, [image], [question], torch.tensor([kept]), LONGEST)[0]
        (expected,) = texts_of(loaded, generated(loaded.model, LONGEST, inputs_embeds=inputs))
        assert reply.text == expected
        check_verdict_logits(loaded, reply, logits, abs=1e-4)


def test_pictures_of_several_sizes_are_answered_as_if_alone(loaded: SmolVlm) -> None:
    images = [encoded(loaded, size) for size in ("square", "wide", "sliver", "tall")]
    kept = torch.tensor([[0, 1, 2], [3, 20, 39], [0, 1, 2], [9, 20, 63]])
    check_as_if_alone(loaded, images, QUESTIONS[:4], kept, LONGEST, abs=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("layer", [-1, -3])
def test_received_attention_is_pooled_as_pixel_shuffle_joins_patches(loaded: SmolVlm, layer: int) -> None:
    tower = loaded.model.model.vision_model
    maps = eager_maps(tower, loaded.pixels([picture("wide")])[0])[layer]
    crops = maps.mean(dim=(1, 2))
    assert len(crops) == 4
    image = encoded(loaded, "wide")
    found = image.received_attention(layer)
    torch.testing.assert_close(found, avg_pool2d(crops.view(4, 8, 8), SCALE).flatten(), atol=1e-6, rtol=1e-4)
    check_not_flat(found)
    block = tower.encoder.layers[layer]
    keys = block.self_attn.k_proj(block.layer_norm1(image.states[range(3)[layer]])).view(4, 8, 8, 2, 16)
    pooled = avg_pool2d(keys.flatten(3).permute(0, 3, 1, 2), SCALE).view(4, 2, 16, 16)
    torch.testing.assert_close(image.keys(layer), pooled.permute(1, 0, 3, 2).flatten(1, 2), atol=1e-5, rtol=1e-4)


def test_what_is_not_there_is_refused(loaded: SmolVlm) -> None:
    image = encoded(loaded, "tall")
    assert image.cls.shape == (0, 32 * SCALE**2)
    for signal in ("cls_attention", "joined_attention", "aligned", "projected"):
        with pytest.raises(PruneProofError, match=rf"{signal}\(-1\)"):
            getattr(image, signal)(-1)
    with pytest.raises(PruneProofError, match="joins whole squares of patches"):
        loaded.encode([picture("tall")], side=lambda side: side)


def test_a_method_inside_the_language_model_drops_blocks_and_no_text(loaded: SmolVlm) -> None:
    image = encoded(loaded, "square")
    kept = half(image)

    def decide(question: int, layer: int, view: LanguageLayer) -> Kept | None:
        assert view.start == image.count
        return Kept(kept) if layer == 1 else None

    (reply,) = ask(loaded, [image], QUESTIONS[:1], everything(image), LONGEST, narrowing=Narrowing(decide))
    assert reply.visual == (image.count, len(kept))
    assert reply.left == tuple(kept.tolist())
    nothing = Narrowing(lambda *_: None)
    replies = [ask(loaded, [image], QUESTIONS, everything(image), LONGEST, narrowing=one) for one in (None, nothing)]
    assert [reply.text for reply in replies[0]] == [reply.text for reply in replies[1]]


def test_components_cost_what_the_formula_says(loaded: SmolVlm) -> None:
    image, config = encoded(loaded, "wide"), loaded.model.config
    text = len(loaded.prompt(QUESTIONS[0]))
    markers = len(loaded.sequence((1, 3)).text)
    for kept in (torch.arange(image.count), half(image)):
        formula = flops.smolvlm(config, 4, len(kept), markers, text)
        assert counted(lambda: loaded.encode([picture("wide")])) == formula.vision_tower
        parts = components(loaded, image, QUESTIONS[0], kept[None])
        assert {name: counted(work) for name, work in parts.work.items()} == {
            "connector": formula.connector, "prefill": formula.prefill, "decode": formula.decode,
        }  # fmt: skip
        # Keys and values of 2 layers with 2 heads of 16, in 4 bytes.
        assert parts.kv_cache_bytes == (text + markers + len(kept)) * 2 * 2 * 2 * 16 * 4


def test_bfloat16_gives_the_stock_logits_within_tolerance(project: Path) -> None:
    small = load("cut", project, dtype="bfloat16")
    image = encoded(small, "wide")
    inputs = stock_inputs(small, "wide", [QUESTIONS[0]]).to(torch.bfloat16)
    with torch.inference_mode():
        given = {key: inputs[key] for key in ("input_ids", "pixel_values", "pixel_attention_mask")}
        logits = small.model(**given).logits[0, -1].float()
    reply = ask(small, [image], [QUESTIONS[0]], everything(image), 1)[0]
    check_half_precision(small, reply, logits)


def said_of(root: Path) -> str:
    return refused(lambda: load("cut", root))


@pytest.mark.parametrize(
    ("file", "changes", "said"),
    [
        ("config.json", {"model_type": "llava"}, "is a 'llava' model, not smolvlm or idefics3: change `family`"),
        (
            "preprocessor_config.json",
            {"max_image_size": {"longest_edge": 28}},
            "crops of 28 pixels, which are 7 patches of 4 on a side, and scale_factor 2",
        ),
    ],
)
def test_checkpoints_that_cannot_be_cut_into_blocks_are_refused(
    project: Path, tmp_path: Path, file: str, changes: dict[str, Any], said: str
) -> None:
    shutil.copytree(project / "cut", tmp_path / "cut")
    change_json(tmp_path / "cut" / file, **changes)
    assert said in said_of(tmp_path)


@pytest.mark.parametrize("layout", ["saved together", "older template"])
def test_checkpoints_of_other_layouts_are_read_alike(
    loaded: SmolVlm, project: Path, tmp_path: Path, layout: str
) -> None:
    shutil.copytree(project / "cut", tmp_path / "cut")
    if layout == "saved together":
        (tmp_path / "cut/preprocessor_config.json").unlink()
        stock_processor(loaded).save_pretrained(tmp_path / "cut")
    else:
        template = tmp_path / "cut/chat_template.jinja"
        (tmp_path / "cut/chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
        template.unlink()
    other = load("cut", tmp_path)
    image = encoded(other, "wide")
    assert torch.equal(image.features, encoded(loaded, "wide").features)
    assert ask(other, [image], QUESTIONS[:1], everything(image), 1) == ask(
        loaded, [image], QUESTIONS[:1], everything(image), 1
    )


def test_a_tokenizer_that_reads_text_beside_a_picture_otherwise_is_refused(project: Path, tmp_path: Path) -> None:
    """A marker that swallows the blank before it, where the template writes one."""
    shutil.copytree(project / "cut", tmp_path / "cut")
    path = tmp_path / "cut" / "tokenizer.json"
    content = json.loads(path.read_text())
    for token in content["added_tokens"]:
        token["lstrip"] = token["content"] == "<fake_token_around_image>"
    path.write_text(json.dumps(content))
    template = tmp_path / "cut" / "chat_template.jinja"
    template.write_text(template.read_text().replace("<image>", " <image>"))
    assert "reads the text around a picture otherwise in a prompt" in said_of(tmp_path)
