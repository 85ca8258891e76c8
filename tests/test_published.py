"""What is said of published checkpoints, against the classes that read them and figures worked by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from open_clip import pretrained
from transformers import (
    Blip2Config,
    Blip2ForConditionalGeneration,
    CLIPVisionConfig,
    IdeficsConfig,
    IdeficsForVisionText2Text,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    T5Config,
)

from pruneproof import fetching
from pruneproof.backbones.checkpoints.memory import model_bytes
from pruneproof.published import CHECKPOINTS, TOWERS
from pruneproof.settings import Study

LLAVA = "llava-hf/llava-1.5-7b-hf"


def values(shape: SimpleNamespace) -> dict[str, Any]:
    return {key: value for key, value in vars(shape).items() if not isinstance(value, SimpleNamespace)}


def built(name: str) -> tuple[Any, Any]:
    """The class that reads a checkpoint, and a config of transformers with the shapes given here."""
    shape = CHECKPOINTS[name].config
    vision = values(shape.vision_config)
    if name == LLAVA:
        seen = CLIPVisionConfig(**vision, num_attention_heads=16, projection_dim=768)
        return LlavaForConditionalGeneration, LlavaConfig(
            vision_config=seen, text_config=LlamaConfig(**values(shape.text_config))
        )
    if name.startswith("Salesforce"):
        text = values(shape.text_config)
        del text["hidden_size"], text["is_gated_act"], text["model_type"]
        t5 = T5Config(**text, feed_forward_proj="gated-gelu", tie_word_embeddings=False).to_dict()
        stock: Any = Blip2Config
        config = stock(
            vision_config=vision | {"num_attention_heads": 16},
            qformer_config=values(shape.qformer_config),
            text_config=t5,
        )
        return Blip2ForConditionalGeneration, config
    if name.startswith("Qwen"):
        vision |= {"depth": vision.pop("num_hidden_layers"), "num_heads": vision.pop("num_attention_heads")}
        text = values(shape.text_config)
        vision["out_hidden_size"] = text["hidden_size"]
        classes: tuple[Any, Any] = {
            "qwen2_5_vl": (Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLConfig),
            "qwen3_vl": (Qwen3VLForConditionalGeneration, Qwen3VLConfig),
        }[CHECKPOINTS[name].family]
        return classes[0], classes[1](vision_config=vision, text_config=text, tie_word_embeddings=False)
    vision["embed_dim"] = vision.pop("hidden_size")
    perceiver = values(shape.perceiver_config) | {"use_resampler": True, "qk_layer_norms_perceiver": True}
    own = {"use_resampler": True, "qk_layer_norms": True}
    return IdeficsForVisionText2Text, IdeficsConfig(
        **values(shape), **own, vision_config=vision | {"num_attention_heads": 16}, perceiver_config=perceiver
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_parameters_are_those_of_the_class_that_reads_them(name: str) -> None:
    stock, config = built(name)
    assert model_bytes(stock, config, "float16") == 2 * CHECKPOINTS[name].parameters


@pytest.mark.parametrize("name", [name for name in CHECKPOINTS if name.startswith("Qwen")])
def test_keys_and_layers_are_those_of_the_shapes(name: str) -> None:
    known = CHECKPOINTS[name]
    text = known.config.text_config
    one = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    assert (known.layers, known.width) == (text.num_hidden_layers, text.num_key_value_heads * one)


def test_text_towers_come_from_where_open_clip_fetches_them() -> None:
    for (name, tag), tower in TOWERS.items():
        assert pretrained.get_pretrained_cfg(name, tag)["hf_hub"].rstrip("/") == tower.repository


def study(**others: Any) -> Study:
    return Study.model_validate(
        {
            "study": {"name": "one"},
            "benchmark": {"name": "scenes"},
            "backbones": {"it": {"family": "llava", "checkpoint": LLAVA, "text_tower": "t", "dtype": "float16"}},
            "methods": {"full": {"method": "full"}, "random": {"method": "random", "keep": 0.25}},
        }
        | others
    )


def test_a_checkpoint_is_named_with_commit_files_size_and_command() -> None:
    pinned = study().backbones["it"].model_copy(update={"revision": CHECKPOINTS[LLAVA].revision})
    said = fetching.checkpoint_source(pinned)
    assert "at b234b804b114d9e37bb655e11cbbb5f5e971b7a9 is fetched on first use" in said
    assert "model-00003-of-00003.safetensors, about 14.1 GB in 16 bits" in said
    assert "hf download llava-hf/llava-1.5-7b-hf --revision b234b804b114d9e37bb655e11cbbb5f5e971b7a9" in said
    other = fetching.checkpoint_source(pinned.model_copy(update={"revision": "0" * 40}))
    assert "00003" not in other  # another commit may have other files


def test_a_prompt_is_told_with_what_is_done_otherwise() -> None:
    assert fetching.prompt_note("llava15_pope", "pope") == "LLaVA-1.5 on POPE: as its authors ask and decode"
    assert fetching.prompt_note("blip2_t5_vqav2", "gqa") == (
        "BLIP-2 (Flan-T5) on VQAv2: written for vqav2, not for gqa; decoded greedily, not with 5 beams "
        "(length penalty -1)"
    )


@pytest.fixture
def reads_files(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = (
        fetching.Need("a.json", "https://example.org/a.json", 3, sha256="0" * 64),
        fetching.Need("pictures", "https://example.org/p.zip", 6_000_000_000, what="unpack p.zip here"),
    )
    monkeypatch.setattr(fetching, "needs", lambda settings: needs)
    monkeypatch.setattr(fetching, "_cached", lambda name, revision: False)


@pytest.mark.usefixtures("reads_files")
def test_missing_and_changed_files_of_a_benchmark_are_told_one_by_one(tmp_path: Path) -> None:
    asked = study(benchmark={"name": "pope", "folder": "data/raw"})
    raw = tmp_path / "data/raw"

    def faults(quick: bool = False) -> list[str]:
        return list(fetching.benchmark_faults(asked, tmp_path, quick=quick))

    assert faults() == [
        f"{raw}/a.json is missing: fetch https://example.org/a.json (1 kB)",
        f"{raw}/pictures is missing: fetch https://example.org/p.zip (6.0 GB), unpack p.zip here",
    ]
    (raw / "pictures").mkdir(parents=True)
    (raw / "a.json").write_text("four")
    assert faults() == [
        f"{raw}/a.json has 4 bytes, the published file 3: fetch https://example.org/a.json (1 kB) again, "
        "or name your own otherwise"
    ]
    (raw / "a.json").write_text("abc")
    assert len(faults()) == 1
    assert "SHA-256 ba7816bf8f01cfea" in faults()[0]
    assert faults(quick=True) == []


@pytest.mark.usefixtures("reads_files")
def test_what_is_left_to_fetch_is_summed(tmp_path: Path) -> None:
    asked = study(benchmark={"name": "pope", "folder": "raw"})
    # The pictures, and LLaVA's 7,063,427,072 weights in 16 bits; its text tower is a folder.
    assert fetching.left_bytes(asked, tmp_path) == 3 + 6_000_000_000 + 2 * 7_063_427_072
    (tmp_path / "raw/pictures").mkdir(parents=True)
    assert fetching.left_bytes(asked, tmp_path) == 3 + 2 * 7_063_427_072
