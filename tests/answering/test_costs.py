"""FLOPs against a closed formula of the small LLaVA's shape, and the tables of the stage."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pruneproof import pruning
from pruneproof.answering import costs
from pruneproof.answering.grid import sheets
from pruneproof.backbones import load
from pruneproof.backbones.families.llava import Llava
from pruneproof.folders import Folders
from pruneproof.records import CLEAN
from pruneproof.settings import MethodSettings, Study

# The shapes of tests/conftest.py.
PATCHES, WIDTH, LAYERS, SPACE = 16, 48, 3, 24
TEXT_LENGTH, TEXT_WIDTH, TEXT_LAYERS = 40, 32, 2
LM_WIDTH, LM_FEED_FORWARD, LM_LAYERS, LM_HEADS, LM_KEY_HEADS = 64, 96, 2, 4, 2


def transformer(tokens: int, width: int, layers: int) -> int:
    """Four projections, two attention products and a feed-forward of four widths, two FLOPs a multiplication."""
    return layers * 2 * (4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * 4 * width)


def llama(queries: int, keys: int, vocabulary: int) -> int:
    """A forward of `queries` new tokens that see `keys`, and the output head at the last of them."""
    head = LM_WIDTH // LM_HEADS
    projections = 2 * LM_WIDTH**2 + 2 * LM_WIDTH * head * LM_KEY_HEADS
    layer = queries * (projections + 3 * LM_WIDTH * LM_FEED_FORWARD) + 2 * queries * keys * LM_WIDTH
    return 2 * (LM_LAYERS * layer + LM_WIDTH * vocabulary)


@pytest.fixture(scope="module")
def llava(llava_root: Path, llava_settings: Any) -> Llava:
    loaded = load(llava_settings, llava_root, "cpu")
    assert isinstance(loaded, Llava)
    return loaded


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    ("method", "tokens"),
    [
        ({"method": "full"}, 16),
        ({"method": "atp", "keep": 0.25}, 4),
        ({"method": "atp", "keep": 0.25, "alpha": 0.0}, 4),
    ],
)
def test_flops_are_the_closed_formula_within_1_percent(
    llava: Llava, study: Study, folders: Folders, method: dict[str, Any], tokens: int, attention: str
) -> None:
    settings = study.backbones["tiny"]
    image = next(sheets(study, folders, True, [CLEAN])).batches[0].images[0]
    pruner = pruning.load(MethodSettings.model_validate(method))
    llava.model.set_attn_implementation(attention)
    rows = costs.count_flops(llava, settings, pruner, image, "tiny", "it", 0)
    found = {row.component: row.flops for row in rows}

    prompt = llava.prompt(image.questions[0].text)
    length = len(prompt.before) + tokens + len(prompt.after)
    vocabulary = llava.model.config.text_config.vocab_size
    dependent = method["method"] == "atp" and method.get("alpha", 0.5) > 0
    # One key projection, and the query and the scores of CLS alone.
    attending = 2 * ((PATCHES + 1) * WIDTH**2 + WIDTH**2 + (PATCHES + 1) * WIDTH)
    aligning = 2 * PATCHES * (WIDTH * SPACE + SPACE)
    expected = {
        "vision_tower": 2 * PATCHES * 3 * 14**2 * WIDTH + transformer(PATCHES + 1, WIDTH, LAYERS),
        "text_tower": (transformer(TEXT_LENGTH, TEXT_WIDTH, TEXT_LAYERS) + 2 * TEXT_WIDTH * SPACE) * dependent,
        "scoring": attending * (method["method"] == "atp") + aligning * dependent,
        "connector": 2 * tokens * (WIDTH * LM_WIDTH + LM_WIDTH**2),
        "prefill": llama(length, length, vocabulary),
        "decode": llama(1, length + 1, vocabulary),
    }
    assert list(found) == list(expected)
    for component, flops in expected.items():
        assert found[component] == pytest.approx(flops, rel=0.01), component
    assert {row.visual_tokens for row in rows} == {tokens}
    key_value = 2 * LM_LAYERS * LM_KEY_HEADS * (LM_WIDTH // LM_HEADS) * 4
    assert {row.kv_cache_bytes for row in rows} == {key_value * length}


def test_int8_weights_save_memory_and_no_flops(llava: Llava, llava_root: Path, study: Study, folders: Folders) -> None:
    """By hand: a layer's weights are q, k, v, o and three of the feed-forward, with a scale for each of their rows."""
    chosen = study.backbones["tiny"].model_copy(update={"language_weights": "int8"})
    image = next(sheets(study, folders, True, [CLEAN])).batches[0].images[0]
    full = pruning.load(MethodSettings(method="full"))
    rows = [
        costs.count_flops(backbone, chosen, full, image, "tiny", "full", 0)
        for backbone in (llava, load(chosen, llava_root, "cpu"))
    ]
    assert [(row.component, row.flops) for row in rows[0]] == [(row.component, row.flops) for row in rows[1]]
    key = LM_WIDTH // LM_HEADS * LM_KEY_HEADS
    weights = 2 * LM_WIDTH**2 + 2 * LM_WIDTH * key + 3 * LM_WIDTH * LM_FEED_FORWARD
    scales = 2 * LM_WIDTH + 2 * key + 2 * LM_FEED_FORWARD + LM_WIDTH
    assert rows[0][0].weight_bytes - rows[1][0].weight_bytes == LM_LAYERS * (3 * weights - 4 * scales)


def test_the_stage_writes_its_tables(study: Study, folders: Folders) -> None:
    costs.run(study, folders)
    with (folders.costs / "flops.csv").open() as file:
        flops = list(csv.DictReader(file))
    assert len(flops) == 4 * 6
    columns = ["backbone", "method", "component", "flops", "visual_tokens", "kv_cache_bytes", "weight_bytes"]
    assert list(flops[0]) == columns
    prefill = {row["method"]: int(row["flops"]) for row in flops if row["component"] == "prefill"}
    assert prefill["full"] > prefill["atp_25"] == prefill["random_25"]

    with (folders.costs / "latency.csv").open() as file:
        latency = list(csv.DictReader(file))
    assert [(row["method"], row["batch"]) for row in latency] == [
        (method, batch) for batch in ("1", "4") for method in study.methods
    ]
    for row in latency:
        assert 0 < float(row["low_s"]) <= float(row["median_s"]) <= float(row["high_s"])
        ratios = [float(row[f"ratio_{name}"]) for name in ("low", "full_over_this", "high")]
        assert ratios == sorted(ratios)
        if row["method"] == "full":
            assert ratios == [1.0, 1.0, 1.0]
    machine = json.loads((folders.costs / "machine.json").read_text())
    assert machine["device"] == "cpu"
