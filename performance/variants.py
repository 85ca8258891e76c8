"""What was tried to make a forward faster, and whether it is kept.

    python -m performance.variants [--rounds 5] [--checkpoint FOLDER]

Each variant is a process of its own with one thread; in turns they read the same 16 prompts of about 185 tokens, as
questions are asked whose kept tokens differ:

- `plain`: torch and the C library's allocator as they are.
- `allocator`: freed memory is kept (`pruneproof.allocator`), as workers of a study do.
- `packed`: that, and weights in the layout that products read (`pruneproof.backbones.packing`), as workers have them.
- `compiled`: `allocator`, and all decoder layers but the last through `torch.compile` with dynamic shapes.

Beside them one linear layer with each of two weights, plain and packed, at several numbers of rows.

Writes `performance/results/variants.json`: prompts a second, ratios to `allocator` inside each round, and seconds
that a variant takes before its first answer (`compiled` with an empty cache of torch). `compiled` pays after
`pays_after_answers` answers of one process. `packed_layer`: how many times as fast a packed layer is, by its shape and
the number of rows.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from performance._options import count

from pruneproof import backbones
from pruneproof.allocator import keep_freed_memory
from pruneproof.answering import costs
from pruneproof.backbones.packing import pack, product
from pruneproof.files import write_json
from pruneproof.settings import BackboneSettings

HOME = Path(__file__).resolve().parents[1]
VARIANTS = ("plain", "allocator", "packed", "compiled")
ROWS, VISUAL, TEXT = 16, 165, 20
LAYERS = ((192, 192), (192, 512), (512, 192), (768, 768), (2048, 2048))
"""Inputs and outputs: those of the built-in models, and larger ones."""
FED = (1, 4, 16, 64, 256, 1024)
"""Rows."""


def answering(variant: str, checkpoint: str, here: Connection) -> None:
    """One variant's process: sends its start-up seconds, then the rate of each turn that it is asked for."""
    torch.set_num_threads(1)
    if variant != "plain":
        keep_freed_memory()
    if not torch.cuda.is_available():
        # torch.compile looks for CUDA's tools, and warns that there is no use for them.
        logging.getLogger("torch.utils.cpp_extension").addFilter(_about_no_cuda)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        _answering(variant, checkpoint, here)


def _about_no_cuda(record: logging.LogRecord) -> bool:
    """Let everything through but that one warning."""
    return not record.getMessage().startswith("No CUDA runtime is found")


def _answering(variant: str, checkpoint: str, here: Connection) -> None:
    settings = BackboneSettings(family="llava", checkpoint=checkpoint, text_tower=f"{checkpoint}/clip")
    backbone: Any = backbones.load(settings, HOME, "cpu")
    language = backbone.language
    width = language.decoder.config.hidden_size
    if variant == "packed":
        pack(backbone.model)
    if variant == "compiled":
        for layer in language.decoder.layers[:-1]:
            layer.forward = torch.compile(layer.forward, dynamic=True)
    generator = torch.Generator().manual_seed(0)

    def turn(shift: int) -> float:
        prefixes = torch.randn(ROWS, VISUAL + shift, width, generator=generator)
        begin = time.perf_counter()
        language.continue_each(prefixes, [[5] * (TEXT + shift)] * ROWS, 1)
        return time.perf_counter() - begin

    begin = time.perf_counter()
    for shift in range(3):  # torch.compile meets new lengths here
        turn(shift)
    here.send(time.perf_counter() - begin)
    while here.recv():
        here.send(5 * ROWS / sum(turn(shift) for shift in range(5)))


def measured(rounds: int, checkpoint: str) -> dict[str, Any]:
    """Rates and ratios of all variants."""
    spawn = multiprocessing.get_context("spawn")
    ends: dict[str, Connection] = {}
    start: dict[str, float] = {}
    processes = []
    for variant in VARIANTS:
        ends[variant], there = spawn.Pipe()
        processes.append(spawn.Process(target=answering, args=(variant, checkpoint, there), daemon=True))
        processes[-1].start()
        start[variant] = ends[variant].recv()
    rates: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
    for _ in range(rounds):
        for variant in VARIANTS:
            ends[variant].send(True)
            rates[variant].append(ends[variant].recv())
    for variant, process in zip(VARIANTS, processes, strict=True):
        ends[variant].send(False)
        process.join()
    median = {variant: statistics.median(rates[variant]) for variant in VARIANTS}
    gained = 1 / median["allocator"] - 1 / median["compiled"]
    waited = start["compiled"] - start["allocator"]
    return {
        "prompts_per_s": {variant: round(rate, 1) for variant, rate in median.items()},
        "over_allocator": {
            variant: _spread([a / b for a, b in zip(rates[variant], rates["allocator"], strict=True)])
            for variant in VARIANTS
        },
        "warm_up_s": {variant: round(seconds, 2) for variant, seconds in start.items()},
        "pays_after_answers": round(waited / gained) if gained > 0 else None,
    }


def packed_layer(rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a plain layer over those of a packed one, medians of turns, by shape and number of rows."""
    torch.set_num_threads(1)
    return {
        f"{inputs} x {outputs}": {str(rows): _gain(inputs, outputs, rows, rounds) for rows in FED}
        for inputs, outputs in LAYERS
    }


@torch.inference_mode()
def _gain(inputs: int, outputs: int, rows: int, rounds: int) -> float:
    plain = torch.nn.Linear(inputs, outputs)
    packed = torch.ops.mkldnn._reorder_linear_weight(plain.weight)
    state = torch.randn(rows, inputs)
    repeats = max(2, 10**9 // (rows * inputs * outputs + 10**6))

    def taken(work: Callable[[], object]) -> float:
        begin = time.perf_counter()
        for _ in range(repeats):
            work()
        return time.perf_counter() - begin

    turns = [taken(lambda: plain(state)) / taken(lambda: product(state, packed, plain.bias)) for _ in range(rounds + 1)]
    return round(statistics.median(turns[1:]), 2)


def _spread(ratios: list[float]) -> list[float]:
    """Least, median and greatest."""
    return [round(value, 3) for value in (min(ratios), statistics.median(ratios), max(ratios))]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=count, default=5, help="in each of which every variant has a turn")
    parser.add_argument(
        "--checkpoint", type=Path, default=HOME / "data/backbones/builtin_llava", help="a LLaVA's folder"
    )
    chosen = parser.parse_args()
    result = {
        "processor": costs._processor(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "rounds": chosen.rounds,
        "rows": ROWS,
        "packed_layer": packed_layer(chosen.rounds),
    } | measured(chosen.rounds, str(chosen.checkpoint.resolve()))
    write_json(HOME / "performance/results/variants.json", result)
    for variant in VARIANTS:
        least, median, most = result["over_allocator"][variant]
        print(
            f"{variant:10s} {result['prompts_per_s'][variant]:6.1f} prompts/s, {median:.2f} of `allocator` "
            f"({least:.2f} to {most:.2f}), {result['warm_up_s'][variant]:.1f} s to warm up"
        )
    print(f"`compiled` pays after {result['pays_after_answers']} answers of one process")


if __name__ == "__main__":
    main()
