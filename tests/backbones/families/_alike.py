"""What the tests of all families do alike: questions, stock transformers as the reference, and checks of one behaviour.

Each family's own test says which picture, which selection, and how closely numbers must agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask
from tests.conftest import EOS
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pruneproof.backbones import Backbone, Reply
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import VisualTokens

QUESTIONS = (
    "is there a car in the image?",
    "is there a dog?",
    "what colour is the dog?",
    "how many boats are there in the image, and where?",
    "is the car left of the dog?",
    "a",
    "what is to the right of the red car?",
    "describe the image.",
)


def picture_of(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Noise of some width and height."""
    width, height = size
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def everything(image: VisualTokens, rows: int = 1) -> Tensor:
    """int64 [rows, N] all tokens of an image, once for each question."""
    return torch.arange(image.count).expand(rows, -1)


def half(image: VisualTokens) -> Tensor:
    """int64 [N // 2] tokens at random, ascending."""
    return torch.randperm(image.count, generator=torch.Generator().manual_seed(5))[: image.count // 2].sort().values


@contextmanager
def attending(model: Any, how: str) -> Iterator[str]:
    """A model with one implementation of attention, which is put back afterwards."""
    before = model.config._attn_implementation
    model.set_attn_implementation(how)
    assert model.config._attn_implementation == how
    try:
        yield how
    finally:
        model.set_attn_implementation(before)


def until_end(rows: Sequence[list[int]], ends: Collection[int] = (EOS,)) -> list[list[int]]:
    """Generated ids up to the end token."""
    return [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]


def generated(model: Any, longest: int, ends: Sequence[int] = (EOS,), **inputs: Any) -> list[list[int]]:
    """What transformers' own `generate` answers to inputs, greedily: ids up to the end token."""
    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=longest, do_sample=False)
    start = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    return until_end(output[:, start:].tolist(), ends)


def texts_of(backbone: Any, rows: list[list[int]]) -> list[str]:
    """Answers as they are read."""
    return [text.strip() for text in backbone.processor.tokenizer.batch_decode(rows, skip_special_tokens=True)]


@contextmanager
def decoded(backbone: Any) -> Iterator[list[list[int]]]:
    """The ids of all answers that are decoded meanwhile."""
    found: list[list[int]] = []
    tokenizer = backbone.processor.tokenizer
    decode = tokenizer.batch_decode

    def spy(rows: list[list[int]], **options: Any) -> Any:
        found.extend(rows)
        return decode(rows, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "batch_decode", spy)
        yield found


def check_varied(rows: Sequence[list[int]], more_than: int) -> None:
    """Reference answers must differ, also in length, or equal ones would say little."""
    assert len({len(row) for row in rows}) > 1, "answers of one length would not try rows that end early"
    assert len({tuple(row) for row in rows}) > more_than


def check_verdict_logits(backbone: Any, reply: Reply, logits: Tensor, **closeness: float) -> None:
    """A reply's logits for yes and no are the best of their tokens in the stock model's logits [V]."""
    for found, tokens in zip((reply.yes_logit, reply.no_logit), backbone._verdicts, strict=True):
        assert found == pytest.approx(float(logits[list(tokens)].max()), **closeness)


def check_half_precision(backbone: Any, reply: Reply, logits: Tensor) -> None:
    """bfloat16 has 8 bits: 1/128 of the largest stock logit [V], twice."""
    check_verdict_logits(backbone, reply, logits, abs=2 * float(logits.abs().max()) / 128)


def check_verdicts(backbone: Any) -> None:
    """Every token that counts as yes, or as no, begins that word."""
    decode = backbone.processor.tokenizer.decode
    for ids, word in zip(backbone._verdicts, ("yes", "no"), strict=True):
        assert ids
        assert all(word.startswith(decode([i]).strip()) and decode([i]).strip() for i in ids)


def check_shared_selection(
    backbone: Backbone, image: VisualTokens, kept: list[int], longest: int, **closeness: float
) -> None:
    """A selection that all questions share answers as the same one given for each, and as each question alone."""
    index = torch.tensor([kept])
    shared = ask(backbone, [image], QUESTIONS, index, longest)
    each = ask(backbone, [image], QUESTIONS, index.expand(len(QUESTIONS), -1), longest)
    alone = [ask(backbone, [image], [question], index, longest)[0] for question in QUESTIONS]
    for one, other, third in zip(shared, each, alone, strict=True):
        assert one.text == other.text == third.text
        assert one.yes_logit == pytest.approx(other.yes_logit, **closeness)
        assert one.yes_logit == pytest.approx(third.yes_logit, **closeness)


def check_as_if_alone(
    backbone: Backbone,
    images: Sequence[VisualTokens],
    questions: Sequence[str],
    kept: Tensor,
    longest: int,
    **closeness: float,
) -> list[Reply]:
    """Rows of several images in one batch are answered as each would be by itself; gives the replies."""
    together = ask(backbone, images, questions, kept, longest)
    for image, question, chosen, reply in zip(images, questions, kept, together, strict=True):
        alone = ask(backbone, [image], [question], chosen[None], longest)[0]
        assert alone.text == reply.text
        assert alone.yes_logit == pytest.approx(reply.yes_logit, **closeness)
    return together


def check_two_images_as_if_alone(
    backbone: Backbone, first: VisualTokens, second: VisualTokens, longest: int, **closeness: float
) -> None:
    """Two images in turns, with the same question on both."""
    kept = torch.tensor([[0, 1, 2], [3, 4, 5], [0, 1, 2], [9, 10, 11]])
    questions = [QUESTIONS[i] for i in (3, 1, 3, 5)]
    together = check_as_if_alone(backbone, [first, second, second, first], questions, kept, longest, **closeness)
    assert together[0] != together[2], "the same question on another image"


def eager_maps(tower: Any, pixels: Tensor) -> tuple[Tensor, ...]:
    """[B, H, T, T] attention of each layer of a stock vision tower, which only its eager attention gives."""
    with attending(tower, "eager"), torch.inference_mode():
        found: tuple[Tensor, ...] = tower(pixels, output_attentions=True).attentions
    return found


def check_not_flat(scores: Tensor) -> None:
    """Even scores would not tell layers, or rows, apart."""
    assert float(scores.max() / scores.min()) > 1.2


def check_cls_rows(images: Sequence[VisualTokens], maps: Sequence[Tensor], layer: int) -> None:
    """Each image's signal is the CLS row of the stock maps of a layer, mean over heads."""
    for i, image in enumerate(images):
        row = image.cls_attention(layer)
        torch.testing.assert_close(row, maps[layer][i, :, 0, 1:].mean(0))
        check_not_flat(row)


@torch.inference_mode()
def counted(work: Callable[[], object]) -> int:
    """FLOPs by torch's counter. The closed formulas are exact, so tests ask for equality rather than for 1%."""
    before = torch.backends.mha.get_fastpath_enabled()
    # The counter has no formula for the fused kernel that open_clip's layers without a mask may take.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter:
            work()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
    return int(counter.get_total_flops())


def refused(load: Callable[[], object]) -> str:
    """What loading says of a checkpoint that cannot be used, which must be one line."""
    with pytest.raises(PruneProofError) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    return message


def change_json(path: Path, **changes: Any) -> None:
    """Give values of a checkpoint's file, or of the image processor in it, other ones."""
    content = json.loads(path.read_text())
    place = content["image_processor"] if path.name == "processor_config.json" else content
    assert changes.keys() <= place.keys()
    place.update(changes)
    path.write_text(json.dumps(content))
