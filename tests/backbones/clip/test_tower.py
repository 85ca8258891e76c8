"""Vision towers read layer by layer: the tower itself where nothing is dropped, ToMe's own blocks where it merges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones.language.test_histories import CASES, settings_of
from tests.conftest import save_llava
from tests.pruning.test_tome import official
from torch import Tensor

from pruneproof import backbones
from pruneproof.answering.doors import encode
from pruneproof.backbones import Reduction
from pruneproof.errors import PruneProofError
from pruneproof.method_checks import declared
from pruneproof.pruning import tome
from pruneproof.pruning.protocol import Kept, TowerLayer
from pruneproof.seeds import generator
from pruneproof.settings import BackboneSettings

QUESTIONS = ("is there a dog?", "what is it that you can see there?", "how many?")
LONGEST = 6


def closed(case: str) -> Mapping[str, str]:
    """Doors that the family of a case does not have."""
    return declared(CASES[case][0]).closed


@pytest.fixture(scope="module", params=["llava", *(case for case in CASES if "tower" not in closed(case))])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load(request.param, tmp_path_factory.mktemp("tower"))


def load(case: str, folder: Path) -> Any:
    if case == "llava":
        save_llava(folder / case)
        return backbones.load(BackboneSettings(family=case, checkpoint=case, text_tower=f"{case}/clip"), folder, "cpu")
    CASES[case][1](folder / case)
    return backbones.load(settings_of(case), folder, "cpu")


def test_a_tower_that_drops_nothing_is_the_tower(model: Any, pictures: list[Image.Image]) -> None:
    seen: list[tuple[int, int]] = []

    def nothing(picture: int, layer: int, view: TowerLayer) -> Kept | None:
        seen.append((picture, layer))
        assert (view.start, view.count, view.depth) == (16, 16, len(model.tower.layers))
        assert view.sizes.tolist() == [1.0] * 16
        return None

    whole = model.encode(pictures)
    read = model.encode(pictures, reduction=Reduction(nothing, proportional=True))
    assert seen == [(picture, layer) for picture in range(2) for layer in range(len(model.tower.layers))]
    everything = torch.arange(16)[None]
    for one, other in zip(read, whole, strict=True):
        torch.testing.assert_close(one.features, other.features, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(one.cls, other.cls, atol=1e-5, rtol=1e-4)
        assert one.origin.tolist() == list(range(16))
        replies = [ask(model, [image], QUESTIONS, everything, LONGEST) for image in (one, other)]
        assert [reply.text for reply in replies[0]] == [reply.text for reply in replies[1]]


def test_the_attention_of_cls_that_a_method_sees_is_that_of_the_layer(model: Any, pictures: list[Image.Image]) -> None:
    whole = model.encode(pictures[:1])[0]

    def compare(picture: int, layer: int, view: TowerLayer) -> Kept | None:
        torch.testing.assert_close(view.cls_attention, whole.cls_attention(layer), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(view.keys, whole.keys(layer), atol=1e-5, rtol=1e-4)
        return None

    model.encode(pictures[:1], reduction=Reduction(compare))


def literal_tome(model: Any, pixels: Tensor, counts: list[int]) -> Tensor:
    """facebookresearch/ToMe `tome/patch/timm.py`: `ToMeAttention` and `ToMeBlock`, written out for these towers.

    Args:
        model: a loaded model.
        pixels: [1, 3, P, P].
        counts: mergers of each layer.
    """
    state = model.tower.embed(pixels)[0]
    size = torch.ones(len(state), 1)
    for layer, r in zip(model.tower.layers, counts, strict=True):
        attention, normed = layer.self_attn, layer.layer_norm1(state)
        heads = attention.num_heads
        query, key, value = (
            part(normed).view(len(state), heads, -1).permute(1, 0, 2)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        scores = query @ key.transpose(-2, -1) * key.shape[-1] ** -0.5 + size.log()[None, None, :, 0]
        state = state + attention.out_proj((scores.softmax(dim=-1) @ value).permute(1, 0, 2).reshape(len(state), -1))
        state, size = official(key.mean(dim=0), state, size, r)
        size = size[:, None]
        state = state + layer.mlp(layer.layer_norm2(state))
    finished: Tensor = model.tower.finish(state)
    return finished


@torch.inference_mode()
def test_tome_inside_a_tower_is_its_official_blocks(model: Any, pictures: list[Image.Image]) -> None:
    method = tome.build(tome.Settings(keep=0.4))
    (image,) = encode(model, method, pictures[:1], [lambda: generator(0)])
    assert image.count == 6
    steps = [16, *(tome.remaining(16, 6, len(model.tower.layers), i) for i in range(len(model.tower.layers)))]
    expected = literal_tome(model, model.pixels(pictures[:1]), [a - b for a, b in pairwise(steps)])
    torch.testing.assert_close(image.cls[0], expected[0], atol=1e-5, rtol=1e-4)
    # The official order is not the picture's: the same tokens, each once.
    distance = torch.cdist(image.features.float(), expected[1:].float())
    assert sorted(distance.argmin(dim=1).tolist()) == list(range(6))
    assert float(distance.amin(dim=1).max()) < 1e-3
    assert image.origin.tolist() == sorted(image.origin.tolist())


def test_a_smaller_picture_has_fewer_tokens_and_no_places_of_its_own(model: Any, pictures: list[Image.Image]) -> None:
    (image,) = model.encode(pictures[:1], side=lambda side: side // 2)
    assert (image.count, image.start) == (4, 16)
    assert image.origin.tolist() == [-1] * 4
    (same,) = model.encode(pictures[:1], side=lambda side: side)
    (whole,) = model.encode(pictures[:1])
    torch.testing.assert_close(same.features, whole.features, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("case", [case for case in CASES if "tower" in closed(case)])
def test_a_family_without_a_door_before_the_end_of_its_tower(
    case: str, tmp_path: Path, pictures: list[Image.Image]
) -> None:
    model = load(case, tmp_path)
    with pytest.raises(PruneProofError, match=re.escape(closed(case)["tower"])):
        model.encode(pictures[:1], reduction=Reduction(lambda *_: None))
