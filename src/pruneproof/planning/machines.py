"""How fast machines are: by their data sheets in `machines.json`, or as measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from pruneproof.errors import PruneProofError
from pruneproof.planning.amounts import Amount, Part

THIS = "this"
"""The name of the machine that the command runs on, which is measured."""
SHARE: Mapping[str, float] = {"cuda": 0.4, "cpu": 0.5}
"""Of the peak that products reach at the shapes of reading prompts, if nobody says otherwise. On two cores 0.32 to 0.56
were measured; on a GPU 0.4 is assumed."""
READ_SHARE = 0.7
"""Of its bandwidth that memory reaches. Assumed."""
LAYER_S: Mapping[str, float] = {"cuda": 5e-4, "cpu": 3e-4}
"""Seconds that calling a layer takes whatever its size: transformers' Python, and on a GPU the launches of about 25
kernels. Assumed for GPUs; for CPUs chosen after looking at small runs on two cores."""
OPERATION_S: Mapping[str, float] = {"cuda": 1.5e-5, "cpu": 6e-6}
"""Seconds of a small operation of torch, likewise."""
QUESTION_S = 2e-4
"""Seconds around each question: tokenising, decoding its answer, and its row. Chosen like `LAYER_S`."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has."""

    title: str
    device: Literal["cpu", "cuda"]
    flops: Mapping[str, float]
    """A second, by type of number: the peak of matrix products on all cores."""
    bandwidth: float
    """Bytes a second of the memory that weights lie in."""
    memory: float
    """Bytes of it."""
    cores: int
    """Of its processor, which corrupts pictures; a CPU answers with as many processes."""
    disk: float
    """Bytes a second that can be written."""
    source: str
    """Where each figure comes from."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """What one process does in a second with one backbone, and how many processes there are."""

    processes: int
    tower: float
    """FLOPs a second in the vision tower, the text tower and the connector, calling layers apart."""
    language: float
    """The same in everything else."""
    bandwidth: float
    layer_s: float
    operation_s: float
    question_s: float
    picture_s: float
    """To read a picture and make the tower's input of it."""

    def seconds(self, part: Part, amount: Amount) -> float:
        """Wall time of some work when all processes share it."""
        rate = self.tower if part in ("vision tower", "text tower", "connector") else self.language
        each = {"pictures read": self.picture_s, "vision tower": self.picture_s, "around": self.question_s}
        spent = max(amount.flops / rate, amount.bytes / self.bandwidth)
        spent += amount.layers * self.layer_s + amount.operations * self.operation_s
        return (spent + amount.items * each.get(part, 0.0)) / self.processes


def machines() -> dict[str, Machine]:
    """Those of the file, by name."""
    content = json.loads(Path(__file__).with_name("machines.json").read_text(encoding="utf-8"))
    return TypeAdapter(dict[str, Machine]).validate_python(content)


def machine_of(name: str) -> Machine:
    """One of them.

    Raises:
        PruneProofError: if there is none of that name.
    """
    known = machines()
    if name not in known:
        raise PruneProofError(f"--machine is {name!r}: use {THIS} (which is measured), {', '.join(known)}")
    return known[name]


def assumed(machine: Machine, dtype: str, picture_s: float, share: float | None = None) -> Speeds:
    """What a machine is taken to do.

    Args:
        machine: as its data sheet describes it.
        dtype: in which the model computes.
        picture_s: seconds to read a picture, of a core like this one's.
        share: of its peak; None for `SHARE`.
    """
    processes = machine.cores if machine.device == "cpu" else 1
    rate = machine.flops[dtype] * (SHARE[machine.device] if share is None else share) / processes
    return Speeds(
        processes,
        rate,
        rate,
        READ_SHARE * machine.bandwidth / processes,
        LAYER_S[machine.device],
        OPERATION_S[machine.device],
        QUESTION_S,
        picture_s,
    )
