"""The true-size benchmark on tiny models: parts against the stock models, and what it writes."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from performance._random_weights import random_model
from performance._true_models import SHAPES, Shape
from performance._true_parts import Parts
from performance._true_tables import _gains
from performance._true_turns import Stopwatch, Turn
from performance.true_shapes import Options, chosen_shapes, main, needed_bytes, ratio
from torch import Tensor
from transformers import DynamicCache

from performance import _true_turns, true_shapes
from pruneproof.backbones.clip.vision import cls_attention
from pruneproof.pruning.atp import Atp, Settings

FAMILIES = pytest.mark.parametrize("family", list(SHAPES))
TEXT = 6
PLACEHOLDER = 127
PARAMETERS = {"llava-1.5-7b": 7.06e9, "blip2-opt-2.7b": 3.74e9, "idefics-9b": 8.93e9}
"""As the checkpoints' pages on the hub give them."""


def built(shape: Shape) -> tuple[Parts, Any]:
    """The parts, and the stock model with the same random weights."""
    torch.manual_seed(3)
    parts = shape.parts(torch.float32, "cpu")
    torch.manual_seed(3)
    return parts, random_model(shape.stock, shape.config, torch.float32, "cpu")


def stock_logits(name: str, stock: Any, pixels: Tensor, ids: Tensor, visual_tokens: int) -> Tensor:
    """Logits at the last position of the stock model's own forward, from pixels and placeholders."""
    places = torch.full((len(ids), visual_tokens), PLACEHOLDER)
    given = {
        "llava-1.5-7b": lambda: {
            "pixel_values": pixels,
            "input_ids": torch.cat([ids[:, :1], places, ids[:, 1:]], dim=1),
        },
        "blip2-opt-2.7b": lambda: {"pixel_values": pixels, "input_ids": torch.cat([places, ids], dim=1)},
        "idefics-9b": lambda: {
            "pixel_values": pixels[:, None],
            "input_ids": ids,
            "image_attention_mask": torch.ones(*ids.shape, 1, dtype=torch.long),
        },
    }
    logits: Tensor = stock(**given[name]()).logits[:, -1]
    return logits


@FAMILIES
def test_the_parts_with_all_tokens_are_the_stock_model(family: str) -> None:
    shape = SHAPES[family](True)
    shape.config.image_token_index = PLACEHOLDER
    parts, stock = built(shape)
    pixels, ids = torch.randn(2, 3, 56, 56), torch.randint(100, (2, TEXT))
    with torch.inference_mode():
        seen = parts.see(pixels)
        visual = parts.connect(torch.cat([seen.unprunable, seen.features], dim=1))
        cache = DynamicCache()
        first = parts.read(visual, ids, cache)
        assert cache.get_seq_length() == shape.prompt(shape.visual_tokens, TEXT)
        further = torch.tensor([[5], [9]])
        second = parts.step(visual, further, cache)
        placed = visual.shape[1]
        torch.testing.assert_close(first, stock_logits(family, stock, pixels, ids, placed))
        expected = stock_logits(family, stock, pixels, torch.cat([ids, further], dim=1), placed)
    torch.testing.assert_close(second, expected)
    assert first.std() > 0.1, "weights that say nothing would make every comparison pass"


@dataclass(frozen=True)
class Image:
    """One image and the question on it, as a method sees them."""

    parts: Parts
    seen: Any
    row: int
    text: Tensor

    @property
    def count(self) -> int:
        return int(self.seen.features.shape[1])

    def cls_attention(self, layer: int) -> Tensor:
        assert layer == -1
        return cls_attention(self.parts.attending, self.seen.before[self.row : self.row + 1])[0]

    def aligned(self, layer: int) -> Tensor:
        assert layer == -1
        aligned: Tensor = self.parts.image_end(self.seen.after[self.row])[1:]
        return aligned

    @property
    def in_clip(self) -> Tensor:
        return self.text[self.row][None]


@FAMILIES
def test_the_selection_is_that_of_the_method(family: str) -> None:
    shape = SHAPES[family](True)
    parts, _ = built(shape)
    text = torch.nn.functional.normalize(torch.randn(3, 24), dim=-1)
    with torch.inference_mode():
        seen = parts.see(torch.randn(3, 3, 56, 56))
        chosen = _true_turns.atp_selection(parts, seen, text, 10)
        method = Atp(Settings(keep=10 / 16))
        images: list[Any] = [Image(parts, seen, row, text) for row in range(3)]
        expected = [method.select(image, image, np.random.default_rng())[0].index.tolist() for image in images]
    assert chosen.tolist() == expected
    assert len({tuple(row) for row in expected}) == 3


@FAMILIES
def test_published_shapes_have_the_published_number_of_parameters(family: str) -> None:
    shape = SHAPES[family](False)
    with torch.device("meta"):
        model = shape.stock(shape.config)
    assert sum(weights.numel() for weights in model.parameters()) == pytest.approx(PARAMETERS[family], rel=0.002)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The files of a smoke run of all families."""
    stem = tmp_path_factory.mktemp("results") / "smoke"
    options = "--scale tiny --device cpu --dtype float32 --batch 3 1 --answer-lengths 4 1 --repeats 1 --output"
    assert main([*options.split(), str(stem)]) == 0
    return json.loads(stem.with_name("smoke.json").read_text()), stem.with_name("smoke.md").read_text()


@FAMILIES
def test_counter_and_closed_formula_agree(result: tuple[dict[str, Any], str], family: str) -> None:
    measured = result[0]["families"][family]
    for mode in ("full", "atp"):
        found = measured["flops"][mode]
        assert found["counted"] == found["formula"] == found["formula_at_published_layers"]
        assert found["largest_difference"] == 0
    full, atp = (measured["flops"][mode]["counted"] for mode in ("full", "atp"))
    assert full["text_tower"] == full["scoring"] == 0 < min(atp["text_tower"], atp["scoring"])
    assert atp["connector"] < full["connector"]
    total = {mode: sum(counted.values()) - counted["decode"] for mode, counted in (("full", full), ("atp", atp))}
    assert measured["flops_atp_over_full"]["1"] == pytest.approx(total["atp"] / total["full"])


@FAMILIES
def test_what_the_language_model_keeps(result: tuple[dict[str, Any], str], family: str) -> None:
    measured = result[0]["families"][family]
    positions = {"llava-1.5-7b": (56, 50), "blip2-opt-2.7b": (72, 72), "idefics-9b": (40, 40)}[family]
    assert measured["visual_tokens"] == {"full": 16, "atp": 10}
    assert measured["prompt_positions"] == dict(zip(("full", "atp"), positions, strict=True))
    for cell in measured["cells"]:
        length = measured["prompt_positions"][cell["mode"]]
        # Keys and values of width 64 in 4 layers, 4 bytes each.
        assert cell["kv_cache_bytes"] == cell["batch"] * length * 2 * 64 * 4 * 4


@FAMILIES
def test_times_fit_together(result: tuple[dict[str, Any], str], family: str) -> None:
    measured = result[0]["families"][family]
    assert [(cell["mode"], cell["batch"]) for cell in measured["cells"]] == [
        (mode, batch) for batch in (1, 3) for mode in ("full", "atp")
    ]
    for cell in measured["cells"]:
        assert set(cell["seconds_by_component"]) == {"vision_tower", "connector", "prefill", "decode"} | (
            {"text_tower", "scoring"} if cell["mode"] == "atp" else set()
        )
        assert 0 < cell["first_token_s"] == cell["answer_s"]["1"] < cell["answer_s"]["4"]
        shares = cell["share_scoring"]
        assert (0 < shares["4"] < shares["1"] < 1) if cell["mode"] == "atp" else shares == {"1": 0, "4": 0}
        assert cell["decode_tokens_per_s"] == pytest.approx(cell["batch"] / cell["seconds_by_component"]["decode"])
    assert [(one["batch"], one["answer_length"]) for one in measured["ratios"]] == [(1, 1), (1, 4), (3, 1), (3, 4)]
    assert all(0 < one["low"] <= one["full_over_atp"] <= one["high"] for one in measured["ratios"])


def test_the_page_says_what_was_run(result: tuple[dict[str, Any], str]) -> None:
    page = result[1]
    assert "A smoke run of tiny models" in page
    for title in ("LLaVA-1.5-7B", "BLIP-2 OPT-2.7B", "Idefics-9B"):
        assert f"## {title}\n\n4 of 4 language layers;" in page


def test_answers_of_one_token_need_no_decoding(tmp_path: Path) -> None:
    options = "--scale tiny --device cpu --families llava-1.5-7b --layers 3 --batch 1 --answer-lengths 1 --repeats 1"
    assert main([*options.split(), "--output", str(tmp_path / "one")]) == 0
    measured = json.loads((tmp_path / "one.json").read_text())["families"]["llava-1.5-7b"]
    assert (measured["language_layers"], measured["published_language_layers"]) == (3, 4)
    assert all(cell["decode_tokens_per_s"] is None for cell in measured["cells"])
    found = measured["flops"]["full"]
    assert found["formula"]["prefill"] < found["formula_at_published_layers"]["prefill"]
    assert "3 of 4 language layers, which times and memory are of" in (tmp_path / "one.md").read_text()


def test_layers_are_whole_groups_and_no_more_than_published() -> None:
    few, many = chosen_shapes(list(SHAPES), False, 1), chosen_shapes(list(SHAPES), False, 99)
    assert [shape.text.num_hidden_layers for shape in few.values()] == [1, 1, 4]
    assert [shape.text.num_hidden_layers for shape in many.values()] == [32, 32, 32]


def test_a_gain_is_one_in_every_round() -> None:
    """Two rounds by hand: one token takes 3.0 and 2.2 against 2.0, and four take 3.3 and 2.8 against 2.9."""

    def turn(first: float, further: float) -> Turn:
        return Turn(Stopwatch("cpu", {"prefill": [first], "decode": [further] * 3}), 0, None)

    turns = {"full": [turn(3.0, 0.1), turn(2.2, 0.2)], "atp": [turn(2.0, 0.3), turn(2.0, 0.3)]}
    one, four = ratio(1, 1, turns), ratio(1, 4, turns)
    assert (one["low"], one["full_over_atp"], one["high"]) == pytest.approx((1.1, 1.3, 1.5))
    assert (four["low"], four["high"]) == pytest.approx((2.8 / 2.9, 3.3 / 2.9))
    assert (one["gain"], four["gain"]) == (True, False)
    assert list(_gains([one, four | {"batch": 8}], 1.05)) == [
        "- batch 1: full/ATP is at least 1.05 in every round with answers of 1 tokens (of 1)",
        "- batch 8: full/ATP is at least 1.05 in every round at no answer length (of 4)",
    ]


def test_seconds_of_an_answer() -> None:
    watch = Stopwatch("cpu", {"vision_tower": [2.0], "text_tower": [0.5], "scoring": [0.25], "decode": [0.1, 0.2, 0.4]})
    assert [watch.answer(length) for length in (1, 2, 4)] == pytest.approx([2.75, 2.85, 3.45])
    assert watch.scoring() == 0.75


@pytest.mark.skipif(sys.platform != "linux", reason="the peak on cpu comes from Linux")
def test_the_peak_is_of_the_turn_and_not_of_what_was_before() -> None:
    size = 200 * 2**20
    del (before := {"all": np.ones(2 * size, np.uint8)})["all"]
    _true_turns.reset_peak("cpu")
    at_rest = _true_turns.peak("cpu")
    assert not before
    held = np.ones(size, np.uint8)
    with_it = _true_turns.peak("cpu")
    assert at_rest is not None
    assert with_it is not None
    assert held.nbytes * 0.9 < with_it - at_rest < held.nbytes * 1.1


@FAMILIES
def test_memory_is_estimated_from_the_shape(family: str) -> None:
    def needed(batch: int, dtype: torch.dtype) -> int:
        return needed_bytes(SHAPES[family](False), Options(0.6, (batch,), (64,), 40, 1, dtype, "cpu"))

    weights = 2 * PARAMETERS[family]
    assert weights + 2**30 < needed(1, torch.bfloat16) < weights + 4 * 2**30
    assert needed(1, torch.bfloat16) < needed(8, torch.bfloat16)
    assert needed(1, torch.float32) > 2 * weights
    # A machine with 20 GiB takes LLaVA whole.
    assert needed(8, torch.bfloat16) < 20 * 2**30


def test_too_little_memory_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(true_shapes, "free_bytes", lambda device: 8 * 2**30)
    options = ["--families", "llava-1.5-7b", "--device", "cpu", "--batch", "1", "--output", str(tmp_path / "x")]
    assert main(options) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: LLaVA-1.5-7B needs about 15.3 GiB, but cpu has 8.0 GiB free: give --layers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "said"), [(["--device", "mps"], "--device is 'mps'"), (["--keep", "1.2"], "--keep is 1.2")]
)
def test_wrong_options_are_refused(wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scale", "tiny", *wrong]) == 2
    assert said in capsys.readouterr().err
