"""A training phase that survives a kill: every step's batch depends on its number alone, and checkpoints are atomic."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from pruneproof.files import replacing


@dataclass(frozen=True, slots=True)
class Phase:
    """What one phase trains and for how long."""

    name: str
    steps: int
    groups: tuple[tuple[nn.Module | nn.Parameter, float], ...]
    """(module or parameter, learning rate at its peak)."""
    warmup: int = 100
    decay_share: float = 0.6
    """The rate falls linearly to 2% over this last share of the steps."""
    clip: float = 1.0
    """Largest gradient norm."""
    weight_decay: float = 0.02


def rate_factor(phase: Phase, step: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, constant, linear decay to 0.02."""
    start = phase.steps * (1 - phase.decay_share)
    down = 1.0 if step < start else max(0.02, (phase.steps - step) / (phase.steps - start))
    return min(1.0, (step + 1) / phase.warmup) * down


def _optimiser(phase: Phase) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = []
    for owner, rate in phase.groups:
        parameters = [owner] if isinstance(owner, nn.Parameter) else [p for p in owner.parameters() if p.requires_grad]
        for decayed in (True, False):
            chosen = [p for p in parameters if (p.ndim >= 2) == decayed]
            if chosen:
                decay = phase.weight_decay if decayed else 0.0
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-8)


def _save(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        torch.save(dict(content), temporary)


def run_phase(
    phase: Phase,
    modules: Mapping[str, nn.Module],
    loss_of: Callable[[int], tuple[Tensor, dict[str, float]]],
    folder: Path,
    every: int = 100,
    on_log: Callable[[int, dict[str, float]], None] | None = None,
) -> float:
    """Train until the phase's last step, from the newest checkpoint if there is one.

    Args:
        phase: what is trained; its name names the checkpoint.
        modules: everything whose state must be restored, trained or not.
        loss_of: step number to (loss, values for the log); must draw its batch from the step number alone.
        folder: where the checkpoint lies.
        every: steps between checkpoints and log lines.
        on_log: called with the step and the means since the last line.

    Returns:
        Seconds spent in this phase, over all starts.
    """
    path = folder / f"{phase.name}.pt"
    optimiser = _optimiser(phase)
    begin, spent = 0, 0.0
    if path.exists():
        stored = torch.load(path, map_location="cpu", weights_only=True)
        for name, module in modules.items():
            module.load_state_dict(stored["modules"][name])
        begin, spent = stored["step"], stored["seconds"]
        if begin < phase.steps:
            optimiser.load_state_dict(stored["optimiser"])
    sums: dict[str, float] = {}
    last = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task(phase.name, total=phase.steps, completed=begin)
        for step in range(begin, phase.steps):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * rate_factor(phase, step)
            loss, values = loss_of(step)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_([p for g in optimiser.param_groups for p in g["params"]], phase.clip)
            optimiser.step()
            for key, value in {"loss": float(loss.detach()), **values}.items():
                sums[key] = sums.get(key, 0.0) + value
            progress.advance(task)
            if (step + 1) % every == 0 or step + 1 == phase.steps:
                now = time.perf_counter()
                spent, last = spent + now - last, now
                steps_since = (step % every) + 1
                if on_log:
                    on_log(step + 1, {key: value / steps_since for key, value in sums.items()})
                sums = {}
                states = {name: module.state_dict() for name, module in modules.items()}
                _save(
                    path, {"step": step + 1, "seconds": spent, "modules": states, "optimiser": optimiser.state_dict()}
                )
    return spent
