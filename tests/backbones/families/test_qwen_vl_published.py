"""Checkpoints with the files of the published ones: read as they are, and answered greedily whatever they ask for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.backbones._asking import ask
from tests.backbones._qwen_vl_checkpoint import EOS, PAD, save_qwen_vl
from tests.backbones._qwen_vl_published import SAMPLING, save_published
from tests.backbones.families._alike import QUESTIONS, everything, picture_of, texts_of, until_end

from pruneproof import backbones, fetching
from pruneproof.backbones.families._qwen_vl_base import QwenVlBase
from pruneproof.settings import BackboneSettings

LONGEST = 10
PICTURE = picture_of((300, 210))


@pytest.fixture(scope="module", params=SAMPLING)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def root(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(kind)
    save_qwen_vl(folder / "saved", kind)
    save_published(folder / "published", kind)
    return folder


@pytest.fixture(scope="module")
def model(kind: str, root: Path) -> QwenVlBase:
    found: Any = backbones.load(BackboneSettings(family=kind, checkpoint="published"), root, "cpu")
    return found


def test_weights_and_limits_are_those_that_were_saved(kind: str, root: Path, model: QwenVlBase) -> None:
    saved: Any = backbones.load(BackboneSettings(family=kind, checkpoint="saved"), root, "cpu")
    assert model.model.state_dict().keys() == saved.model.state_dict().keys()
    for name, tensor in saved.model.state_dict().items():
        assert torch.equal(model.model.state_dict()[name], tensor), name
    assert model.grid(PICTURE.size) == saved.grid(PICTURE.size) == (6, 9)
    # Without limits of pixels of their own the two would differ.
    assert model.grid((3000, 2100)) == saved.grid((3000, 2100))
    ours, theirs = model.encode([PICTURE])[0], saved.encode([PICTURE])[0]
    assert torch.equal(ours.features, theirs.features)


def test_answers_are_greedy_although_the_files_ask_for_sampling(kind: str, model: QwenVlBase) -> None:
    wanted = model.model.generation_config
    assert wanted.do_sample
    assert wanted.repetition_penalty == SAMPLING[kind]["repetition_penalty"]
    assert model.language.eos == {EOS, PAD}
    questions = list(QUESTIONS[:4])
    inputs = model.processor(
        images=[PICTURE] * 4,
        text=[model.prompt_text(question) for question in questions],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )
    plain = {"do_sample": False, "repetition_penalty": 1.0, "temperature": None, "top_p": None, "top_k": None}
    with torch.inference_mode():
        rows = model.model.generate(**inputs, **plain, max_new_tokens=LONGEST)[:, inputs["input_ids"].shape[1] :]
    expected = texts_of(model, until_end(rows.tolist(), (EOS, PAD)))
    image = model.encode([PICTURE])[0]
    replies = ask(model, [image] * 4, questions, everything(image, 4), LONGEST)
    assert [reply.text for reply in replies] == expected
    assert len(set(expected)) == 4
    assert replies[0].sequence == int(inputs["attention_mask"][0].sum())


def test_what_check_says_to_fetch_is_enough(kind: str, root: Path, model: QwenVlBase) -> None:
    """It names no *.txt, and so leaves the tokenizer's merges.txt out."""
    fetched = root / "fetched"
    fetched.mkdir()
    command = fetching.checkpoint_source(BackboneSettings(family=kind, checkpoint="it", revision="0" * 40))
    for pattern in re.findall(r"'(\S+?)'", command):
        for path in (root / "published").glob(pattern):
            shutil.copy(path, fetched)
    assert not (fetched / "merges.txt").exists()
    other: Any = backbones.load(BackboneSettings(family=kind, checkpoint="fetched"), root, "cpu")
    for question in QUESTIONS:
        assert other.prompt(question) == model.prompt(question)
