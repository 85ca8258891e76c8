"""Pictures of different sizes have different numbers of visual tokens, and so do what methods keep of them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from PIL import Image

from pruneproof import pruning
from pruneproof.answering.answerer import Answerer
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.answering.features import FeatureStore
from pruneproof.backbones import History, Reply, Shown
from pruneproof.backbones.clip.vision import USUAL
from pruneproof.errors import PruneProofError
from pruneproof.pruning import top_k
from pruneproof.pruning.protocol import Kept, Method, Selects, Signals, Texts, VisualTokens
from pruneproof.records import CLEAN
from pruneproof.settings import BackboneSettings, MethodSettings
from pruneproof.stored import Held


class PatchCounter:
    """A backbone with one patch for every 10 x 10 pixels that answers with the number of tokens it was shown."""

    device, layers, mixing, usual, set_aside = "cpu", 2, "", USUAL, 0
    lacking: ClassVar[dict[str, str]] = {"cls_attention": "it counts patches"}
    clip = SimpleNamespace(embed=lambda questions, tower: torch.ones(len(questions), 2))

    def encode(self, images: Sequence[Image.Image]) -> list[Any]:
        numbers = [(image.width // 10) * (image.height // 10) for image in images]
        return [
            SimpleNamespace(
                features=torch.ones(n, 2), tower_features=torch.ones(n, 2), cls=torch.ones(0, 2),
                places=torch.zeros(n, 3, dtype=torch.long),
                aligned=lambda _, n=n: torch.ones(n, 2), cls_attention=lambda _, n=n: torch.arange(float(n)),
            )
            for n in numbers
        ]  # fmt: skip

    def connect(self, read: Sequence[tuple[Any, Kept]]) -> list[torch.Tensor]:
        return [kept.apply(tokens.features) for tokens, kept in read]

    def answer(
        self,
        shown: Sequence[Shown],
        questions: Sequence[str],
        longest: int,
        histories: Sequence[History] = (),
        narrowing: object = None,
    ) -> list[Reply]:
        self.histories = [*getattr(self, "histories", []), *histories]
        return [
            Reply(f"{question} {len(one.rows)}", 1.0, 0.0, len(one.rows) + 7, (len(one.rows) + self.more,) * 2)
            for question, one in zip(questions, shown, strict=True)
        ]

    more = 0
    """Visual tokens that its language model reads beyond those that it is shown."""


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


def test_each_picture_keeps_its_own_number_of_tokens(tmp_path: Path) -> None:
    sizes = {"a": (40, 40), "b": (80, 40), "c": (40, 40)}
    images = tuple(
        AskedImage(name, Held(png(*size)), tuple(Question(f"{name}{i}", False) for i in range(2)))
        for name, size in sizes.items()
    )
    for alpha in (0.0, 0.5):
        rows = answered(tmp_path, images, pruning.load(atp(keep=0.5, alpha=alpha)))
        kept = {"a": 8, "b": 16, "c": 8}
        assert [row["text"] for row in rows] == [f"{name}{i} {kept[name]}" for name in sizes for i in range(2)]
        for row in rows:
            number = kept[row["text"][0]]
            assert row["visual_tokens"] == row["input_tokens"] == row["mean_tokens"] == number
            assert row["sequence_length"] == number + 7
            assert row["kept"] == sorted(row["kept"])
            assert len(row["kept"]) == number


def test_tokens_are_selected_by_the_question_that_a_dialogue_names(tmp_path: Path) -> None:
    seen: list[tuple[str, ...]] = []

    class One(Stub):
        def select(self, tokens: VisualTokens, texts: Texts, rng: Any) -> list[Kept]:
            seen.append(texts.questions)
            return [Kept(torch.tensor([i])) for i in range(len(texts.questions))]

    asked = (Question("b?", False, (("a?", "yes"),), "a?"), Question("c?", False))
    backbone = PatchCounter()
    answered(tmp_path, (AskedImage("a", Held(png(40, 40)), asked),), One(), backbone)
    assert seen == [("a?", "c?")]
    assert backbone.histories == [(("a?\nBriefly.", "yes"),), ()]


def test_a_budget_that_the_language_model_does_not_keep_to_is_an_error(tmp_path: Path) -> None:
    backbone = PatchCounter()
    backbone.more = 1
    images = (AskedImage("a", Held(png(40, 40)), (Question("a?", False),)),)
    with pytest.raises(PruneProofError, match=r"^method 'it' \(atp.py\) leaves layer 0 .* 9 visual tokens, .* says 8"):
        answered(tmp_path, images, pruning.load(atp(keep=0.5)), backbone)


def test_every_question_of_a_method_that_looks_at_questions_needs_a_selection(tmp_path: Path) -> None:
    class None_(Stub):
        def select(self, tokens: VisualTokens, texts: Texts, rng: Any) -> list[Kept]:
            return []

    images = (AskedImage("a", Held(png(40, 40)), (Question("a?", False),)),)
    with pytest.raises(PruneProofError, match=r"^method 'it' \(test_answerer.py\) gave 0 selections where 1"):
        answered(tmp_path, images, None_())


def test_a_signal_that_was_not_announced_is_named(tmp_path: Path) -> None:
    class Looks(Stub):
        def select(self, tokens: VisualTokens, texts: Texts, rng: Any) -> list[Kept]:
            return [Kept(top_k(tokens.keys(3).sum(dim=(0, 2)), 1))]

    images = (AskedImage("a", Held(png(40, 40)), (Question("a?", False),)),)
    with pytest.raises(PruneProofError, match=r"^method 'it' .* keys\(3\) .* `signals`: add `keys=\(3,\)`$"):
        answered(tmp_path, images, Looks())


class Stub(Selects):
    """A method whose selection a test writes."""

    title, kind, door, per_question = "Stub", "control", "before_connector", True

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        return (1,) * layers


def atp(**options: Any) -> MethodSettings:
    return MethodSettings.model_validate({"method": "atp", **options})


def answered(
    folder: Path, images: tuple[AskedImage, ...], method: Method, backbone: Any = None
) -> list[dict[str, Any]]:
    settings = BackboneSettings(family="llava", checkpoint="x", text_tower="y", question_suffix="Briefly.")
    answerer = Answerer(backbone or PatchCounter(), settings, 1, folder, FeatureStore(folder, "base", 0), Signals())
    batch = Batch(CLEAN, images)
    rows: list[dict[str, Any]] = answerer.answer(batch, answerer.encode(batch), method, "it", "base").to_pylist()
    return [{**row, "text": row["text"].replace("\nBriefly.", "")} for row in rows]
