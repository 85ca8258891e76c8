"""The full model against ATP at the published shapes: FLOPs, latency, memory, and where the gain ends.

    python -m performance.true_shapes [--families llava-1.5-7b] [--device cuda] [--layers 4] [--help]

Run it in the repository's root. Weights are random (nothing is downloaded): costs depend on shapes alone. Full and ATP
answer the same batch in turns in one process, and ratios are taken inside a round. A batch is that many questions, each
on its own image; ATP scores by the CLS attention of the vision tower's last layer and the similarity of patches
and question, both weighted alike. Writes `performance/results/true_shapes_<device>.json` and `.md`.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from performance._options import count
from performance._random_weights import random_text_tower
from performance._true_models import SHAPES, Shape
from performance._true_tables import COMPONENTS, markdown
from performance._true_turns import FlopMeter, Inputs, Turn, answer, take_turn

from pruneproof.answering.costs import _processor
from pruneproof.backbones.checkpoints.memory import free_bytes, model_bytes
from pruneproof.errors import PruneProofError
from pruneproof.files import write_json, write_text
from pruneproof.pruning import kept_count

HOME = Path(__file__).resolve().parents[1]
GIB = 2**30
GAIN = 1.05
"""Least ratio full/ATP that counts as a gain, if every round has it."""
OVERHEAD = 3 * GIB // 2
"""torch, its libraries, scoring, and buffers of single operations."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured."""

    keep: float
    batches: tuple[int, ...]
    answer_lengths: tuple[int, ...]
    text_tokens: int
    """Tokens of the prompt around the image."""
    repeats: int
    dtype: torch.dtype
    device: str


def measure_family(shape: Shape, options: Options) -> dict[str, Any]:
    """Everything about one family, as it goes into the result."""
    parts = shape.parts(options.dtype, options.device)
    count = shape.visual_tokens
    modes = {"full": None, "atp": kept_count(options.keep, count)}
    tokens = {mode: kept or count for mode, kept in modes.items()}
    counted: dict[str, dict[str, int]] = {}
    cells: list[dict[str, Any]] = []
    ratios: list[dict[str, Any]] = []
    for batch in options.batches:
        inputs = random_inputs(shape, batch, options)
        for mode, kept in modes.items():
            # The round that warms up is the one whose FLOPs are counted; they grow in proportion to the batch.
            meter = FlopMeter()
            answer(parts, inputs, kept, 2, meter)
            counted[mode] = {name: meter.flops.get(name, 0) // batch for name in COMPONENTS}
        turns: dict[str, list[Turn]] = {mode: [] for mode in modes}
        for _ in range(options.repeats):
            for mode, kept in modes.items():
                turns[mode].append(take_turn(parts, inputs, kept, max(options.answer_lengths), options.device))
        cells += [cell(mode, batch, taken, options.answer_lengths) for mode, taken in turns.items()]
        ratios += [ratio(batch, length, turns) for length in options.answer_lengths]
        print(f"  batch {batch} done", flush=True)
    return {
        "title": shape.title,
        "language_layers": shape.text.num_hidden_layers,
        "published_language_layers": shape.published_layers,
        "text_tower": shape.clip_name,
        "visual_tokens": tokens,
        "prompt_positions": {mode: shape.prompt(kept, options.text_tokens) for mode, kept in tokens.items()},
        "flops": {mode: flops(shape, mode, tokens[mode], counted[mode], options.text_tokens) for mode in modes},
        "flops_atp_over_full": flops_ratios(shape, tokens, options),
        "cells": cells,
        "ratios": ratios,
    }


def random_inputs(shape: Shape, batch: int, options: Options) -> Inputs:
    """Pixels and token ids; the text tower always reads its whole context."""
    size, text = shape.config.vision_config.image_size, shape.clip["text_cfg"]
    context, prompt = text.get("context_length", 77), options.text_tokens
    return Inputs(
        torch.rand(batch, 3, size, size, dtype=options.dtype, device=options.device),
        torch.randint(text["vocab_size"], (batch, context), device=options.device),
        torch.randint(shape.text.vocab_size, (batch, prompt), device=options.device),
    )


def cell(mode: str, batch: int, turns: Sequence[Turn], lengths: Sequence[int]) -> dict[str, Any]:
    """Medians over the rounds of one mode at one batch size; the fields are told in `performance/README.md`."""
    watches = [turn.watch for turn in turns]
    seconds = {name: float(np.median([np.mean(w.seconds[name]) for w in watches])) for name in watches[0].seconds}
    peaks = [turn.peak_bytes for turn in turns if turn.peak_bytes is not None]
    return {
        "mode": mode,
        "batch": batch,
        "seconds_by_component": seconds,
        "first_token_s": float(np.median([w.answer(1) for w in watches])),
        "answer_s": {str(n): float(np.median([w.answer(n) for w in watches])) for n in lengths},
        "decode_tokens_per_s": batch / seconds["decode"] if "decode" in seconds else None,
        "share_scoring": {str(n): float(np.median([w.scoring() / w.answer(n) for w in watches])) for n in lengths},
        "kv_cache_bytes": turns[0].kv_cache_bytes,
        "peak_bytes": max(peaks) if peaks else None,
    }


def ratio(batch: int, length: int, turns: Mapping[str, Sequence[Turn]]) -> dict[str, Any]:
    """Seconds of the full model over ATP's, inside each round: median and range."""
    pairs = zip(turns["full"], turns["atp"], strict=True)
    values = [full.watch.answer(length) / atp.watch.answer(length) for full, atp in pairs]
    low, middle, high = (float(value) for value in np.quantile(values, (0.0, 0.5, 1.0)))
    found = {"full_over_atp": middle, "low": low, "high": high, "gain": low >= GAIN}
    return {"batch": batch, "answer_length": length} | found


def flops(shape: Shape, mode: str, kept: int, counted: Mapping[str, int], text_tokens: int) -> dict[str, Any]:
    """FLOPs of one question: counted, by the closed formula, and by it at the published number of layers."""
    clip = shape.clip if mode == "atp" else None
    formula = asdict(shape.flops(shape.config, kept, text_tokens, clip=clip))
    published = asdict(shape.flops(shape.with_layers(shape.published_layers), kept, text_tokens, clip=clip))
    off = max(abs(counted[name] / formula[name] - 1) for name in COMPONENTS if formula[name])
    return {
        "counted": dict(counted),
        "formula": formula,
        "formula_at_published_layers": published,
        "largest_difference": off,
    }


def flops_ratios(shape: Shape, tokens: Mapping[str, int], options: Options) -> dict[str, float]:
    """ATP's FLOPs over the full model's, by answer length, at the published number of layers."""
    config = shape.with_layers(shape.published_layers)

    def total(mode: str, length: int) -> int:
        clip = shape.clip if mode == "atp" else None
        steps = [
            shape.flops(config, tokens[mode], options.text_tokens, generated=n, clip=clip) for n in range(1, length + 1)
        ]
        once = sum(asdict(steps[0]).values()) - steps[0].decode
        return int(once + sum(step.decode for step in steps[: length - 1]))

    return {str(length): total("atp", length) / total("full", length) for length in options.answer_lengths}


def needed_bytes(shape: Shape, options: Options) -> int:
    """Memory that a family needs at the largest batch and the longest answer, from shapes alone."""
    width, batch = options.dtype.itemsize, max(options.batches)
    weights = model_bytes(shape.stock, shape.config, str(options.dtype).removeprefix("torch."))
    tower = random_text_tower(shape.clip, options.dtype, "meta")
    weights += width * sum(tensor.numel() for tensor in tower.parameters())
    text, vision = shape.text, shape.config.vision_config
    prompt = shape.prompt(shape.visual_tokens, options.text_tokens)
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    keys_and_values = 2 * text.num_hidden_layers * heads * (text.hidden_size // text.num_attention_heads)
    cache = batch * (prompt + max(options.answer_lengths)) * keys_and_values * width
    inner = getattr(text, "ffn_dim", None) or text.intermediate_size
    widest = max(prompt * inner, (shape.visual_tokens + 1) * vision.intermediate_size)
    # Gate, up, their product and a copy are alive at once.
    return int(weights + cache + 4 * batch * widest * width + OVERHEAD)


def require_memory(shape: Shape, options: Options) -> None:
    """Refuse a family that does not fit.

    Raises:
        PruneProofError: saying what it needs and what there is.
    """
    needed, free = needed_bytes(shape, options), free_bytes(options.device)
    if free is not None and needed > free:
        raise PruneProofError(
            f"{shape.title} needs about {needed / GIB:.1f} GiB, but {options.device} has {free / GIB:.1f} GiB free: "
            "give --layers, a smaller --batch, or --dtype bfloat16"
        )


def chosen_shapes(names: Sequence[str], tiny: bool, layers: int | None) -> dict[str, Shape]:
    """Families by name, with as many language layers as asked for, but no more than published.

    Idefics' layers come in groups that follow one cross-attention, so their number is rounded up to whole groups.
    """
    shapes = {name: SHAPES[name](tiny) for name in names}
    if layers is None:
        return shapes

    def fitting(shape: Shape, wanted: int) -> int:
        group = getattr(shape.config, "cross_layer_interval", 1)
        return int(min(-(-wanted // group) * group, shape.published_layers))

    return {name: replace(shape, config=shape.with_layers(fitting(shape, layers))) for name, shape in shapes.items()}


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="true_shapes", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--families", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:<n>")
    add("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    add("--keep", type=float, default=0.6, help="share of visual tokens that ATP keeps")
    add("--batch", nargs="+", type=count, default=[1, 8], help="questions at once")
    add("--answer-lengths", nargs="+", type=count, default=[1, 16, 64], help="tokens")
    add("--text-tokens", type=count, default=40, help="tokens of the prompt around the image")
    add("--repeats", type=count, default=5, help="rounds of full and ATP")
    add("--layers", type=count, help="language layers built, if memory does not suffice for all of them")
    add("--scale", choices=["published", "tiny"], default="published", help="tiny is a smoke run of small models")
    add("--output", type=Path, help="results, without suffix; default: performance/results/true_shapes_<device>")
    return parser.parse_args(arguments)


def run(chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure the families one after another.

    Raises:
        PruneProofError: before anything is measured, if an option is wrong or a family does not fit into memory.
    """
    kind = chosen.device.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise PruneProofError(f"--device is {chosen.device!r}: use cpu, or cuda where torch finds a device")
    if not 0 < chosen.keep <= 1:
        raise PruneProofError(f"--keep is {chosen.keep}: give a share in (0, 1]")
    options = Options(
        keep=chosen.keep,
        batches=tuple(sorted(set(chosen.batch))),
        answer_lengths=tuple(sorted(set(chosen.answer_lengths))),
        text_tokens=chosen.text_tokens,
        repeats=chosen.repeats,
        dtype=getattr(torch, chosen.dtype),
        device=chosen.device,
    )
    shapes = chosen_shapes(chosen.families, chosen.scale == "tiny", chosen.layers)
    for shape in shapes.values():
        require_memory(shape, options)
    torch.manual_seed(0)
    families = {}
    for name, shape in shapes.items():
        print(f"{shape.title}: {shape.text.num_hidden_layers} of {shape.published_layers} language layers", flush=True)
        families[name] = measure_family(shape, options)
        # The next model needs this one's memory.
        gc.collect()
    return {
        "device": torch.cuda.get_device_name(chosen.device) if chosen.device.startswith("cuda") else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "dtype": chosen.dtype,
        "scale": chosen.scale,
        "keep": chosen.keep,
        "text_tokens": chosen.text_tokens,
        "rounds": chosen.repeats,
        "least_gain": GAIN,
        "families": families,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; 2 if refused."""
    chosen = parse(arguments)
    scale = "tiny_" if chosen.scale == "tiny" else ""
    stem = chosen.output or HOME / f"performance/results/true_shapes_{scale}{chosen.device.partition(':')[0]}"
    try:
        result = run(chosen)
    except PruneProofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_json(stem.with_name(f"{stem.name}.json"), result)
    write_text(stem.with_name(f"{stem.name}.md"), markdown(result))
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
