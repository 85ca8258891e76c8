"""What answering holds in memory, from shapes alone."""

from __future__ import annotations

from dataclasses import dataclass

from pruneproof.planning.languages import language
from pruneproof.planning.prompts import Prompts
from pruneproof.planning.shapes import Shape
from pruneproof.space import size
from pruneproof.stored import ROWS_PER_GROUP

OVERHEAD = 3 * 2**29
"""Bytes for torch, its libraries and the buffers of single operations."""
_ALIVE = 4
"""Gate, up, their product and a copy are alive at once."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    weights: float
    """In the type that they compute in."""
    texts: float
    """Weights of CLIP's text tower and projections, in float32."""
    cache: float
    """Keys and values of the questions that are answered together."""
    buffers: float
    """Between layers, of the questions or pictures that are worked on together."""
    processes: int
    """That share the weights, and have the rest each for themselves."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.weights + self.texts + self.processes * (self.cache + self.buffers) + OVERHEAD

    @property
    def told(self) -> str:
        """In words."""
        parts = (
            (self.weights + self.texts, "weights"),
            (self.processes * self.cache, "keys and values"),
            (self.processes * self.buffers, "between layers"),
            (OVERHEAD, "torch and its libraries"),
        )
        told = ", ".join(f"{size(round(count))} {what}" for count, what in parts)
        several = f" ({self.processes} processes)" if self.processes > 1 else ""
        return f"{size(round(self.total))} of memory{several}, of it {told}"


def memory_of(shape: Shape, prompts: Prompts, rows: int, processes: int = 1) -> Memory:
    """What answering takes.

    Args:
        shape: of the backbone.
        prompts: how long its prompts and answers are.
        rows: questions that are answered together.
        processes: on one machine.
    """
    model, number = language(shape), shape.number_bytes
    visual = shape.tokens if model.visual is None else model.visual
    longest = max(prompts.question + prompts.steps, prompts.caption + prompts.caption_steps)
    positions = prompts.before + visual + shape.around + longest
    inner = getattr(shape.text, "intermediate_size", None) or getattr(shape.text, "ffn_dim", None) or shape.text.d_ff
    together = ROWS_PER_GROUP if shape.layout is None else 1
    seen = together * (shape.patches + shape.crops) * shape.vision.intermediate_size
    widest = max(rows * positions * inner, seen)
    spared = (number - 1) * model.weights if shape.int8 else 0.0
    return Memory(
        shape.parameters * number - spared,
        4.0 * _text_tower(shape),
        float(model.cached * positions * rows * number),
        float(_ALIVE * widest * number),
        processes,
    )


def _text_tower(shape: Shape) -> float:
    """Parameters of CLIP's text half: 12 for each width squared and layer, and its vocabulary."""
    if not shape.clip:
        return 0.0
    text = shape.clip["text_cfg"]
    width = text["width"]
    return float(text["layers"] * 12 * width**2 + text.get("vocab_size", 49408) * width)
