"""What this machine does in a second, measured for some seconds at a backbone's shapes with random weights."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pruneproof import machine
from pruneproof.allocator import keep_freed_memory
from pruneproof.backbones import packing
from pruneproof.backbones.checkpoints.memory import free_bytes
from pruneproof.backbones.flops.languages import llama
from pruneproof.backbones.flops.parts import linear
from pruneproof.backbones.flops.towers import vision_tower
from pruneproof.errors import PruneProofError
from pruneproof.files import write_bytes
from pruneproof.perturbations.images._pictures import StoredPicture
from pruneproof.perturbations.images._work import make
from pruneproof.pictures import encode_png, read_picture
from pruneproof.planning.machines import QUESTION_S, Machine, Speeds
from pruneproof.planning.pretended import heads_of
from pruneproof.planning.shapes import Shape
from pruneproof.plurals import number_of
from pruneproof.records import Condition
from pruneproof.stored import ROWS_PER_GROUP, Held
from pruneproof.workers import run_in_order

LAYERS = 2
"""Of a model that is measured: enough to call one after the other."""
SECONDS = 0.3
"""Spent on each measurement, after one round that is not counted."""
LARGEST = 2e11
"""FLOPs of one forward that is measured, at most; rows are left out until it is as small."""
PIXELS = 224
"""Side of the picture that is corrupted."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Shapes at which the language model works."""

    rows: int
    prompt: int
    """Tokens of a prompt, visual ones among them."""


def median_seconds(work: Callable[[], object], seconds: float = SECONDS) -> float:
    """Median time of some work, which is done once before.

    On a CPU it is the processor's time of this thread, so that whatever else the machine does is not counted.
    """
    clock = time.perf_counter if torch.cuda.is_available() else time.thread_time
    work()
    found: list[float] = []
    while len(found) < 3 or (sum(found) < seconds and len(found) < 1000):
        began = clock()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        found.append(clock() - began)
    return float(np.median(found))


def measured_machine(folder: Path) -> Machine:
    """This machine as a data sheet would describe it.

    Args:
        folder: on the disk that pictures are written to.
    """
    device = machine.device()
    if device.startswith("mps"):
        raise PruneProofError("--machine this measures cpu and cuda: set PRUNEPROOF_DEVICE=cpu, or name a machine")
    processes = machine.workers() if device == "cpu" else 1
    jobs = [device] * processes
    found = [result for _, result in run_in_order(_hardware, jobs, processes, one_thread, _start(device))]
    peaks, widths = [one[0] for one in found], [one[1] for one in found]
    here = f"this processor, {number_of(processes, 'process')}"
    name = torch.cuda.get_device_name() if device.startswith("cuda") else here
    return Machine(
        name,
        "cuda" if device.startswith("cuda") else "cpu",
        {dtype: sum(peak[dtype] for peak in peaks) for dtype in peaks[0]},
        sum(widths),
        float(free_bytes(device) or 0),
        machine.workers(),
        _written(folder),
        "measured",
    )


def _hardware(device: str) -> tuple[dict[str, float], float]:
    """FLOPs a second of products by type, and bytes a second of copying, in one process."""
    peaks: dict[str, float] = {}
    side = 1024 if device == "cpu" else 8192
    for dtype in ("float32", "bfloat16", "float16"):
        left = torch.rand(side, side, device=device, dtype=getattr(torch, dtype))
        peaks[dtype] = linear(side, side, side) / median_seconds(partial(torch.mm, left, left), SECONDS / 2)
    block = torch.empty(2**26 if device == "cpu" else 2**30, dtype=torch.uint8, device=device)
    other = torch.empty_like(block)
    return peaks, 2 * block.nbytes / median_seconds(lambda: other.copy_(block))


def measured(shape: Shape, lengths: Lengths, processes: int, device: str) -> Speeds:
    """What this machine does with a backbone, all of its processes working at once.

    Args:
        shape: its sizes.
        lengths: of its prompts.
        processes: that answer.
        device: a torch device.
    """
    job = partial(_speeds, shape, lengths, device)
    found = [one for _, one in run_in_order(job, list(range(processes)), processes, one_thread, _start(device))]
    tower, language, layer, operation, picture, width = (float(np.mean(column)) for column in zip(*found, strict=True))
    return Speeds(processes, tower, language, width, layer, operation, QUESTION_S, picture)


def _speeds(shape: Shape, lengths: Lengths, device: str, _: int) -> tuple[float, ...]:
    """FLOPs a second of the vision tower and of the language model, and seconds and bandwidth, in one process."""
    from transformers import CLIPVisionConfig, CLIPVisionModel, DynamicCache, LlamaConfig, LlamaModel

    dtype, vision, text = getattr(torch, shape.dtype), shape.vision, shape.text
    kinds: tuple[Any, Any] = (CLIPVisionModel, LlamaModel)
    seen: Any = CLIPVisionConfig(
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        num_hidden_layers=LAYERS,
        num_attention_heads=heads_of(vision),
        image_size=shape.pixels,
        patch_size=vision.patch_size,
    )
    wide = getattr(text, "intermediate_size", None) or getattr(text, "ffn_dim", None) or text.d_ff
    heads = getattr(text, "num_attention_heads", None) or heads_of(text)
    read = LlamaConfig(
        hidden_size=text.hidden_size,
        intermediate_size=wide,
        num_hidden_layers=LAYERS,
        num_attention_heads=heads,
        num_key_value_heads=getattr(text, "num_key_value_heads", None) or heads,
        vocab_size=8,
    )
    with torch.device(device), torch.inference_mode():
        tower, decoder = (kind(config).to(dtype).eval() for kind, config in zip(kinds, (seen, read), strict=True))
        if shape.parameters * dtype.itemsize <= packing.LARGEST:
            packing.pack(tower)
            packing.pack(decoder)
        one = decoder.get_input_embeddings().weight[:1].expand(1, 1, -1)
        layer = median_seconds(lambda: decoder(inputs_embeds=one, use_cache=False)) / LAYERS
        pictures = _most(ROWS_PER_GROUP, vision_tower(seen))
        pixels = torch.rand(pictures, 3, seen.image_size, seen.image_size, dtype=dtype)
        spent = median_seconds(lambda: tower(pixels, output_hidden_states=True))
        tower_rate = pictures * vision_tower(seen) / _net(spent, LAYERS * layer)
        each = llama(read, lengths.prompt, 0)
        rows = _most(lengths.rows, each)
        prompt = torch.rand(rows, lengths.prompt, text.hidden_size, dtype=dtype)

        def reading() -> Any:
            cache = DynamicCache()
            decoder(inputs_embeds=prompt, past_key_values=cache, use_cache=True)
            return cache.layers[0]

        spent = median_seconds(reading)
        language_rate = rows * each / _net(spent, LAYERS * layer)
        keys = reading().keys
        width = 2 * keys.nbytes / median_seconds(lambda: torch.cat([keys, keys[:, :, :1]], dim=2))
        small = torch.rand(64)
        operation = median_seconds(lambda: small.add(1).mul(2).sub(3).abs().neg().exp().add(1).mul(2)) / 8
    return tower_rate, language_rate, layer, operation, picture_seconds(shape.pixels), width


def _most(rows: int, each: float) -> int:
    """As many rows as a measurement has time for."""
    return max(1, min(rows, int(LARGEST / LAYERS / each)))


def _net(spent: float, calling: float) -> float:
    """Time without that of calling; at least half of it, since the two are measured apart."""
    return max(spent - calling, spent / 2)


@lru_cache(maxsize=8)
def picture_seconds(pixels: int) -> float:
    """To read a picture and make a square of `pixels` of it, on one core."""
    from transformers import CLIPImageProcessor

    kind: Any = CLIPImageProcessor
    prepare = kind(size={"shortest_edge": pixels}, crop_size={"height": pixels, "width": pixels})
    png = encode_png(_picture(pixels))
    return median_seconds(lambda: prepare(images=[read_picture(png)], return_tensors="pt"), SECONDS / 2)


@lru_cache(maxsize=8)
def corruption_seconds(names: tuple[str, ...], severity: int = 3) -> dict[str, float]:
    """To corrupt a picture of 224 x 224, PNG read and written, on one core: by name of the perturbation."""
    pixels = _picture(PIXELS)
    mask = np.zeros((PIXELS, PIXELS), np.bool_)
    mask[60:160, 60:160] = True
    stored = StoredPicture("picture", Held(encode_png(pixels)), (Held(encode_png(mask)),))
    found: dict[str, float] = {}
    for name in names:
        condition = Condition("image", name, severity)
        found[name] = median_seconds(partial(make, condition, stored, 0, None), SECONDS / 6)
    return found


def _picture(side: int) -> Any:
    """A smooth picture with some noise, so that it compresses as photographs do."""
    rng = np.random.default_rng(0)
    slope = np.linspace(0, 200, side)[None, :, None] + np.linspace(0, 40, side)[:, None, None]
    return (slope + rng.integers(0, 15, (side, side, 3))).astype(np.uint8)


def _written(folder: Path) -> float:
    """Bytes a second that are written and synchronised."""
    path, content = folder / f".pruneproof-{os.getpid()}.tmp", os.urandom(2**25)
    try:
        began = time.perf_counter()
        write_bytes(path, content)
        return len(content) / (time.perf_counter() - began)
    except OSError:
        return 1e8
    finally:
        path.unlink(missing_ok=True)


def one_thread() -> None:
    """As every process on a CPU computes."""
    keep_freed_memory()
    torch.set_num_threads(1)


def _start(device: str) -> Any:
    return "fork" if device == "cpu" and os.name == "posix" else "spawn"
