"""What a study on published weights will take, from shapes alone: memory, and hours on machines of a known speed.

All of it is an estimate. It counts every question by itself, although questions on one picture share the reading of
it, so that hours are rather too many than too few; what a method's own scoring takes is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from pruneproof import machine, pruning, published
from pruneproof.answering.grid import conditions
from pruneproof.backbones import flops
from pruneproof.plan import duration
from pruneproof.pruning.protocol import Method
from pruneproof.published import Published
from pruneproof.settings import BackboneSettings, Study
from pruneproof.space import size

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Of one number."""
TEXT_TOKENS = 64
"""Of a prompt around its picture: LLaVA's system prompt takes 35, a question with its suffix about 25."""
SHORT_ANSWER, LONG_ANSWER = 3, 100
"""Tokens of an answer, and of a caption where more are allowed."""
OVERHEAD = 3 * 2**29
"""Bytes for torch, its libraries and the buffers of single operations; as in `performance/true_shapes.py`."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What a machine does in a second of answering."""

    machine: str
    flops: float
    bytes: float
    """Weights that are read from memory while decoding."""


USED = 0.4
"""Share of a card's peak that is assumed to be reached."""
CARDS = (
    Speed("an A100 (80 GB)", USED * 312e12, USED * 2.0e12),
    Speed("an H100", USED * 989e12, USED * 3.35e12),
)
"""Peaks in 16 bits, and of memory, from NVIDIA's data sheets."""


def this_processor() -> Speed:
    """What torch reaches here on a matrix product in float32, measured for a tenth of a second."""
    import torch

    left, right = torch.rand(1024, 1024), torch.rand(1024, 1024)
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < 0.1:
        left @ right
        done += 1
    return Speed("this processor", done * flops.linear(1024, 1024, 1024) / spent, 1e10)


def lines(study: Study) -> Iterator[tuple[str, str]]:
    """For each backbone with published weights: its name, and what it takes in one line."""
    batch, speeds = machine.batch_size(), (*CARDS, this_processor())
    for name, backbone in study.backbones.items():
        known = published.CHECKPOINTS.get(backbone.checkpoint)
        if known is None:
            continue
        weights, device = weight_bytes(known, backbone.dtype), device_bytes(known, backbone, batch)
        memory = (
            f"{size(weights + OVERHEAD)} of memory to load it in {backbone.dtype}, {size(device)} on the device for "
            f"{batch} questions at a time"
        )
        times = [(speed.machine, seconds(study, name, known, speed, batch)) for speed in speeds]
        told = [f"{_long(spent)} on {where}" for where, spent in times if spent is not None]
        yield name, f"{memory}; answering at most about {', '.join(told)} (from FLOPs)" if told else memory


def _long(spent: float) -> str:
    days = spent / 86_400
    return duration(spent) if days < 4 else f"{days:,.0f} days"


def weight_bytes(known: Published, dtype: str) -> int:
    """Bytes of the weights in `dtype`."""
    return known.parameters * BYTES[dtype]


def device_bytes(known: Published, backbone: BackboneSettings, batch: int) -> int:
    """Memory of the device that answers `batch` questions together: weights, keys and values, and buffers."""
    longest = max(backbone.max_new_tokens, backbone.max_caption_tokens)
    positions = flops.patches(known.config.vision_config) + TEXT_TOKENS + longest
    cache = 2 * known.layers * known.width * positions * batch * BYTES[backbone.dtype]
    return weight_bytes(known, backbone.dtype) + cache + OVERHEAD


def seconds(study: Study, name: str, known: Published, speed: Speed, batch: int) -> float | None:
    """Time that one backbone takes to answer everything; None for a benchmark whose size is not known here."""
    images, backbone = published.pictures(study.benchmark), study.backbones[name]
    if images is None:
        return None
    whole, grid = published.SETS[study.benchmark.name], conditions(study)
    described = sum(condition.condition_id in study.answering.caption_conditions for condition in grid)
    answers = images * whole.answers * len(grid)
    captions = images * whole.captions * described
    shown = images * (1 + sum(condition.family == "image" for condition in grid))
    longest = min(LONG_ANSWER, backbone.max_caption_tokens)
    reading = 0.0
    for settings in study.methods_of(name).values():
        one = _question(known, pruning.load(settings))
        once = (one.connector + one.prefill) / speed.flops
        token = max(one.decode / speed.flops, weight_bytes(known, backbone.dtype) / speed.bytes / batch)
        reading += answers * (once + SHORT_ANSWER * token) + captions * (once + longest * token)
    return reading + shown * flops.vision_tower(known.config.vision_config) / speed.flops


def _question(known: Published, method: Method) -> flops.Flops:
    """FLOPs of one question under a method; a number of tokens that depends on the picture counts as all."""
    count = flops.patches(known.config.vision_config)
    budget = method.budget(count, known.layers) or (count,) * known.layers
    if known.family == "llava":
        return flops.llava(known.config, budget[0], TEXT_TOKENS, budget=budget)
    family = flops.blip2 if known.family == "blip2" else flops.idefics
    return family(known.config, budget[0], TEXT_TOKENS)
