"""Weights that a method brings (`Signals.weights`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pruneproof.errors import PruneProofError
from pruneproof.pruning.protocol import Method


def weights_of(method: Method, root: Path, device: str) -> Mapping[str, Tensor]:
    """Tensors of a method's file by name, none for a method without one.

    Args:
        method: any.
        root: the project's root.
        device: a torch device.

    Raises:
        PruneProofError: if the file is missing or damaged.
    """
    return _read(root / method.signals.weights, device) if method.signals.weights else {}


@lru_cache(maxsize=8)
def _read(path: Path, device: str) -> Mapping[str, Tensor]:
    try:
        return MappingProxyType(load_file(path, device=device))
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise PruneProofError(f"the method's weights {path} cannot be read ({why}): restore the file") from error
