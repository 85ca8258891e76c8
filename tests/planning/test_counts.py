"""What is counted beforehand against what a small LLaVA then really computes."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from pruneproof import pruning
from pruneproof.answering.answerer import Answerer, load_answerer
from pruneproof.answering.batch import AskedImage, Batch, Question
from pruneproof.answering.features import FeatureStore
from pruneproof.planning.asked import Asked, Asking
from pruneproof.planning.prompts import Prompts
from pruneproof.planning.shapes import Shape, shape_of
from pruneproof.planning.work import Running, backbone_work
from pruneproof.pruning.protocol import Signals, encodes_itself
from pruneproof.records import CLEAN
from pruneproof.settings import BackboneSettings, MethodSettings
from pruneproof.stored import Held

PLACES, NOUNS = ("road", "room", "park"), ("dog", "cat", "car", "bus")
PICTURES = len(PLACES)
ASKED = tuple(f"is there a {noun} in the {place}?" for place in PLACES for noun in NOUNS)
"""Different ones on every picture: a process embeds the same texts once."""
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random": {"method": "random", "keep": 0.5},
    "atp": {"method": "atp", "keep": 0.5},
    "divprune": {"method": "divprune", "keep": 0.5},
    "tome": {"method": "tome", "keep": 0.5},
    "resize": {"method": "resize", "keep": 0.5},
    "fastv": {"method": "fastv", "keep": 0.5, "layer": 1, "of": 2},
}


@pytest.fixture(scope="module")
def settings(llava_settings: BackboneSettings) -> BackboneSettings:
    return llava_settings.model_copy(update={"max_new_tokens": 2})


@pytest.fixture(scope="module")
def answerer(settings: BackboneSettings, llava_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Answerer:
    store = FeatureStore(tmp_path_factory.mktemp("features"), "", 0)
    return load_answerer(settings, 0, llava_root, "cpu", store, Signals())


@pytest.fixture(scope="module")
def shape(settings: BackboneSettings, llava_root: Path) -> Shape:
    return shape_of(settings, llava_root)


def batch(size: tuple[int, int] = (56, 56)) -> Batch:
    """Noise of some width and height."""
    rng = np.random.default_rng(0)
    images = []
    for number in range(PICTURES):
        stream = BytesIO()
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(stream, "png")
        own = ASKED[number * len(NOUNS) : (number + 1) * len(NOUNS)]
        asked = tuple(Question(text, False) for text in own)
        images.append(AskedImage(str(number), Held(stream.getvalue()), asked))
    return Batch(CLEAN, tuple(images))


def prompts(answerer: Answerer) -> Prompts:
    """Exact lengths, the mean over the questions."""
    backbone: Any = answerer.backbone
    own = [backbone.prompt(text) for text in ASKED]
    return Prompts(len(own[0].before), float(np.mean([len(one.after) for one in own])), 0.0, 0.0, 1.0, 0.0)


def foretold(shape: Shape, answerer: Answerer, method: MethodSettings) -> dict[Any, Any]:
    asked = Asking((Asked(CLEAN, PICTURES, PICTURES * len(NOUNS)),), 0, (), (), (), "")
    running = Running(16, 1, 1e12)
    return backbone_work(shape, {"it": method}, {True: asked, False: asked}, prompts(answerer), running).total


def answer(answerer: Answerer, chosen: MethodSettings, asked: Batch) -> None:
    method = pruning.load(chosen)
    if answerer.backbone.clip is not None:
        answerer.backbone.clip.forget()
    images = () if encodes_itself(method) else answerer.encode(asked)
    answerer.answer(asked, images, method, "it", "it")


def computed(answerer: Answerer, chosen: MethodSettings, asked: Batch) -> int:
    """FLOPs that torch counts."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter:
            answer(answerer, chosen, asked)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops())


@pytest.mark.parametrize("name", METHODS)
def test_flops_are_those_that_are_computed(shape: Shape, answerer: Answerer, name: str) -> None:
    chosen = MethodSettings.model_validate(METHODS[name])
    counted = sum(amount.flops for amount in foretold(shape, answerer, chosen).values())
    assert counted == pytest.approx(computed(answerer, chosen, batch()), rel=0.1)


@pytest.mark.parametrize(("name", "kept"), [("full", 16), ("random", 8)])
def test_pictures_tokens_and_layers_are_counted_exactly(shape: Shape, answerer: Answerer, name: str, kept: int) -> None:
    """With ATP two questions may happen to keep the same tokens, and then share their reading."""
    backbone: Any = answerer.backbone
    pictures, read, calls = list[int](), list[int](), list[int]()
    layers = backbone.language.decoder.layers

    def entering(_: Any, given: Any) -> None:
        calls.append(1)
        read.append(given[0].shape[0] * given[0].shape[1])

    hooks = [
        backbone.model.model.vision_tower.register_forward_pre_hook(lambda _, given: pictures.append(len(given[0]))),
        layers[0].register_forward_pre_hook(entering),
    ]
    chosen = MethodSettings.model_validate(METHODS[name])
    try:
        answer(answerer, chosen, batch())
    finally:
        for hook in hooks:
            hook.remove()
    lengths, questions = prompts(answerer), PICTURES * len(NOUNS)
    prompt = lengths.before + kept
    assert pictures == [PICTURES]
    # What is read, and one further token of each question, unless padding makes rows of unlike lengths alike.
    asked = PICTURES * prompt + questions * lengths.question + questions
    assert asked <= sum(read) <= 1.05 * asked
    found = foretold(shape, answerer, chosen)
    forwards = (found["prefill"].layers + found["decode"].layers) / (len(layers) + 2)
    assert len(calls) == forwards == 3
