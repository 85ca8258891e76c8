"""Questions that are longer than a language model can read are refused before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones._blip2_checkpoint import QUERIES, blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo
from tests.backbones._llava_next_checkpoint import save_llava_next

from pruneproof import backbones
from pruneproof.backbones.families.llava import Llava
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

LONG = "is there a car in the image " * 400


def refusal(backbone: Any, picture: Image.Image) -> str:
    image = backbone.encode([picture])[0]
    everything = torch.arange(image.count)[None]
    with pytest.raises(PruneProofError) as caught:
        ask(backbone, [image], ["a?", LONG], everything, 4)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return str(caught.value)


def test_the_limit_is_that_of_opts_positions(tmp_path: Path, pictures: list[Image.Image]) -> None:
    save_blip2(tmp_path / "opt", "opt")
    opt: Any = backbones.load(blip2_settings("opt"), tmp_path, "cpu")
    tokens = len(opt.prompt(LONG))
    message = refusal(opt, pictures[0])
    assert f"its prompt has {tokens} tokens, {QUERIES} of the image and up to 4 new ones" in message
    assert f"{str(tmp_path / 'opt')!r}" in message
    assert "has 128 positions" in message
    image, kept = opt.encode(pictures[:1])[0], torch.arange(16)[None]
    # 128 positions: the image's queries, the prompt, and all new tokens but the last.
    room = next(i for i in range(200) if QUERIES + len(opt.prompt("a" * i)) + 4 - 1 == 128)
    object.__setattr__(opt.language, "eos", frozenset())
    assert len(ask(opt, [image], ["a" * room], kept, 4)) == 1
    with pytest.raises(PruneProofError, match="too long"):
        ask(opt, [image], ["a" * (room + 1)], kept, 4)


def test_t5_counts_no_positions(tmp_path: Path, pictures: list[Image.Image]) -> None:
    save_blip2(tmp_path / "t5", "t5")
    t5: Any = backbones.load(blip2_settings("t5"), tmp_path, "cpu")
    image = t5.encode(pictures[:1])[0]
    assert ask(t5, [image], [LONG[:700]], torch.arange(16)[None], 2)


def test_every_family(llava: Llava, tmp_path: Path, pictures: list[Image.Image]) -> None:
    assert ", 16 of the image" in refusal(llava, pictures[0])
    save_flamingo(tmp_path / "flamingo", seed=10)
    save_llava_next(tmp_path / "llava_next")
    for family in ("flamingo", "llava_next"):
        settings = BackboneSettings(family=family, checkpoint=family, text_tower=f"{family}/clip")
        assert "positions; shorten the question" in refusal(backbones.load(settings, tmp_path, "cpu"), pictures[0])
