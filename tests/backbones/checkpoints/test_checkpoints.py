"""Weights that run code when they are read are refused in one line that says how to convert them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pruneproof.backbones import load
from pruneproof.backbones.checkpoints.weights import INDEX, locate, require_tower
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

TINY = "data/backbones/tiny_llava"


@pytest.fixture
def root(llava_root: Path, tmp_path: Path) -> Path:
    shutil.copytree(llava_root / "data", tmp_path / "data")
    return tmp_path


def refusal(settings: BackboneSettings, root: Path) -> str:
    with pytest.raises(PruneProofError) as caught:
        locate(settings, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin", "weights.pt", "model.pth"])
def test_a_pickle_is_refused(root: Path, llava_settings: BackboneSettings, name: str) -> None:
    (root / TINY / "model.safetensors").rename(root / TINY / name)
    said = refusal(llava_settings, root)
    assert f"as a pickle ({name}), which runs code" in said
    assert "save_pretrained(folder)" in said


def test_pickles_beside_safetensors_are_not_read(root: Path, llava_settings: BackboneSettings) -> None:
    (root / TINY / "training_args.bin").touch()
    (root / TINY / "pytorch_model.bin").touch()
    assert locate(llava_settings, root) == str(root / TINY)
    load(llava_settings, root, "cpu")


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("", "is not an index of shards"),
        ("{", "is not an index of shards"),
        ("[]", "is not an index of shards"),
        ("{}", "is not an index of shards"),
        ('{"weight_map": {}}', "names no shard"),
        ('{"weight_map": {"a": "model.bin"}}', "names 'model.bin', which is not a safetensors file beside it"),
        (
            '{"weight_map": {"a": "../model.safetensors"}}',
            "names '../model.safetensors', which is not a safetensors file",
        ),
        ('{"weight_map": {"a": 3}}', "names 3, which is not a safetensors file beside it"),
        ('{"weight_map": {"a": "model-1.safetensors"}}', "lacks model-1.safetensors: copy the missing files"),
    ],
)
def test_an_index_names_safetensors_that_are_there(
    root: Path, llava_settings: BackboneSettings, index: str, said: str
) -> None:
    (root / TINY / "model.safetensors").unlink()
    (root / TINY / INDEX).write_text(index)
    assert said in refusal(llava_settings, root)


def test_shards_are_found(root: Path, llava_settings: BackboneSettings) -> None:
    (root / TINY / "model.safetensors").rename(root / TINY / "model-00001-of-00001.safetensors")
    (root / TINY / INDEX).write_text(json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}))
    assert locate(llava_settings, root) == str(root / TINY)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("processor_config.json", "has no preprocessor_config.json, which says how pictures are read: copy it"),
        ("tokenizer.json", "has no tokenizer (tokenizer.json or "),
    ],
)
def test_a_checkpoint_says_how_pictures_and_texts_are_read(
    root: Path, llava_settings: BackboneSettings, name: str, said: str
) -> None:
    (root / TINY / name).unlink()
    assert said in refusal(llava_settings, root)


def test_an_older_checkpoint_has_its_image_processor_in_a_file_of_its_own(
    root: Path, llava_settings: BackboneSettings
) -> None:
    own = json.loads((root / TINY / "processor_config.json").read_text())
    images = own.pop("image_processor")
    (root / TINY / "processor_config.json").write_text(json.dumps(own))
    assert "has no preprocessor_config.json" in refusal(llava_settings, root)
    (root / TINY / "preprocessor_config.json").write_text(json.dumps(images))
    assert locate(llava_settings, root) == str(root / TINY)


@pytest.mark.parametrize("name", ["open_clip_pytorch_model.bin", "weights.pth", "model.pt"])
def test_a_pickled_clip_is_refused(root: Path, llava_settings: BackboneSettings, name: str) -> None:
    clip = root / TINY / "clip"
    (clip / "open_clip_model.safetensors").rename(clip / "other.safetensors")
    require_tower(clip, "text_tower")
    (clip / name).touch()
    with pytest.raises(PruneProofError, match=rf"^text_tower .* as a pickle \({re.escape(name)}\), which runs code"):
        load(llava_settings, root, "cpu")
    (clip / "other.safetensors").rename(clip / "open_clip_model.safetensors")
    require_tower(clip, "text_tower")


def test_a_clip_without_weights_is_refused(root: Path) -> None:
    (root / TINY / "clip/open_clip_model.safetensors").unlink()
    with pytest.raises(PruneProofError, match=r"has no weights \(open_clip_model.safetensors\): restore them"):
        require_tower(root / TINY / "clip", "text_tower")


@pytest.mark.slow
def test_what_the_message_says_converts_a_clip(root: Path, llava_settings: BackboneSettings) -> None:
    import torch
    from safetensors.torch import load_file

    clip = root / TINY / "clip"
    weights = load_file(clip / "open_clip_model.safetensors")
    torch.save(weights, clip / "open_clip_pytorch_model.bin")
    (clip / "open_clip_model.safetensors").unlink()
    with pytest.raises(PruneProofError) as caught:
        require_tower(clip, "text_tower")
    command = str(caught.value).split("`")[1]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, cwd=clip, env=os.environ | {"PATH": path})
    require_tower(clip, "text_tower")
    found = load_file(clip / "open_clip_model.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in weights.items())
    assert found.keys() == weights.keys()
