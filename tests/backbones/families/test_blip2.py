from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.backbones._asking import ask, components, relevance
from tests.backbones._blip2_checkpoint import LAYERS, QUERIES, WIDTH, blip2_settings, save_blip2
from tests.backbones.families._alike import (
    QUESTIONS,
    attending,
    change_json,
    check_cls_rows,
    check_half_precision,
    check_shared_selection,
    check_two_images_as_if_alone,
    check_varied,
    check_verdict_logits,
    check_verdicts,
    counted,
    eager_maps,
    everything,
    refused,
    texts_of,
    until_end,
)
from tests.conftest import IMAGE, PAD
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from pruneproof import backbones
from pruneproof.answering.features import StoredImage
from pruneproof.backbones import flops
from pruneproof.backbones.checkpoints import memory
from pruneproof.backbones.families.blip2 import Blip2
from pruneproof.errors import PruneProofError

LONGEST = 12
KINDS = ("opt", "t5")
CLOSE = {"abs": 1e-3, "rel": 3e-4}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for kind in KINDS:
        save_blip2(folder / kind, kind)
    return folder


@pytest.fixture(scope="module")
def both(root: Path) -> dict[str, Blip2]:
    return {kind: loaded(root, kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def blip2(request: pytest.FixtureRequest, both: dict[str, Blip2]) -> Blip2:
    return both[request.param]


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, blip2: Blip2) -> Iterator[str]:
    """The model with one implementation of attention, put back afterwards."""
    with attending(blip2.model, request.param) as how:
        yield how


def loaded(root: Path, name: str, **others: Any) -> Blip2:
    backbone = backbones.load(blip2_settings(name, **others), root, "cpu")
    assert isinstance(backbone, Blip2)
    return backbone


def encodes(blip2: Blip2) -> bool:
    """Whether the language model has its own encoder."""
    return bool(blip2.model.config.is_encoder_decoder)


def stock_inputs(blip2: Blip2, picture: Image.Image, questions: list[str]) -> Any:
    """What transformers' processor makes of pixels and text, in one batch.

    T5 numbers tokens by their place in the row, so its padding has to follow them, where its tokenizer puts it.
    """
    blip2.processor.tokenizer.padding_side = "right" if encodes(blip2) else "left"
    prompts = [f"Question: {question} Answer:" for question in questions]
    return blip2.processor(images=[picture] * len(prompts), text=prompts, padding=True, return_tensors="pt")


def new_tokens(blip2: Blip2, output: Tensor, prompt: int) -> list[list[int]]:
    """Generated ids up to the end token; an encoder-decoder's output begins with the start token."""
    return until_end(output[:, 1 if encodes(blip2) else prompt :].tolist())


def stock_tokens(blip2: Blip2, picture: Image.Image, questions: list[str]) -> list[list[int]]:
    inputs = stock_inputs(blip2, picture, questions)
    with torch.inference_mode():
        output = blip2.model.generate(**inputs, max_new_tokens=LONGEST, do_sample=False)
    return new_tokens(blip2, output, inputs.input_ids.shape[1])


def stock_first_logits(blip2: Blip2, picture: Image.Image, question: str) -> Tensor:
    inputs = stock_inputs(blip2, picture, [question])
    inputs["pixel_values"] = inputs["pixel_values"].to(blip2.model.vision_model.dtype)
    start = {"decoder_input_ids": torch.tensor([[PAD]])} if encodes(blip2) else {}
    with torch.inference_mode():
        logits: Tensor = blip2.model(**inputs, **start).logits[0, -1].float()
    return logits


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    ("shared", "together"), [(True, 8), (True, 3), (False, 8)], ids=["packed", "packed_in_parts", "one_row_each"]
)
def test_all_tokens_kept_is_stock_generate_token_for_token(
    blip2: Blip2, pictures: list[Image.Image], attention: str, batch: int, shared: bool, together: int
) -> None:
    questions = list(QUESTIONS[:batch])
    expected = stock_tokens(blip2, pictures[0], questions)
    image = blip2.encode(pictures[:1])[0]
    visual = blip2.q_former(torch.cat([image.cls, image.features])[None])
    prompts = [blip2.prompt(question) for question in questions]
    if shared:
        (found,) = blip2.language.continue_shared(visual, [prompts], LONGEST, together)
    else:
        found = blip2.language.continue_each(visual.expand(batch, -1, -1), prompts, LONGEST)
    assert [row.tokens for row in found] == expected
    replies = ask(blip2, [image], questions, everything(image, 1 if shared else batch), LONGEST)
    assert [reply.text for reply in replies] == texts_of(blip2, expected)
    if batch == 8:
        check_varied(expected, more_than=4)


@pytest.mark.parametrize(("kind", "dtype"), [("opt", "bfloat16"), ("opt", "float16"), ("t5", "bfloat16")])
def test_half_precision_gives_the_stock_logits_within_tolerance(
    root: Path, pictures: list[Image.Image], kind: str, dtype: str
) -> None:
    half = loaded(root, kind, dtype=dtype)
    assert half.model.qformer.dtype == {"bfloat16": torch.bfloat16, "float16": torch.float32}[dtype]
    logits = stock_first_logits(half, pictures[0], QUESTIONS[0])
    image = half.encode(pictures[:1])[0]
    reply = ask(half, [image], QUESTIONS[:1], everything(image), 1)[0]
    check_half_precision(half, reply, logits)


def test_t5_in_float16_is_refused(root: Path) -> None:
    assert "set `dtype: bfloat16`" in broken(root, "t5", dtype="float16")


def test_pruned_answers_are_stock_generate_after_a_tower_that_gives_cls_and_the_kept_patches(
    blip2: Blip2, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = blip2.encode(pictures)[1]
    kept = torch.tensor([[0, 3, 4, 9, 15], [1, 2, 3, 4, 5], [7, 8, 11, 12, 13]])
    questions = list(QUESTIONS[:3])
    replies = ask(blip2, [image], questions, kept, LONGEST)
    for question, chosen, reply in zip(questions, kept, replies, strict=True):
        seen = torch.cat([image.cls, image.features[chosen]])[None]
        with monkeypatch.context() as patch:
            patch.setattr(blip2.model.vision_model, "forward", lambda *_, s=seen, **__: BaseModelOutputWithPooling(s))
            expected = stock_tokens(blip2, pictures[1], [question])[0]
            logits = stock_first_logits(blip2, pictures[1], question)
        assert reply.text == blip2.processor.decode(expected, skip_special_tokens=True).strip()
        check_verdict_logits(blip2, reply, logits, **CLOSE)
        whole = ask(blip2, [image], [question], everything(image), 1)[0]
        assert abs(whole.yes_logit - reply.yes_logit) > 0.01, "a selection that changes nothing would prove nothing"


def test_a_shared_selection_answers_as_the_same_selection_for_each_question(
    blip2: Blip2, pictures: list[Image.Image]
) -> None:
    check_shared_selection(blip2, blip2.encode(pictures)[0], [1, 2, 6, 10, 14], LONGEST, **CLOSE)


def test_rows_of_several_images_are_answered_as_if_alone(blip2: Blip2, pictures: list[Image.Image]) -> None:
    check_two_images_as_if_alone(blip2, *blip2.encode(pictures), LONGEST, **CLOSE)


def test_the_q_former_reads_each_image_and_selection_once(blip2: Blip2, pictures: list[Image.Image]) -> None:
    first, second = blip2.encode(pictures)
    read: list[int] = []
    hook = blip2.model.qformer.register_forward_pre_hook(
        lambda _, __, inputs: read.append(len(inputs["encoder_hidden_states"])), with_kwargs=True
    )
    rows = torch.tensor([[0, 1], [0, 1], [2, 3], [0, 1]])
    ask(blip2, [first, first, first, second], QUESTIONS[:4], rows, 2)
    ask(blip2, [first], QUESTIONS, everything(first), 2)
    hook.remove()
    assert sum(read[:-1]) == 3
    assert read[-1] == 1


def test_features_and_cls_are_what_the_q_former_of_transformers_receives(
    blip2: Blip2, pictures: list[Image.Image]
) -> None:
    encoded = blip2.encode(pictures)
    received: list[Tensor] = []
    hook = blip2.model.qformer.register_forward_pre_hook(
        lambda _, __, inputs: received.append(inputs["encoder_hidden_states"]), with_kwargs=True
    )
    with torch.inference_mode():
        expected = blip2.model.get_image_features(blip2.pixels(pictures), return_dict=True).pooler_output
    hook.remove()
    for image, picture, seen, projected in zip(encoded, pictures, received[0], expected, strict=True):
        assert (image.count, image.size) == (16, picture.size)
        read = torch.cat([image.cls, image.features])
        torch.testing.assert_close(read, seen)
        torch.testing.assert_close(blip2.q_former(read[None])[0], projected)


@pytest.mark.parametrize("layer", [-1, -2, -3])
def test_cls_attention_is_the_cls_row_of_eager_attention(blip2: Blip2, pictures: list[Image.Image], layer: int) -> None:
    maps = eager_maps(blip2.model.vision_model, blip2.pixels(pictures))
    assert len(maps) == LAYERS - 1
    check_cls_rows(blip2.encode(pictures), maps, layer)


def test_attention_of_a_layer_that_is_not_there(blip2: Blip2, pictures: list[Image.Image]) -> None:
    with pytest.raises(PruneProofError, match=r"layer -4 .*3 layers"):
        blip2.encode(pictures)[0].cls_attention(-4)


def test_relevance_is_the_cosine_of_clips_own_patches_and_texts(blip2: Blip2, pictures: list[Image.Image]) -> None:
    """Although the tower lacks CLIP's last layer."""
    image = blip2.encode(pictures)[0]
    clip = blip2.clip.matched.model
    trunk = clip.visual.trunk
    with torch.inference_mode():
        patches = trunk.head(trunk.forward_features(blip2.pixels(pictures[:1])))[0, 1:]
        texts = clip.encode_text(blip2.clip.matched.tokenizer(list(QUESTIONS)), normalize=True)
    expected = texts @ torch.nn.functional.normalize(patches, dim=-1).T
    torch.testing.assert_close(relevance(blip2, image, QUESTIONS), expected, atol=1e-5, rtol=1e-4)


def test_an_image_from_the_feature_store_is_answered_alike(blip2: Blip2, pictures: list[Image.Image]) -> None:
    image = blip2.encode(pictures)[0]
    stored = StoredImage(image.size, image.features, image.features.shape[1], image.cls, image.places, {})
    kept = torch.tensor([[1, 2, 3, 8]])
    assert ask(blip2, [stored], QUESTIONS, kept, LONGEST) == ask(blip2, [image], QUESTIONS, kept, LONGEST)
    assert components(blip2, stored, "is there a dog?", kept).kv_cache_bytes > 0


def test_pruning_makes_the_connector_cheaper_and_the_language_model_not(
    blip2: Blip2, pictures: list[Image.Image], attention: str
) -> None:
    image = blip2.encode(pictures)[0]
    full, pruned = (components(blip2, image, QUESTIONS[0], everything(image)[:, :kept]) for kept in (16, 4))

    costs = {name: (counted(full.work[name]), counted(pruned.work[name])) for name in full.work}
    assert list(costs) == ["connector", "prefill", "decode"]
    assert costs["prefill"][0] == costs["prefill"][1]
    assert costs["decode"][0] == costs["decode"][1]
    # One of two Q-Former layers reads the tower: two projections to its width of 32 and two attention products.
    assert costs["connector"][0] - costs["connector"][1] == 12 * (2 * 2 * WIDTH * 32 + 4 * QUERIES * 32)
    length = QUERIES + len(blip2.prompt(QUESTIONS[0]))
    # Float32 keys and values of width 64: two layers of OPT or of T5's decoder, which keeps its start token too.
    tokens = 2 * (length + encodes(blip2))
    assert full.kv_cache_bytes == pruned.kv_cache_bytes == 2 * 4 * 64 * tokens


@pytest.mark.parametrize("kept", [16, 4])
def test_flops_are_the_closed_formula(blip2: Blip2, pictures: list[Image.Image], attention: str, kept: int) -> None:
    image = blip2.encode(pictures[:1])[0]
    parts = components(blip2, image, QUESTIONS[0], everything(image)[:, :kept])
    formula = flops.blip2(blip2.model.config, kept, len(blip2.prompt(QUESTIONS[0])))
    assert counted(lambda: blip2.encode(pictures[:1])) == formula.vision_tower
    assert [counted(work) for work in parts.work.values()] == [formula.connector, formula.prefill, formula.decode]


def test_verdicts_begin_with_yes_and_no(blip2: Blip2) -> None:
    check_verdicts(blip2)


def test_the_prompt_is_blip2s_convention_after_the_image_tokens(blip2: Blip2, pictures: list[Image.Image]) -> None:
    ids = stock_inputs(blip2, pictures[0], ["is there a dog?"]).input_ids[0].tolist()
    assert ids == [IMAGE] * QUERIES + blip2.prompt("is there a dog?")
    assert "question: is there a dog? answer:" in blip2.processor.tokenizer.decode(blip2.prompt("is there a dog?"))
    with pytest.raises(PruneProofError, match="holds the image token"):
        blip2.prompt("is there a <image>?")


def test_a_checkpoints_own_template_is_preferred(root: Path, tmp_path: Path) -> None:
    folder = copy(root, tmp_path, "opt")
    template = "{% for message in messages %}Q {{ message['content'][0]['text'] }} A{% endfor %}"
    (folder / "chat_template.jinja").write_text(template)
    assert loaded(tmp_path, "opt").prompt_text("is there a dog?") == "Q is there a dog? A"


def copy(root: Path, to: Path, kind: str) -> Path:
    shutil.copytree(root / kind, to / kind)
    return to / kind


def broken(root: Path, name: str, **others: Any) -> str:
    return refused(lambda: loaded(root, name, **others))


def test_missing_and_truncated_weights(root: Path, tmp_path: Path) -> None:
    weights = copy(root, tmp_path, "opt") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot be read" in broken(tmp_path, "opt")
    weights.unlink()
    assert "lacks model.safetensors" in broken(tmp_path, "opt")


def test_a_tensor_that_is_missing_from_the_weights(root: Path, tmp_path: Path) -> None:
    weights = copy(root, tmp_path, "t5") / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in sorted(tensors) if "crossattention" in name)
    save_file({key: value for key, value in tensors.items() if key != name}, weights, {"format": "pt"})
    assert "lacks 1 tensors, such as qformer" in broken(tmp_path, "t5")


def test_another_family(root: Path, tmp_path: Path) -> None:
    change_json(copy(root, tmp_path, "opt") / "config.json", model_type="llava")
    assert "is a 'llava' model, not blip-2" in broken(tmp_path, "opt")


def test_too_little_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_bytes", lambda _: 1000)
    assert "GiB in float32, but cpu has 0.0 GiB free" in broken(root, "opt")
