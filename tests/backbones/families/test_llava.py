from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, relevance
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
    eager_maps,
    everything,
    generated,
    refused,
    texts_of,
)

from pruneproof import backbones
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

LONGEST = 12


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, llava: Llava) -> Iterator[str]:
    """The model with one implementation of attention, put back afterwards."""
    with attending(llava.model, request.param) as how:
        yield how


def stock_tokens(llava: Llava, picture: Image.Image, questions: list[str]) -> list[list[int]]:
    """transformers' own `generate` from pixels and text, in one left-padded batch; ids up to the end token."""
    prompts = [llava.prompt_text(question) for question in questions]
    llava.processor.tokenizer.padding_side = "left"
    inputs = llava.processor(images=[picture] * len(prompts), text=prompts, padding=True, return_tensors="pt")
    return generated(llava.model, LONGEST, **inputs)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(
    ("shared", "together"), [(True, 8), (True, 3), (False, 8)], ids=["packed", "packed_in_parts", "one_row_each"]
)
def test_all_tokens_kept_is_stock_generate_token_for_token(
    llava: Llava, pictures: list[Image.Image], attention: str, batch: int, shared: bool, together: int
) -> None:
    questions = list(QUESTIONS[:batch])
    expected = stock_tokens(llava, pictures[0], questions)
    image = llava.encode(pictures[:1])[0]
    visual = llava.model.model.multi_modal_projector(image.features)
    prompts = [llava.prompt(question) for question in questions]
    before = llava.language.embed(torch.tensor(prompts[0].before))
    rows = 1 if shared else batch
    with torch.inference_mode():
        prefix = torch.cat([before.expand(rows, -1, -1), visual.expand(rows, -1, -1)], dim=1)
        afters = [prompt.after for prompt in prompts]
        if shared:
            (found,) = llava.language.continue_shared(prefix, [afters], LONGEST, together)
        else:
            found = llava.language.continue_each(prefix, afters, LONGEST)
    assert [row.tokens for row in found] == expected
    replies = ask(llava, [image], questions, everything(image, rows), LONGEST)
    assert [reply.text for reply in replies] == texts_of(llava, expected)
    if batch == 8:
        check_varied(expected, more_than=4)


def test_bfloat16_gives_the_stock_logits_within_tolerance(
    llava_root: Path, llava_settings: BackboneSettings, pictures: list[Image.Image]
) -> None:
    half = backbones.load(llava_settings.model_copy(update={"dtype": "bfloat16"}), llava_root, "cpu")
    assert isinstance(half, Llava)
    question = QUESTIONS[0]
    image = half.encode(pictures[:1])[0]
    inputs = half.processor(images=pictures[0], text=half.prompt_text(question), return_tensors="pt")
    with torch.inference_mode():
        logits = half.model(**inputs.to(torch.bfloat16)).logits[0, -1].float()
    reply = ask(half, [image], [question], everything(image), 1)[0]
    check_half_precision(half, reply, logits)


def test_pruned_answers_are_stock_generate_on_the_kept_embeddings(llava: Llava, pictures: list[Image.Image]) -> None:
    image = llava.encode(pictures)[1]
    kept = torch.tensor([[0, 3, 4, 9, 15], [1, 2, 3, 4, 5], [7, 8, 11, 12, 13]])
    questions = list(QUESTIONS[:3])
    replies = ask(llava, [image], questions, kept, LONGEST)
    for question, chosen, reply in zip(questions, kept, replies, strict=True):
        prompt = llava.prompt(question)
        embed = llava.model.get_input_embeddings()
        with torch.inference_mode():
            visual = llava.model.model.multi_modal_projector(image.features[chosen])
            parts = [embed(torch.tensor(prompt.before)), visual, embed(torch.tensor(prompt.after))]
            embeddings = torch.cat(parts)[None]
            logits = llava.model(inputs_embeds=embeddings).logits[0, -1]
            output = llava.model.generate(inputs_embeds=embeddings, max_new_tokens=LONGEST, do_sample=False)
        assert reply.text == llava.processor.decode(output[0], skip_special_tokens=True).strip()
        check_verdict_logits(llava, reply, logits, abs=1e-4)


def test_a_shared_selection_answers_as_the_same_selection_for_each_question(
    llava: Llava, pictures: list[Image.Image]
) -> None:
    check_shared_selection(llava, llava.encode(pictures)[0], [1, 2, 6, 10, 14], LONGEST, abs=1e-4)


def test_rows_of_several_images_are_answered_as_if_alone(llava: Llava, pictures: list[Image.Image]) -> None:
    check_two_images_as_if_alone(llava, *llava.encode(pictures), LONGEST, abs=1e-4)


def test_features_are_what_the_projector_of_transformers_receives(llava: Llava, pictures: list[Image.Image]) -> None:
    encoded = llava.encode(pictures)
    pixels = llava.processor.image_processor(images=pictures, return_tensors="pt").pixel_values
    with torch.inference_mode():
        expected = llava.model.get_image_features(pixels, return_dict=True).pooler_output
        for image, projected in zip(encoded, expected, strict=True):
            assert image.count == 16
            torch.testing.assert_close(llava.model.model.multi_modal_projector(image.features), projected)


@pytest.mark.parametrize("layer", [-1, -2, -3])
def test_cls_attention_is_the_cls_row_of_eager_attention(llava: Llava, pictures: list[Image.Image], layer: int) -> None:
    pixels = llava.processor.image_processor(images=pictures, return_tensors="pt").pixel_values
    maps = eager_maps(llava.model.model.vision_tower, pixels)
    assert len(maps) == 3
    check_cls_rows(llava.encode(pictures), maps, layer)


def test_attention_of_a_layer_that_is_not_there(llava: Llava, pictures: list[Image.Image]) -> None:
    with pytest.raises(PruneProofError, match=r"layer -9 .*3 layers"):
        llava.encode(pictures)[0].cls_attention(-9)


def test_relevance_lives_in_clip_space(llava: Llava, pictures: list[Image.Image]) -> None:
    """Taken through the same norm and projection, CLS is open_clip's own image embedding; texts are its own too."""
    image = llava.encode(pictures)[0]
    pixels = llava.processor.image_processor(images=pictures[:1], return_tensors="pt").pixel_values
    clip = llava.clip.matched.model
    with torch.inference_mode():
        expected = clip.encode_image(pixels, normalize=True)[0]
        texts = clip.encode_text(llava.clip.matched.tokenizer(list(QUESTIONS)), normalize=True)
        whole = llava.clip.project(image.states[-1])  # type: ignore[attr-defined]
    torch.testing.assert_close(whole[0], expected, atol=1e-5, rtol=1e-4)
    scores = relevance(llava, image, QUESTIONS)
    assert scores.shape == (8, 16)
    torch.testing.assert_close(scores, texts @ whole[1:].T, atol=1e-5, rtol=1e-4)
    assert float(scores.abs().max()) <= 1.0 + 1e-5


def test_what_is_not_brought_to_unit_length_is_open_clips_too(llava: Llava, pictures: list[Image.Image]) -> None:
    image = llava.encode(pictures)[0]
    pixels = llava.processor.image_processor(images=pictures[:1], return_tensors="pt").pixel_values
    clip = llava.clip.matched.model
    with torch.inference_mode():
        texts = clip.encode_text(llava.clip.matched.tokenizer(list(QUESTIONS)))
        whole = llava.clip.project(image.states[-1], unit=False)  # type: ignore[attr-defined]
        torch.testing.assert_close(whole[0], clip.encode_image(pixels)[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(image.projected(-1), whole[1:])
    torch.testing.assert_close(torch.nn.functional.normalize(whole[1:], dim=-1), image.aligned(-1))
    torch.testing.assert_close(llava.clip.embed(QUESTIONS, unit=False), texts)


def test_verdicts_begin_with_yes_and_no(llava: Llava) -> None:
    check_verdicts(llava)


def test_the_prompt_is_the_checkpoints_template_cut_at_the_image(llava: Llava) -> None:
    prompt = llava.prompt("is there a dog?")
    decode = llava.processor.tokenizer.decode
    assert decode(prompt.before) == "<s>user: "
    assert decode(prompt.after) == "\nis there a dog? assistant:"
    with pytest.raises(PruneProofError, match="2 image placeholders"):
        llava.prompt("is there a <image>?")


def copy(root: Path, to: Path) -> Path:
    shutil.copytree(root / "data", to / "data")
    return to / "data/backbones/tiny_llava"


def broken(settings: BackboneSettings, root: Path) -> str:
    return refused(lambda: backbones.load(settings, root, "cpu"))


def test_missing_weights(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path) -> None:
    (copy(llava_root, tmp_path) / "model.safetensors").unlink()
    assert "lacks model.safetensors" in broken(llava_settings, tmp_path)


def test_truncated_weights(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path) -> None:
    weights = copy(llava_root, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert "cannot be read" in broken(llava_settings, tmp_path)


@pytest.mark.parametrize("name", ["generation_config.json", "clip/tokenizer.json"])
def test_a_file_of_another_kind(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path, name: str) -> None:
    (copy(llava_root, tmp_path) / name).write_text("[1, 2]")
    assert "cannot be read" in broken(llava_settings, tmp_path)


def test_a_missing_shard(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path) -> None:
    folder = copy(llava_root, tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(shards))
    assert "lacks model-00002-of-00002.safetensors" in broken(llava_settings, tmp_path)


def test_a_tensor_that_is_missing_from_the_weights(
    llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    weights = copy(llava_root, tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    name = next(name for name in sorted(tensors) if "language_model" in name and "mlp" in name)
    save_file({key: value for key, value in tensors.items() if key != name}, weights, {"format": "pt"})
    assert "lacks 1 tensors, such as" in broken(llava_settings, tmp_path)


def test_another_family(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path) -> None:
    config = copy(llava_root, tmp_path) / "config.json"
    change_json(config, model_type="blip-2")
    assert "blip-2" in broken(llava_settings, tmp_path)


def test_a_folder_that_is_not_there_and_a_hub_name_without_revision(
    llava_settings: BackboneSettings, tmp_path: Path
) -> None:
    assert "neither a folder" in broken(llava_settings.model_copy(update={"checkpoint": "no/such/folder"}), tmp_path)
    assert "without a revision" in broken(llava_settings.model_copy(update={"checkpoint": "someone/llava"}), tmp_path)


def test_text_towers_that_cannot_be_read(llava_root: Path, llava_settings: BackboneSettings, tmp_path: Path) -> None:
    unknown = llava_settings.model_copy(update={"text_tower": "ViT-Q-14"})
    assert "neither a folder" in broken(unknown, llava_root)
    folder = copy(llava_root, tmp_path)
    (folder / "clip/open_clip_model.safetensors").unlink()
    assert "text_tower" in broken(llava_settings, tmp_path)
