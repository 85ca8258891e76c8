"""The stage `measure_costs`: FLOPs by component, visual tokens, memory, and latency against the full model."""

from __future__ import annotations

import csv
import io
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pruneproof import backbones, machine, pruning
from pruneproof.answering.answerer import pruning_stream
from pruneproof.answering.batch import AskedImage, prompt_text
from pruneproof.answering.brought import weights_of
from pruneproof.answering.doors import Picture, Seen, encode, narrowing, show
from pruneproof.answering.grid import sheets
from pruneproof.backbones import Backbone
from pruneproof.errors import PruneProofError, of_method
from pruneproof.files import write_json, write_text
from pruneproof.folders import Folders
from pruneproof.pictures import read_picture
from pruneproof.pruning.protocol import Method, VisualTokens
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
    weight_bytes: int
    """Weights of the whole model in memory, apart from CLIP's text towers."""


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
        methods = {method: pruning.load(chosen) for method, chosen in study.methods_of(name).items()}
        for method_id, method in methods.items():
            weights = weights_of(method, root, device)
            with of_method(method_id, method):
                flops += count_flops(backbone, settings, method, images[0], name, method_id, study.study.seed, weights)
        latencies += measure_latency(backbone, settings, methods, images, name, study, root)
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
    method: Method,
    image: AskedImage,
    name: str,
    method_id: str,
    seed: int,
    weights: Mapping[str, Any] = MappingProxyType({}),
) -> list[FlopRow]:
    """FLOPs of one question on one image, component by component.

    What a method computes inside the vision tower or the language model is counted there.

    Args:
        backbone: a loaded model.
        settings: its settings.
        method: the method.
        image: its first question is asked.
        name: id of the backbone.
        method_id: id of the method.
        seed: the study's seed.
        weights: that the method brings.
    """
    question = image.questions[0]
    stream = partial(pruning_stream, seed, image.image_id, CLEAN.condition_id)

    def read() -> VisualTokens:
        return encode(backbone, method, [read_picture(image.png)], [stream])[0]

    def see(tokens: VisualTokens) -> Seen:
        return show(backbone, method, [Picture(tokens, (question.text,), stream)])[0][0]

    _forget_texts(backbone)
    vision, encoded = _count(read)
    with_text, _ = _count(lambda: see(encoded))
    # A fresh encoding has no remembered scores; the question's embedding is remembered.
    encoded = read()
    seeing, seen = _count(lambda: see(encoded))
    connecting, _ = _count(lambda: backbone.connect([seen.read]))
    narrowed = narrowing(method, [stream], weights)
    parts = backbone.components(seen.read, seen.shown, prompt_text(question, settings), narrowed)
    counted = {"vision_tower": vision, "text_tower": with_text - seeing, "scoring": seeing - connecting}
    counted |= {part: _count(work)[0] for part, work in parts.work.items()}
    return [
        FlopRow(name, method_id, part, number, seen.count, parts.kv_cache_bytes, backbone.weight_bytes)
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
    methods: Mapping[str, Method],
    images: Sequence[AskedImage],
    name: str,
    study: Study,
    root: Path,
) -> list[LatencyRow]:
    """Time all methods in turns in this process: each round runs every method once on the same image and questions.

    Ratios are taken inside a round, so a machine that slows down between rounds does not distort them.
    """
    most = min(len(image.questions) for image in images)
    weights = {name: weights_of(method, root, backbone.device) for name, method in methods.items()}
    rows = []
    for batch in sorted({1, most}):
        times: dict[str, list[float]] = {method: [] for method in methods}
        for turn in range(-2, study.costs.repeats):
            image = images[turn % len(images)]
            for method_id, method in methods.items():
                brought = weights[method_id]
                with of_method(method_id, method):
                    seconds = _time_once(backbone, settings, method, image, batch, study.study.seed, brought)
                if turn >= 0:
                    times[method_id].append(seconds)
        full = np.array(times[study.scoring.baseline])
        for method_id, measured in times.items():
            spread = np.quantile(measured, (0.5, 0.25, 0.75))
            ratios = np.quantile(full / np.array(measured), (0.5, 0.25, 0.75))
            rows.append(LatencyRow(name, method_id, batch, *(round(float(v), 6) for v in (*spread, *ratios))))
    return rows


def _time_once(
    backbone: Backbone,
    settings: BackboneSettings,
    method: Method,
    image: AskedImage,
    batch: int,
    seed: int,
    weights: Mapping[str, Any],
) -> float:
    """Seconds from the decoded picture to the answers, text embeddings included."""
    questions = image.questions[:batch]
    stream = partial(pruning_stream, seed, image.image_id, CLEAN.condition_id)
    picture = read_picture(image.png)
    _forget_texts(backbone)
    begin = time.perf_counter()
    tokens = encode(backbone, method, [picture], [stream])[0]
    seen = show(backbone, method, [Picture(tokens, tuple(q.text for q in questions), stream)])[0]
    backbone.answer(
        [one.shown for one in seen],
        [prompt_text(q, settings) for q in questions],
        settings.max_caption_tokens if questions[0].caption else settings.max_new_tokens,
        narrowing=narrowing(method, [stream] * len(questions), weights),
    )
    return time.perf_counter() - begin


def _forget_texts(backbone: Backbone) -> None:
    """Forget embedded texts, so that a question costs what it costs the first time."""
    if backbone.clip is not None:
        backbone.clip.forget()


def _clean_images(study: Study, folders: Folders) -> list[AskedImage]:
    """The first images with their questions: captions are left out, unless nothing else is asked."""
    (clean,) = sheets(study, folders, False, [CLEAN])
    for caption in (False, True):
        asked = (
            replace(image, questions=tuple(question for question in image.questions if question.caption == caption))
            for batch in clean.batches
            for image in batch.images
        )
        found = [image.held() for image in islice((image for image in asked if image.questions), study.costs.images)]
        if found:
            return found
    raise PruneProofError("no clean image is asked about: costs cannot be measured")


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
