"""The dispatcher of doors: keeping everything is the full model at every door of every family, and what is dropped is
counted where it is read."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.backbones.language.test_histories import CASES, settings_of
from tests.conftest import save_llava

from pruneproof import backbones, pruning, registry
from pruneproof.answering.doors import Picture, encode, narrowing, require_budget, show
from pruneproof.backbones import Reply
from pruneproof.backbones.families._causal_base import CausalBase
from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Door, Kept, Method, Resizes, Selects, Texts, VisualTokens
from pruneproof.settings import BackboneSettings, MethodSettings

QUESTIONS = ("is there a dog?", "what is it that you can see there?", "how many?")
LONGEST = 6


class SameSize(Resizes):
    """A picture of its own size."""

    title, kind = "Same size", "control"

    def side(self, side: int) -> int:
        return side

    def budget(self, count: int, layers: int) -> tuple[int, ...]:
        return (count,) * layers


def method(name: str, **options: Any) -> Method:
    return pruning.load(MethodSettings.model_validate({"method": name, **options}))


WHOLE: dict[Door, Method] = {
    "input": SameSize(),
    "tower": method("tome", keep=1.0),
    "before_connector": method("random", keep=1.0),
    "after_connector": method("divprune", keep=1.0),
    "language": method("fastv", keep=1.0, layer=1),
}
"""A method at every door that keeps everything."""


@pytest.fixture(scope="module", params=["llava", *CASES])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    case, folder = request.param, tmp_path_factory.mktemp("doors")
    if case == "llava":
        save_llava(folder / case)
        settings = BackboneSettings(family=case, checkpoint=case, text_tower=f"{case}/clip")
    else:
        CASES[case][1](folder / case)
        settings = settings_of(case)
    loaded: Any = backbones.load(settings, folder, "cpu")
    loaded.family = settings.family
    return loaded


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)) for _ in range(2)]


def answers(model: Any, chosen: Method, pictures: list[Image.Image]) -> list[Reply]:
    """Answers to all questions on each picture, the budget checked."""
    streams = [partial(np.random.default_rng, number) for number in range(len(pictures))]
    tokens = encode(model, chosen, pictures, streams)
    asked = [Picture(one, QUESTIONS, stream) for one, stream in zip(tokens, streams, strict=True)]
    seen = [one for own in show(model, chosen, asked) for one in own]
    inside = narrowing(chosen, [stream for stream in streams for _ in QUESTIONS], {})
    questions = list(QUESTIONS) * len(pictures)
    replies: list[Reply] = model.answer([one.shown for one in seen], questions, LONGEST, narrowing=inside)
    for one, reply in zip(seen, replies, strict=True):
        require_budget(model, chosen, one, reply)
    return replies


def closed(model: Any) -> dict[str, str]:
    found: dict[str, str] = registry.constants("pruneproof.backbones.families", model.family)
    return dict(found.get("CLOSED_DOORS", {}))


@pytest.mark.parametrize("door", WHOLE)
def test_keeping_everything_is_the_full_model_token_for_token(
    model: Any, door: Door, pictures: list[Image.Image]
) -> None:
    if door in closed(model):
        pytest.skip(closed(model)[door])
    expected = answers(model, method("full"), pictures)
    found = answers(model, WHOLE[door], pictures)
    for one, other in zip(found, expected, strict=True):
        assert (one.text, one.sequence, one.visual) == (other.text, other.sequence, other.visual)
        assert one.yes_logit == pytest.approx(other.yes_logit, abs=1e-4)


def test_a_closed_door_says_why(model: Any, pictures: list[Image.Image]) -> None:
    for door, why in closed(model).items():
        with pytest.raises(PruneProofError) as error:
            answers(model, WHOLE[door], pictures)  # type: ignore[index]
        assert why in str(error.value) or closed(model)["tower"] in str(error.value)


@pytest.mark.parametrize(
    "chosen",
    [
        method("tome", keep=0.25),
        method("random", keep=0.25),
        method("divprune", keep=0.25),
        method("atp_received", keep=0.25),
        method("fastv", keep=0.25, layer=1),
    ],
    ids=lambda one: one.title,
)
def test_what_is_dropped_is_not_read(model: Any, chosen: Method, pictures: list[Image.Image]) -> None:
    if chosen.door in closed(model):
        pytest.skip(closed(model)[chosen.door])
    if model.mixing and chosen.signals.of_patches:
        pytest.skip("refused by validation")
    full, found = (answers(model, one, pictures) for one in (method("full"), chosen))
    assert [one.text for one in found] != [one.text for one in full]
    for one, other in zip(found, full, strict=True):
        if model.mixing and chosen.door != "after_connector":
            assert (one.sequence, one.visual) == (other.sequence, other.visual)
        elif not model.mixing and chosen.door != "language":
            quarter = other.visual[0] // 4
            assert one.visual == (quarter,) * model.layers
        elif chosen.door == "language":
            assert one.sequence == other.sequence
            assert one.visual == (other.visual[0], *[other.visual[0] // 4] * (model.layers - 1))


class Ragged(Selects):
    """Keeps as many patches as the question has letters modulo 5, and one: each question its own number."""

    title, kind, door, per_question = "Ragged", "control", "before_connector", True

    def budget(self, count: int, layers: int) -> None:
        return None

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        return [Kept(torch.arange(1 + len(question) % 5)) for question in texts.questions]


class Mean(Selects):
    """CLS, where it is to be had, and the mean of every two tokens."""

    title, kind, door = "Mean", "merging", "before_connector"

    def budget(self, count: int, layers: int) -> None:
        return None

    def select(self, tokens: VisualTokens, texts: Texts, rng: np.random.Generator) -> list[Kept]:
        pairs = torch.eye(tokens.count // 2).repeat_interleave(2, dim=1) / 2
        return [Kept(torch.arange(0, 2 * len(pairs), 2), pairs, cls=True)]


def test_each_question_may_keep_its_own_number_of_tokens(model: Any, pictures: list[Image.Image]) -> None:
    together = answers(model, Ragged(), pictures)
    alone = [one for picture in pictures for one in answers(model, Ragged(), [picture])]
    assert [one.text for one in together] == [one.text for one in alone]
    if not model.mixing:
        assert [one.visual[0] for one in together] == [1 + len(question) % 5 for question in QUESTIONS] * 2


def test_merged_tokens_reach_the_connector_merged(model: Any, pictures: list[Image.Image]) -> None:
    if model.family == "llava_onevision":
        pytest.skip("mixes tokens of large pictures; see its own tests")
    (tokens,) = encode(model, Mean(), pictures[:1], [partial(np.random.default_rng, 0)])
    ((seen, *_),) = show(model, Mean(), [Picture(tokens, QUESTIONS, partial(np.random.default_rng, 0))])
    half = tokens.count // 2
    merged = tokens.features[: 2 * half].view(half, 2, -1).mean(dim=1)
    with torch.inference_mode():
        if isinstance(model, CausalBase):
            expected = model.project(torch.cat([tokens.cls, merged]))
        else:
            work = model.q_former if model.family == "blip2" else model.resample
            expected = work(torch.cat([tokens.cls, merged])[None])[0]
    torch.testing.assert_close(seen.shown.rows, expected, atol=1e-4, rtol=1e-4)
    assert seen.count == half + len(tokens.cls)
    assert seen.patches.tolist() == list(range(0, 2 * half, 2))


def test_questions_that_keep_the_same_share_what_they_are_shown(model: Any, pictures: list[Image.Image]) -> None:
    (tokens,) = encode(model, Ragged(), pictures[:1], [partial(np.random.default_rng, 0)])
    questions = ("abc", "abcdefgh", "ab")
    (seen,) = show(model, Ragged(), [Picture(tokens, questions, partial(np.random.default_rng, 0))])
    assert seen[0].shown is seen[1].shown
    assert seen[0].shown is not seen[2].shown
