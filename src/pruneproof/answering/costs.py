"""The stage `measure_costs`: FLOPs by component, visual tokens, key-value cache, and latency against the full model."""

from __future__ import annotations

import csv
import io
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pruneproof import backbones, machine, pruning
from pruneproof.answering.answerer import pruning_stream
from pruneproof.answering.batch import AskedImage, prompt_text
from pruneproof.answering.grid import sheets
from pruneproof.backbones import Backbone, EncodedImage
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json, write_text
from pruneproof.folders import Folders
from pruneproof.pictures import read_picture
from pruneproof.pruning import Pruner
from pruneproof.records import CLEAN
from pruneproof.settings import BackboneSettings, Study


@dataclass(frozen=True, slots=True)
class FlopRow:
    """One component of answering one question on one image."""

    backbone: str
    method: str
    component: str
    """vision_tower, text_tower, scoring, connector, prefill, or decode (one generated token)."""
    flops: int
    """Two per multiplication and addition, by torch's counter; attention is counted without its causal half."""
    visual_tokens: int
    kv_cache_bytes: int
    """Keys and values of the prompt in the language model."""


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Wall time of one method beside the full model's, measured in turns."""

    backbone: str
    method: str
    batch: int
    """Questions on one image that are answered in one call; 1 is one question on one image, end to end."""
    median_s: float
    low_s: float
    """Lower quartile over the rounds."""
    high_s: float
    ratio_full_over_this: float
    """Median over the rounds of the baseline's time divided by this method's; above 1 is faster than the full model."""
    ratio_low: float
    ratio_high: float


def run(study: Study, folders: Folders) -> None:
    """Write `flops.csv`, `latency.csv` and `machine.json`."""
    import torch

    device = machine.device()
    root = folders.study / study.study.root
    images = _clean_images(study, folders)
    flops: list[FlopRow] = []
    latencies: list[LatencyRow] = []
    for name, settings in study.backbones.items():
        backbone = backbones.load(settings, root, device)
        pruners = {method: pruning.load(chosen) for method, chosen in study.methods_of(name).items()}
        for method, pruner in pruners.items():
            flops += count_flops(backbone, settings, pruner, images[0], name, method, study.study.seed)
        latencies += measure_latency(backbone, settings, pruners, images, name, study)
    write_text(folders.costs / "flops.csv", _csv(flops))
    write_text(folders.costs / "latency.csv", _csv(latencies))
    write_json(
        folders.costs / "machine.json",
        {
            "processor": _processor(),
            "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        },
    )


def count_flops(
    backbone: Backbone,
    settings: BackboneSettings,
    pruner: Pruner,
    image: AskedImage,
    name: str,
    method: str,
    seed: int,
) -> list[FlopRow]:
    """FLOPs of one question on one image, component by component.

    Args:
        backbone: a loaded model.
        settings: its settings.
        pruner: the method.
        image: its first question is asked.
        name: id of the backbone.
        method: id of the method.
        seed: the study's seed.
    """
    question = image.questions[0]

    def select(encoded: EncodedImage) -> Any:
        return pruner.select(encoded, [question.text], pruning_stream(seed, image.image_id, CLEAN.condition_id))

    backbone.forget()
    vision, encoded = _count(lambda: backbone.encode([read_picture(image.png)])[0])
    with_text, kept = _count(lambda: select(encoded))
    # A fresh encoding has no remembered scores; the question's embedding is remembered.
    encoded = backbone.encode([read_picture(image.png)])[0]
    scoring, _ = _count(lambda: select(encoded))
    parts = backbone.components(encoded, prompt_text(question, settings), kept)
    counted = {"vision_tower": vision, "text_tower": with_text - scoring, "scoring": scoring}
    counted |= {part: _count(work)[0] for part, work in parts.work.items()}
    return [
        FlopRow(name, method, part, number, int(kept.shape[-1]), parts.kv_cache_bytes)
        for part, number in counted.items()
    ]


def _count(work: Callable[[], Any]) -> tuple[int, Any]:
    """FLOPs of some work, and its result.

    torch's counter does not see the fused path of `nn.MultiheadAttention`, so that path is disabled meanwhile.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with counter:
            result = work()
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()), result


def measure_latency(
    backbone: Backbone,
    settings: BackboneSettings,
    pruners: Mapping[str, Pruner],
    images: Sequence[AskedImage],
    name: str,
    study: Study,
) -> list[LatencyRow]:
    """Time all methods in turns in this process: each round runs every method once on the same image and questions.

    Ratios are taken inside a round, so a machine that slows down between rounds does not distort them.
    """
    most = min(len(image.questions) for image in images)
    rows = []
    for batch in sorted({1, most}):
        times: dict[str, list[float]] = {method: [] for method in pruners}
        for turn in range(-2, study.costs.repeats):
            image = images[turn % len(images)]
            for method, pruner in pruners.items():
                seconds = _time_once(backbone, settings, pruner, image, batch, study.study.seed)
                if turn >= 0:
                    times[method].append(seconds)
        full = np.array(times[study.scoring.baseline])
        for method, measured in times.items():
            spread = np.quantile(measured, (0.5, 0.25, 0.75))
            ratios = np.quantile(full / np.array(measured), (0.5, 0.25, 0.75))
            rows.append(LatencyRow(name, method, batch, *(round(float(v), 6) for v in (*spread, *ratios))))
    return rows


def _time_once(
    backbone: Backbone, settings: BackboneSettings, pruner: Pruner, image: AskedImage, batch: int, seed: int
) -> float:
    """Seconds from the decoded picture to the answers, text embeddings included."""
    questions = image.questions[:batch]
    picture = read_picture(image.png)
    backbone.forget()
    begin = time.perf_counter()
    encoded: EncodedImage = backbone.encode([picture])[0]
    kept = pruner.select(encoded, [q.text for q in questions], pruning_stream(seed, image.image_id, CLEAN.condition_id))
    backbone.answer([encoded], [prompt_text(q, settings) for q in questions], kept, settings.max_new_tokens)
    return time.perf_counter() - begin


def _clean_images(study: Study, folders: Folders) -> list[AskedImage]:
    """The first images with their questions, captions left out."""
    found: list[AskedImage] = []
    for batch in (batch for sheet in sheets(study, folders, False, [CLEAN]) for batch in sheet.batches):
        for image in batch.images:
            asked = tuple(question for question in image.questions if not question.caption)
            if asked:
                found.append(AskedImage(image.image_id, image.png, asked))
    if not found:
        raise PruneProofError("no clean image has a question that is not a caption: costs cannot be measured")
    return found[: study.costs.images]


def _csv(rows: Sequence[FlopRow] | Sequence[LatencyRow]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return buffer.getvalue()


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
