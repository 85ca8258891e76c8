"""One batch answered once by a full or a pruned model, its components timed or counted, and its peak of memory."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from performance._true_parts import Parts, Seen
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from pruneproof.backbones.clip.vision import cls_attention
from pruneproof.backbones.language.generation import cache_bytes
from pruneproof.pruning import top_k
from pruneproof.pruning.atp import atp_scores

T = TypeVar("T")
Measure = Callable[[str, Callable[[], Any]], Any]
"""(component, work) -> the work's result."""


@dataclass(frozen=True, slots=True)
class Stopwatch:
    """Seconds of every call, by component, with the device's queue empty before and after."""

    device: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, component: str, work: Callable[[], T]) -> T:
        """Do some work and note its time."""
        self._wait()
        begin = time.perf_counter()
        result = work()
        self._wait()
        self.seconds.setdefault(component, []).append(time.perf_counter() - begin)
        return result

    def _wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def answer(self, length: int) -> float:
        """Seconds from the pixels to the last of `length` tokens, up to as many as were decoded."""
        first = sum(seconds[0] for component, seconds in self.seconds.items() if component != "decode")
        return first + sum(self.seconds.get("decode", [])[: length - 1])

    def scoring(self) -> float:
        """Seconds of what a method adds: text tower and scores."""
        return sum(sum(self.seconds.get(component, [])) for component in ("text_tower", "scoring"))


def embed_texts(tower: Any, ids: Tensor) -> Tensor:
    """[B, E] unit-length texts in CLIP space, on a CPU one after the other.

    There torch's product of several texts in bfloat16 copies the weights for each of them: eight texts through ViT-H-14
    took 13.6 s and one 0.09 s (torch 2.15, two cores). That would count against ATP.
    """
    texts = ids.split(1) if ids.device.type == "cpu" else (ids,)
    return normalize(torch.cat([tower(some) for some in texts]), dim=-1)


@dataclass(frozen=True, slots=True)
class FlopMeter:
    """FLOPs of the first call, by component."""

    flops: dict[str, int] = field(default_factory=dict)

    def __call__(self, component: str, work: Callable[[], T]) -> T:
        """Do some work and note its FLOPs."""
        with FlopCounterMode(display=False) as counter:
            result = work()
        self.flops.setdefault(component, int(counter.get_total_flops()))
        return result


@dataclass(frozen=True, slots=True)
class Inputs:
    """A batch of random images and questions."""

    pixels: Tensor
    clip_ids: Tensor
    """[B, context] the questions as the text tower reads them."""
    ids: Tensor
    """[B, T] the prompts without image tokens."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One batch answered once."""

    watch: Stopwatch
    kv_cache_bytes: int
    """Keys and values of the prompts."""
    peak_bytes: int | None


def take_turn(parts: Parts, inputs: Inputs, kept: int | None, length: int, device: str) -> Turn:
    """Answer a batch and note times and memory; arguments as of `answer`."""
    reset_peak(device)
    watch = Stopwatch(device)
    bytes_of_prompt = answer(parts, inputs, kept, length, watch)
    return Turn(watch, bytes_of_prompt, peak(device))


@torch.inference_mode()
def answer(parts: Parts, inputs: Inputs, kept: int | None, length: int, measure: Measure) -> int:
    """Answer a batch greedily with `length` tokens each, whatever they are.

    Args:
        parts: a model.
        inputs: the batch.
        kept: visual tokens that ATP keeps; None for the full model.
        length: at least 1.
        measure: is given every component's work.

    Returns:
        Bytes of keys and values that the prompts leave.
    """
    seen = measure("vision_tower", lambda: parts.see(inputs.pixels))
    features = seen.features
    if kept is not None:
        text = measure("text_tower", lambda: embed_texts(parts.text_tower, inputs.clip_ids))
        chosen = measure("scoring", lambda: atp_selection(parts, seen, text, kept))
        features = features.gather(1, chosen[..., None].expand(-1, -1, features.shape[-1]))
    tokens = torch.cat([seen.unprunable, features], dim=1)
    visual = measure("connector", lambda: parts.connect(tokens))
    cache = DynamicCache()
    logits = measure("prefill", lambda: parts.read(visual, inputs.ids, cache))
    bytes_of_prompt = cache_bytes(cache)
    for _ in range(length - 1):
        ids = logits.argmax(dim=-1, keepdim=True)
        logits = measure("decode", lambda ids=ids: parts.step(visual, ids, cache))
    return bytes_of_prompt


def atp_selection(parts: Parts, seen: Seen, text: Tensor, kept: int) -> Tensor:
    """[B, kept] raster indices that ATP keeps, each image by its own question's embedding in text [B, E]."""
    attention = cls_attention(parts.attending, seen.before)
    # CLIP's remaining layers look at CLS too; without any, patches are enough.
    first = 0 if parts.image_end.layers else 1
    rows = []
    for states, question, attended in zip(seen.after, text, attention, strict=True):
        aligned = parts.image_end(states[first:])[1 - first :]
        rows.append(atp_scores(attended, question[None] @ aligned.T, 0.5, "minmax", 1))
    return top_k(torch.cat(rows), kept)


def reset_peak(device: str) -> None:
    """Reset the peak; memory that the allocator keeps for later is given back first."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        # 5 sets VmHWM to what is resident now: proc(5), `clear_refs`.
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def peak(device: str) -> int | None:
    """Bytes at the peak since the reset: allocated on cuda; resident in the process on cpu, None but on Linux."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    if sys.platform != "linux":
        return None
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
