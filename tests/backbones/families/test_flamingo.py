from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask, components, relevance
from tests.backbones._flamingo_checkpoint import END, EOS, KINDS, save_flamingo, settings_of
from tests.backbones.families._alike import (
    QUESTIONS,
    attending,
    check_cls_rows,
    check_half_precision,
    check_shared_selection,
    check_varied,
    check_verdict_logits,
    check_verdicts,
    counted,
    decoded,
    everything,
    generated,
    png,
    texts_of,
)
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones import Reply
from pruneproof.backbones.families._flamingo_prompts import prompt_text
from pruneproof.backbones.families.flamingo import Flamingo
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Signals, VisualTokens
from pruneproof.settings import BackboneSettings

LONGEST = 12


def load(settings: BackboneSettings, root: Path) -> Flamingo:
    loaded = backbones.load(settings, root, "cpu")
    assert isinstance(loaded, Flamingo)
    return loaded


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    for kind, options in KINDS.items():
        save_flamingo(root / "data/backbones" / kind, **options)
    return root


@pytest.fixture(scope="module")
def models(project: Path) -> dict[str, Flamingo]:
    return {kind: load(settings_of(kind), project) for kind in KINDS}


@pytest.fixture(params=["instructed", "base", "no_resampler"])
def flamingo(request: pytest.FixtureRequest, models: dict[str, Flamingo]) -> Flamingo:
    return models[request.param]


@pytest.fixture
def instructed(models: dict[str, Flamingo]) -> Flamingo:
    return models["instructed"]


@pytest.fixture(params=["sdpa", "eager"])
def attention(request: pytest.FixtureRequest, flamingo: Flamingo) -> Iterator[str]:
    """The model with one implementation of attention, put back afterwards."""
    with attending(flamingo.model, request.param) as how:
        yield how


def parts(flamingo: Flamingo, picture: Image.Image, question: str) -> list[object]:
    """One turn as the stock processor takes it: texts and pictures."""
    if END in flamingo.processor.tokenizer.get_vocab():
        return ["User:", picture, f"{question}{END}\nAssistant:"]
    return [picture, f"Question: {question} Answer:"]


def stock_inputs(flamingo: Flamingo, pictures: list[Image.Image], questions: list[str]) -> Any:
    flamingo.processor.tokenizer.padding_side = "left"
    turns = [parts(flamingo, picture, question) for picture, question in zip(pictures, questions, strict=True)]
    return flamingo.processor(text=turns, padding=True, return_tensors="pt")


def stock_tokens(flamingo: Flamingo, inputs: Any, **options: Any) -> list[list[int]]:
    """transformers' own `generate`; ids up to the end token, with the end tokens of the model card."""
    tokenizer = flamingo.processor.tokenizer
    ends = [EOS, tokenizer.convert_tokens_to_ids(END)] if END in tokenizer.get_vocab() else [EOS]
    return generated(flamingo.model, LONGEST, ends, eos_token_id=ends, **inputs, **options)


def answered(flamingo: Flamingo, ask: Callable[[], list[Reply]]) -> tuple[list[Reply], list[list[int]]]:
    """Replies, and the tokens of their texts."""
    with decoded(flamingo) as seen:
        return ask(), seen


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(("shared", "together"), [(True, 16), (True, 3), (False, 16)])
def test_all_tokens_kept_is_stock_generate_token_for_token(
    flamingo: Flamingo,
    pictures: list[Image.Image],
    attention: str,
    batch: int,
    shared: bool,
    together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flamingo, "_rows", together)
    questions = list(QUESTIONS[:batch])
    expected = stock_tokens(flamingo, stock_inputs(flamingo, pictures[:1] * batch, questions))
    image = flamingo.encode(pictures[:1])[0]
    replies, found = answered(
        flamingo, lambda: ask(flamingo, [image], questions, everything(image, 1 if shared else batch), LONGEST)
    )
    assert found == expected
    assert [reply.text for reply in replies] == texts_of(flamingo, expected)
    if batch == 8:
        check_varied(expected, more_than=4)


@pytest.mark.parametrize("together", [16, 3])
def test_different_images_in_one_batch_are_stock_generate_token_for_token(
    flamingo: Flamingo,
    pictures: list[Image.Image],
    attention: str,
    together: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flamingo, "_rows", together)
    which = [0, 1, 1, 0, 1, 0, 0, 1]
    questions = [QUESTIONS[i // 2] for i in range(8)]
    expected = stock_tokens(flamingo, stock_inputs(flamingo, [pictures[i] for i in which], questions))
    encoded = flamingo.encode(pictures)
    _, found = answered(
        flamingo, lambda: ask(flamingo, [encoded[i] for i in which], questions, everything(encoded[0], 8), LONGEST)
    )
    assert found == expected
    assert any(a != b for a, b in zip(expected[::2], expected[1::2], strict=True)), "the image must matter"


def test_questions_before_the_image_are_stock_generate_token_for_token(
    models: dict[str, Flamingo], pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    flamingo = models["templated"]
    template = "{{ messages[0]['content'][1]['text'] }}<image>Answer:"
    monkeypatch.setattr(flamingo.processor, "chat_template", template)
    monkeypatch.setattr(flamingo, "_prompts", {})
    which, questions = [0, 1, 0, 1], [QUESTIONS[i] for i in (0, 0, 3, 5)]
    flamingo.processor.tokenizer.padding_side = "left"
    turns = [[question, pictures[i], "Answer:"] for question, i in zip(questions, which, strict=True)]
    expected = stock_tokens(flamingo, flamingo.processor(text=turns, padding=True, return_tensors="pt"))
    encoded = flamingo.encode(pictures)
    _, found = answered(
        flamingo, lambda: ask(flamingo, [encoded[i] for i in which], questions, everything(encoded[0], 4), LONGEST)
    )
    assert found == expected


def pruned_hidden(flamingo: Flamingo, picture: Image.Image, kept: Tensor) -> Tensor:
    """[1, 1, L, D] what stock generation passes on as `image_hidden_states`, of CLS and the kept patches."""
    pixels = flamingo.processor.image_processor([picture], return_tensors="pt")
    hidden = flamingo.model.model.vision_model(pixels).last_hidden_state
    hidden = torch.cat([hidden[:, :1], hidden[:, 1:][:, kept]], dim=1)
    if flamingo.model.config.use_resampler:
        hidden = flamingo.model.model.perceiver_resampler(hidden)
    return hidden[None]


def test_pruned_answers_are_stock_generate_on_cls_and_kept_patches(
    flamingo: Flamingo, pictures: list[Image.Image], attention: str
) -> None:
    encoded = flamingo.encode(pictures)
    kept = torch.tensor([[0, 3, 4, 9, 15], [1, 2, 3, 4, 5], [7, 8, 11, 12, 13], [0, 3, 4, 9, 15]])
    which = [1, 0, 1, 1]
    questions = [QUESTIONS[i] for i in (0, 1, 2, 4)]
    replies, found = answered(flamingo, lambda: ask(flamingo, [encoded[i] for i in which], questions, kept, LONGEST))
    changed = False
    for i, question in enumerate(questions):
        inputs = stock_inputs(flamingo, [pictures[which[i]]], [question])
        with torch.inference_mode():
            hidden = pruned_hidden(flamingo, pictures[which[i]], kept[i])
        pixels = inputs.pop("pixel_values")
        tokens = stock_tokens(flamingo, inputs, image_hidden_states=hidden)
        assert tokens == found[i : i + 1]
        door = "perceiver_embeddings" if flamingo.model.config.use_resampler else "image_encoder_embeddings"
        with torch.inference_mode():
            logits = flamingo.model(**inputs, **{door: hidden}).logits[0, -1]
            whole = flamingo.model(**inputs, pixel_values=pixels).logits[0, -1]
        check_verdict_logits(flamingo, replies[i], logits, abs=1e-4)
        changed |= not torch.allclose(logits, whole, atol=1e-2)
    assert changed, "pruning must matter"


def test_a_shared_selection_answers_as_the_same_selection_for_each_question(
    flamingo: Flamingo, pictures: list[Image.Image]
) -> None:
    check_shared_selection(flamingo, flamingo.encode(pictures)[0], [1, 2, 6, 10, 14], LONGEST, abs=1e-4)


def test_the_resampler_runs_once_for_each_distinct_image_and_selection(
    instructed: Flamingo, pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    resample = instructed.resample
    monkeypatch.setattr(instructed, "resample", lambda c: (shapes.append(tuple(c.shape)), resample(c))[1])
    first, second = instructed.encode(pictures)
    kept = torch.tensor([[0, 1, 2], [0, 1, 2], [0, 1, 2], [5, 6, 7], [0, 1, 2]])
    ask(instructed, [first, first, second, first, second], QUESTIONS[:5], kept, 2)
    assert shapes == [(3, 4, 48)]
    shapes.clear()
    ask(instructed, [first], QUESTIONS, kept[:1], 2)
    assert shapes == [(1, 4, 48)]


def test_a_stored_image_answers_as_the_encoded_one(
    flamingo: Flamingo, pictures: list[Image.Image], tmp_path: Path
) -> None:
    store = FeatureStore(tmp_path / "features", "base", 2**20)
    pngs = [png(picture) for picture in pictures]
    store.encode(flamingo, pngs, Signals())
    stored = store.encode(flamingo, pngs, Signals())
    kept = torch.tensor([[0, 5, 9]])
    for image, encoded in zip(stored, flamingo.encode(pictures), strict=True):
        assert ask(flamingo, [image], QUESTIONS, kept, 4) == ask(flamingo, [encoded], QUESTIONS, kept, 4)
        assert image.cls.shape == (1, 48)


def test_bfloat16_gives_the_float32_logits_within_tolerance(
    flamingo: Flamingo, project: Path, pictures: list[Image.Image]
) -> None:
    kind = next(kind for kind in KINDS if Path(flamingo.model.config._name_or_path).name == kind)
    half = load(settings_of(kind).model_copy(update={"dtype": "bfloat16"}), project)
    assert half.model.dtype == torch.bfloat16
    inputs = stock_inputs(half, pictures[:1], [QUESTIONS[0]])
    with torch.inference_mode():
        stock = half.model(**inputs).logits[0, -1].float()
    (image,), (exact,) = half.encode(pictures[:1]), flamingo.encode(pictures[:1])
    reply = ask(half, [image], [QUESTIONS[0]], everything(image), 1)[0]
    single = ask(flamingo, [exact], [QUESTIONS[0]], everything(exact), 1)[0]
    check_half_precision(half, reply, stock)
    # Against float32, where rounding adds up over tower, resampler and layers: 1/32 of the largest logit.
    step = float(stock.abs().max()) / 32
    assert reply.yes_logit == pytest.approx(single.yes_logit, abs=step)
    assert reply.no_logit == pytest.approx(single.no_logit, abs=step)


def vision_pixels(flamingo: Flamingo, pictures: list[Image.Image]) -> Tensor:
    pixels: Tensor = flamingo.processor.image_processor(pictures, return_tensors="pt")
    return pixels


def test_features_are_what_the_connector_of_transformers_receives(
    flamingo: Flamingo, pictures: list[Image.Image]
) -> None:
    encoded = flamingo.encode(pictures)
    with torch.inference_mode():
        hidden = flamingo.model.model.vision_model(vision_pixels(flamingo, pictures)).last_hidden_state
    for image, expected, picture in zip(encoded, hidden, pictures, strict=True):
        assert image.count == 16
        assert image.size == picture.size
        torch.testing.assert_close(torch.cat([image.cls, image.features]), expected)


@pytest.mark.parametrize("layer", [-1, -2, -3])
def test_cls_attention_is_the_cls_row_of_eager_attention(
    instructed: Flamingo, pictures: list[Image.Image], layer: int
) -> None:
    maps: list[Tensor] = []
    tower = instructed.model.model.vision_model
    hooks = [
        block.self_attn.register_forward_hook(lambda _, __, output: maps.append(output[1]))
        for block in tower.encoder.layers
    ]
    with attending(instructed.model, "eager"), torch.inference_mode():
        tower(vision_pixels(instructed, pictures))
    for hook in hooks:
        hook.remove()
    assert len(maps) == 3
    check_cls_rows(instructed.encode(pictures), maps, layer)


def test_a_layer_that_is_not_there(instructed: Flamingo, pictures: list[Image.Image]) -> None:
    with pytest.raises(PruneProofError, match="or -3 to -1"):
        instructed.encode(pictures)[0].cls_attention(-4)


def test_relevance_is_open_clips_own(instructed: Flamingo, pictures: list[Image.Image]) -> None:
    image = instructed.encode(pictures[:1])[0]
    clip = instructed.clip.matched.model
    with torch.inference_mode():
        expected = clip.encode_image(vision_pixels(instructed, pictures[:1]), normalize=True)[0]
        texts = clip.encode_text(instructed.clip.matched.tokenizer(list(QUESTIONS)), normalize=True)
        whole = instructed.clip.project(torch.cat([image.cls, image.features]))
    torch.testing.assert_close(whole[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(relevance(instructed, image, QUESTIONS), texts @ whole[1:].T, atol=1e-5, rtol=1e-4)


def test_components_are_the_parts_of_a_stock_forward(
    flamingo: Flamingo, pictures: list[Image.Image], attention: str
) -> None:
    image = flamingo.encode(pictures[:1])[0]
    kept = torch.tensor([[2, 3, 7, 11]])
    parts = components(flamingo, image, QUESTIONS[0], kept)
    assert list(parts.work) == ["connector", "prefill", "decode"]
    inputs = stock_inputs(flamingo, pictures[:1], [QUESTIONS[0]])
    del inputs["pixel_values"]
    door = "perceiver_embeddings" if flamingo.model.config.use_resampler else "image_encoder_embeddings"
    with torch.inference_mode():
        hidden = pruned_hidden(flamingo, pictures[0], kept[0])
        torch.testing.assert_close(parts.work["connector"](), hidden[0])
        output = flamingo.model(**inputs, **{door: hidden}, use_cache=True)
        cache: Any = parts.work["prefill"]()
        last = inputs["input_ids"][:, -1:]
        step = flamingo.model(
            input_ids=last,
            past_key_values=output.past_key_values,
            image_attention_mask=inputs["image_attention_mask"][:, -1:],
            use_cache=True,
            **{door: hidden},
        )
    torch.testing.assert_close(parts.work["decode"](), step.logits[:, -1])
    length = inputs["input_ids"].shape[1]
    for mine, stock in zip(cache.layers, output.past_key_values.layers, strict=True):
        torch.testing.assert_close(mine.keys, stock.keys[:, :, :length])
        torch.testing.assert_close(mine.values, stock.values[:, :, :length])
    # Four layers of keys and values of four heads of 16 float32 numbers.
    assert parts.kv_cache_bytes == 4 * 2 * length * 4 * 16 * 4


def flops(flamingo: Flamingo, image: VisualTokens, count: int) -> dict[str, int]:
    work = components(flamingo, image, QUESTIONS[0], torch.arange(count)[None]).work
    return {part: counted(run) for part, run in work.items()}


def test_pruning_saves_work_in_the_resampler_or_else_in_the_cross_attention(
    models: dict[str, Flamingo], pictures: list[Image.Image]
) -> None:
    with_resampler, without = models["instructed"], models["no_resampler"]
    image = with_resampler.encode(pictures[:1])[0]
    full, half = flops(with_resampler, image, 16), flops(with_resampler, image, 8)
    assert half["connector"] < full["connector"]
    assert (half["prefill"], half["decode"]) == (full["prefill"], full["decode"])
    image = without.encode(pictures[:1])[0]
    full, half = flops(without, image, 16), flops(without, image, 8)
    assert half["connector"] == full["connector"] == 0
    assert half["prefill"] < full["prefill"]
    assert half["decode"] < full["decode"], "keys of the cross-attention are made again at every step"
    # 8 tokens less: two layers project 48 numbers to 64 for keys and values; scores and sums for the one new token.
    assert full["decode"] - half["decode"] == 2 * (2 * 8 * 48 * 64 * 2 + 2 * 8 * 64 * 2)


@pytest.mark.parametrize("kind", list(KINDS))
def test_prompts_are_what_the_stock_processor_writes(
    models: dict[str, Flamingo], kind: str, pictures: list[Image.Image]
) -> None:
    flamingo = models[kind]
    for question in (*QUESTIONS, "  spaces? "):
        prompt = flamingo.prompt(question)
        expected = stock_inputs(flamingo, pictures[:1], [question])
        assert [*prompt.before, *prompt.after] == expected.input_ids[0].tolist()
        looks = [0] * len(prompt.before) + [1] * len(prompt.after)
        assert expected.image_attention_mask[0, :, 0].tolist() == looks


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (
            "instructed",
            "<s>User:<fake_token_around_image><image><fake_token_around_image>a?<end_of_utterance>\nAssistant:",
        ),
        (
            "templated",
            "<s>User:<fake_token_around_image><image><fake_token_around_image>a?<end_of_utterance>\nAssistant:",
        ),
        ("base", "<s><fake_token_around_image><image><fake_token_around_image>Question: a? Answer:"),
    ],
)
def test_the_text_of_a_prompt(models: dict[str, Flamingo], kind: str, text: str) -> None:
    assert prompt_text(models[kind].processor, "a?") == text


def test_a_question_that_is_an_address_stays_text(models: dict[str, Flamingo]) -> None:
    assert prompt_text(models["instructed"].processor, "http://a.b/c").count("http://a.b/c") == 1


def test_a_template_that_writes_the_tokens_around_the_image_itself(
    models: dict[str, Flamingo], monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = models["templated"].processor
    around = "<fake_token_around_image><image><fake_token_around_image>"
    template = f"<s>Look: {around} {{{{ messages[0]['content'][1]['text'] }}}} So:"
    monkeypatch.setattr(processor, "chat_template", template)
    assert prompt_text(processor, "a?") == f"<s>Look:{around}a? So:"
    monkeypatch.setattr(processor, "chat_template", "So:")
    with pytest.raises(PruneProofError, match="0 image placeholders"):
        prompt_text(processor, "a?")


def test_a_question_with_an_image_placeholder(flamingo: Flamingo) -> None:
    with pytest.raises(PruneProofError, match="2 image placeholders"):
        flamingo.prompt("is there a <image>?")


def test_verdicts_begin_with_yes_and_no(flamingo: Flamingo) -> None:
    check_verdicts(flamingo)
