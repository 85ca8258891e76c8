"""Pictures of different sizes have different numbers of visual tokens, and so do what methods keep of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image

from pruneproof import pruning
from pruneproof.answering.answerer import Answerer
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones import History, Reply
from pruneproof.records import CLEAN
from pruneproof.settings import BackboneSettings, MethodSettings


class PatchCounter:
    """A backbone with one patch for every 10 x 10 pixels that answers with the kept tokens it was shown."""

    device = "cpu"

    def encode(self, images: Sequence[Image.Image]) -> list[Any]:
        numbers = [(image.width // 10) * (image.height // 10) for image in images]
        return [
            SimpleNamespace(
                count=n, size=image.size, features=torch.ones(n, 2), unprunable=torch.ones(0, 2),
                aligned=torch.ones(n, 2), attention=lambda _, n=n: torch.arange(float(n)),
            )
            for n, image in zip(numbers, images, strict=True)
        ]  # fmt: skip

    def embed_text(self, questions: Sequence[str], matched: bool = True) -> torch.Tensor:
        return torch.ones(len(questions), 2)

    def answer(
        self, images: Any, questions: Sequence[str], kept: torch.Tensor, longest: int, histories: Sequence[History] = ()
    ) -> list[Reply]:
        self.histories = [*getattr(self, "histories", []), *histories]
        rows = kept.expand(len(questions), -1).tolist()
        return [Reply(f"{question} {len(row)}", 1.0, 0.0) for question, row in zip(questions, rows, strict=True)]


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_picture_keeps_its_own_number_of_tokens(tmp_path: Path) -> None:
    sizes = {"a": (40, 40), "b": (80, 40), "c": (40, 40)}
    images = tuple(
        AskedImage(name, png(*size), tuple(Question(f"{name}{i}", False) for i in range(2)))
        for name, size in sizes.items()
    )
    settings = BackboneSettings(family="llava", checkpoint="x", text_tower="y")
    for alpha in (0.0, 0.5):
        pruner = pruning.load(MethodSettings.model_validate({"method": "atp", "keep": 0.5, "alpha": alpha}))
        answerer = Answerer(PatchCounter(), settings, 1, FeatureStore(tmp_path, "base", 0))
        batch = Batch(CLEAN, images)
        rows = answerer.answer(batch, answerer.encode(batch), pruner).to_pylist()
        kept = {"a": 8, "b": 16, "c": 8}
        assert [row["text"] for row in rows] == [f"{name}{i} {kept[name]}" for name in sizes for i in range(2)]
        for row in rows:
            number = kept[row["text"][0]]
            assert row["visual_tokens"] == number
            assert row["kept"] == sorted(row["kept"])
            assert len(row["kept"]) == number


def test_tokens_are_selected_by_the_question_that_a_dialogue_names(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    class Selects:
        question_dependent, attention_layers = True, (-1,)

        def select(self, tokens: Any, questions: Sequence[str], rng: Any) -> torch.Tensor:
            seen.append(list(questions))
            return torch.zeros(len(questions), 1, dtype=torch.long)

    asked = (
        Question("b?", False, (("a?", "yes"),), "a?"),
        Question("c?", False),
    )
    settings = BackboneSettings(family="llava", checkpoint="x", text_tower="y", question_suffix="Briefly.")
    backbone = PatchCounter()
    answerer = Answerer(backbone, settings, 1, FeatureStore(tmp_path, "base", 0))
    batch = Batch(CLEAN, (AskedImage("a", png(40, 40), asked),))
    answerer.answer(batch, answerer.encode(batch), Selects())
    assert seen == [["a?", "c?"]]
    assert backbone.histories == [(("a?\nBriefly.", "yes"),), ()]
