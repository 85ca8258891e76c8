"""Checkpoints that must not be loaded: weights that are not numbers, and code of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruneproof import backbones
from pruneproof.backbones.checkpoints.finite import require_finite
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

CODE = "import pathlib\npathlib.Path({marker!r}).write_text('ran')\n\n\nclass Own:\n    pass\n"


@pytest.fixture
def folder(llava_root: Path, tmp_path: Path) -> Path:
    shutil.copytree(llava_root / "data", tmp_path / "data")
    return tmp_path / "data/backbones/tiny_llava"


def refusal(settings: BackboneSettings, root: Path) -> str:
    with pytest.raises(PruneProofError) as caught:
        backbones.load(settings, root, "cpu")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("file", "part"),
    [("model.safetensors", "layers.1.mlp"), ("clip/open_clip_model.safetensors", "text_projection")],
)
def test_one_weight_that_is_not_finite(
    folder: Path, tmp_path: Path, llava_settings: BackboneSettings, number: float, file: str, part: str
) -> None:
    tensors = load_file(folder / file)
    name = next(name for name in sorted(tensors) if part in name)
    tensors[name].view(-1)[-1] = number
    save_file(tensors, folder / file, {"format": "pt"})
    message = refusal(llava_settings, tmp_path)
    assert "holds NaN or infinite weights in " in message
    assert part in message
    assert ("text_tower " if "clip" in file else "checkpoint ") in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_finite_weights_of_any_dtype_pass(dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4)).to(dtype)
    model[0].weight.data[0] = torch.tensor([largest, -largest, 0.0])
    require_finite(model, "it")
    require_finite(torch.nn.Identity(), "it")
    model[1].running_var[2] = float("nan")
    with pytest.raises(PruneProofError, match=r"^it holds NaN or infinite weights in '1.running_var'"):
        require_finite(model, "it")


def test_numbers_too_large_for_float16(folder: Path, tmp_path: Path, llava_settings: BackboneSettings) -> None:
    tensors = load_file(folder / "model.safetensors")
    next(tensor for name, tensor in tensors.items() if "multi_modal_projector" in name).view(-1)[0] = 1e6
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    half = llava_settings.model_copy(update={"dtype": "float16"})
    assert "read as float16: restore its files (or set `dtype: bfloat16`" in refusal(half, tmp_path)
    assert backbones.load(llava_settings, tmp_path, "cpu")


def own_class(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", ["config", "processor", "tokenizer", "image_processor", "text_tower", "text_config"])
def test_code_of_a_checkpoint_is_not_run_and_nobody_is_asked(
    folder: Path, tmp_path: Path, llava_settings: BackboneSettings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt="": asked.append(prompt) or "y")
    marker = tmp_path / "marker"
    for place in (folder, folder / "clip"):
        (place / "own.py").write_text(CODE.format(marker=str(marker)))
    own = {
        "config": ("config.json", {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}),
        "processor": ("processor_config.json", {"processor_class": "Own", "auto_map": {"AutoProcessor": "own.Own"}}),
        "tokenizer": (
            "tokenizer_config.json",
            {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "own.Own"]}},
        ),
        "text_tower": (
            "clip/tokenizer_config.json",
            {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": [None, "own.Own"]}},
        ),
    }
    if kind in own:
        file, changes = own[kind]
        own_class(folder / file, **changes)
    elif kind == "image_processor":
        path = folder / "processor_config.json"
        config = json.loads(path.read_text())
        config["image_processor"] |= {"image_processor_type": "Own", "auto_map": {"AutoImageProcessor": "own.Own"}}
        path.write_text(json.dumps(config))
    else:
        path = folder / "clip/open_clip_config.json"
        (folder / "other").mkdir()
        (folder / "other/own.py").write_text(CODE.format(marker=str(marker)))
        (folder / "other/config.json").write_text(json.dumps(own["config"][1]))
        config = json.loads(path.read_text())
        config["model_cfg"]["text_cfg"] |= {
            "hf_model_name": str(folder / "other"),
            "hf_proj_type": "linear",
            "hf_pooler_type": "cls_pooler",
            "tokenizer_kwargs": {"trust_remote_code": True},
        }
        path.write_text(json.dumps(config))
    try:
        if kind == "tokenizer":
            # A LLaVA's tokenizer has a class in transformers, which is taken instead.
            assert backbones.load(llava_settings, tmp_path, "cpu")
            return
        message = refusal(llava_settings, tmp_path)
    finally:
        assert not asked
        assert not marker.exists()
    assert "needs its own code (`auto_map`), which is never run" in message
