"""Whether a model's weights fit into free memory, checked before reading: if they do not, the process is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError, safe_open

from pruneproof.errors import PruneProofError

_GIB = 2**30
_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)
"""Limit, use, and the name in `memory.stat` of what can be given back; in version 2 and in version 1."""


def require_memory(needed: Path | int, dtype: str, device: str) -> None:
    """Refuse weights that do not fit.

    Weights are read into main memory and then moved, so both the device's memory and main memory must be free.

    Args:
        needed: a folder with safetensors files, or the bytes that the weights take in `dtype`.
        dtype: name of a torch dtype.
        device: a torch device.

    Raises:
        PruneProofError: if the weights alone need more than is free.
    """
    size = needed if isinstance(needed, int) else folder_bytes(needed, dtype)
    for place in dict.fromkeys(("cpu", device)):
        free = free_bytes(place)
        if free is not None and size > free:
            smaller = "" if getattr(torch, dtype).itemsize <= 2 else "set `dtype: bfloat16`, "
            raise PruneProofError(
                f"the weights need {size / _GIB:.1f} GiB in {dtype}, but {place} has {free / _GIB:.1f} GiB free: "
                f"{smaller}free memory or choose a smaller checkpoint"
            )


def folder_bytes(folder: Path, dtype: str) -> int:
    """Bytes that the weights of a folder's safetensors files take once they are loaded in a dtype.

    Raises:
        PruneProofError: if a file is damaged.
    """
    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as tensors:
                shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise PruneProofError(f"{path} cannot be read ({error}): restore it") from error
        count += sum(torch.Size(shape).numel() for shape in shapes)
    return int(count * getattr(torch, dtype).itemsize)


def model_bytes(model_class: Callable[[Any], torch.nn.Module], config: Any, dtype: str) -> int:
    """Bytes that the weights of a model take in a dtype, from its config alone: for a checkpoint not yet downloaded."""
    with torch.device("meta"):
        model = model_class(config)
    return int(sum(tensor.numel() for tensor in model.parameters()) * getattr(torch, dtype).itemsize)


def held_bytes(model: torch.nn.Module) -> int:
    """Bytes of a loaded model's weights and buffers; what several of its parts share counts once."""
    return sum(tensor.nbytes for tensors in (model.parameters(), model.buffers()) for tensor in tensors)


def free_bytes(device: str, cgroup: Path = _CGROUP) -> int | None:
    """Free memory of a device; None where it is unknown.

    For main memory: what the system reports as available, or what the container may still use if that is less.
    """
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    if device != "cpu":
        return None
    return min([int(psutil.virtual_memory().available), *_of_container(cgroup)])


def _of_container(cgroup: Path) -> list[int]:
    """What the control groups still allow, one number for each that sets a limit."""
    left = []
    for limit, use, reclaimable in _CGROUP_FILES:
        try:
            most = int((cgroup / limit).read_text(encoding="utf-8"))
            used = int((cgroup / use).read_text(encoding="utf-8"))
            lines = (cgroup / limit).with_name("memory.stat").read_text(encoding="utf-8").split()
        except (OSError, ValueError):  # another version, or `max`
            continue
        stat = dict(zip(lines[::2], lines[1::2], strict=True))
        left.append(most - used + int(stat.get(reclaimable, 0)))
    return left
