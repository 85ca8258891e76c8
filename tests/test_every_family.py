"""A whole study of small random checkpoints as `save_pretrained` lays them out: it ends in a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from tests.backbones._blip2_checkpoint import blip2_settings, save_blip2
from tests.backbones._flamingo_checkpoint import save_flamingo
from tests.backbones._llava_next_checkpoint import save_llava_next
from tests.backbones._llava_onevision_checkpoint import save_llava_onevision
from tests.backbones._qwen_vl_checkpoint import save_qwen_vl
from tests.backbones._smolvlm_checkpoint import save_smolvlm

from pruneproof.cli import main
from pruneproof.files import read_rows
from pruneproof.method_checks import declared

PROJECT = Path(__file__).parents[1]
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random_25": {"method": "random", "keep": 0.25},
    "atp_25": {"method": "atp", "keep": 0.25},
}
CLIPLESS = {"method": "atp_received", "keep": 0.25}
"""In the place of ATP where there is no CLIP."""
FAMILIES: dict[str, tuple[Callable[[Path], None], int]] = {
    "llava_next": (save_llava_next, 16 + 64),
    "llava_onevision": (save_llava_onevision, 16 + 25),
    "smolvlm": (save_smolvlm, 10 * 16),
    "qwen2_5_vl": (lambda folder: save_qwen_vl(folder, least=16, most=16), 16),
    "qwen3_vl": (lambda folder: save_qwen_vl(folder, "qwen3_vl", least=16, most=16), 16),
    "blip2": (lambda folder: save_blip2(folder, "t5"), 16),
    "flamingo": (lambda folder: save_flamingo(folder), 16),
}
"""How a checkpoint is saved, and its visual tokens of a scene: LLaVA-NeXT's come from the scene and from four tiles,
which LLaVA-OneVision makes smaller, and SmolVLM's from nine tiles and the scene. Qwen's
processor is told a number of pixels, so that all pictures have as many."""


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNEPROOF_WORKERS", "1")
    monkeypatch.setenv("PRUNEPROOF_DEVICE", "cpu")
    checkpoint = tmp_path / "checkpoint"
    FAMILIES[family][0](checkpoint)
    backbone: dict[str, Any] = {"family": family}
    if family == "blip2":
        backbone = blip2_settings("checkpoint").model_dump(mode="json", exclude_none=True)
    clipless = declared(family).clipless
    backbone |= {"checkpoint": str(checkpoint)} | ({} if clipless else {"text_tower": str(checkpoint / "clip")})
    params = {
        "study": {"name": "tiny", "root": str(PROJECT), "seed": 5},
        "benchmark": {"name": "scenes", "images": 2},
        "perturbations": {
            "image": {"names": ["gaussian_noise"], "severities": [3], "resolution": "model", "model_pixels": 112},
            "text": {"names": ["typo_keyboard"], "severities": [3]},
        },
        "backbones": {"tiny": backbone},
        "methods": METHODS | ({"atp_25": CLIPLESS} if clipless else {}),
        "answering": {"caption_conditions": ["clean"]},
        "scoring": {"resamples": 100, "primary": ["atp_25"]},
        "costs": {"images": 1, "repeats": 3},
        "report": {"examples": 1},
    }
    study = tmp_path / "study"
    study.mkdir()
    YAML().dump(params, study / "params.yaml")
    return study


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Glyph")  # random weights answer with whatever the vocabulary holds
def test_a_study_ends_in_a_report(folder: Path, family: str) -> None:
    def run(stage: str, *options: str) -> None:
        assert main([stage, "--study", str(folder), *options]) == 0

    for stage in ("write_manifests", "draw_scenes", "corrupt_images", "reword_questions", "locate_patches"):
        run(stage)
    run("answer_questions", "--backbone", "tiny")
    for stage in ("measure_costs", "score_answers", "write_report"):
        run(stage)

    tokens = FAMILIES[family][1]
    found = {
        (row["width"], row["height"]): len(row["boxes"]) // 4 for row in read_rows(folder / "data/patches/tiny.parquet")
    }
    assert found == {(224, 224): tokens, (112, 112): tokens}
    for method, keep in (("full", 1.0), ("random_25", 0.25), ("atp_25", 0.25)):
        rows = read_rows(folder / f"data/answers/tiny/{method}.parquet")
        assert {len(row["kept"]) for row in rows} == {round(keep * tokens)}
        assert max(max(row["kept"]) for row in rows) <= tokens - 1

    summary = pd.read_csv(folder / "data/scores/summary.csv")
    kept = summary[summary["metric"] == "tokens/target_kept"]
    for method, rows_of in kept.groupby("method"):
        assert {"clean", "image", "text"} <= set(rows_of["family"])
        values = rows_of["value"].to_numpy()
        assert (values == 100).all() if method == "full" else np.all((values >= 0) & (values < 100))
    assert (folder / "reports/figures/tiny/kept_patches_1.png").stat().st_size > 0
    page = (folder / "reports/report.html").read_text(encoding="utf-8")
    assert ("an adaptation of this project, not the paper" in page) == declared(family).clipless
