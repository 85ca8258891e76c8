"""What only changes speed, from environment variables: no result depends on anything here.

PRUNEPROOF_WORKERS  processes for corruptions, rewordings and the bootstrap; default: the cores this process may use
PRUNEPROOF_BATCH    questions answered at once; default 16
PRUNEPROOF_FEATURES_MB  disk for encoded images, which methods share; default 2048, 0 for none
PRUNEPROOF_DEVICE   `auto`, `cpu`, `cuda`, `cuda:<n>` or `mps`; default `auto`: cuda if there is one, else cpu
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pruneproof.errors import PruneProofError

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,4})?")
_MOST = {"PRUNEPROOF_WORKERS": 1024, "PRUNEPROOF_BATCH": 65_536, "PRUNEPROOF_FEATURES_MB": 10**9}


def workers(environment: Mapping[str, str] = os.environ) -> int:
    """Number of worker processes.

    Raises:
        PruneProofError: if PRUNEPROOF_WORKERS is not a whole number from 1 to 1024.
    """
    return _count(environment, "PRUNEPROOF_WORKERS", _usable_cores())


def batch_size(environment: Mapping[str, str] = os.environ) -> int:
    """Number of questions that go through the model at once.

    Raises:
        PruneProofError: if PRUNEPROOF_BATCH is not a whole number from 1 to 65536.
    """
    return _count(environment, "PRUNEPROOF_BATCH", 16)


def feature_bytes(environment: Mapping[str, str] = os.environ) -> int:
    """Bytes that encoded images may take on disk.

    Raises:
        PruneProofError: if PRUNEPROOF_FEATURES_MB is not a whole number from 0 to 10^9.
    """
    return _count(environment, "PRUNEPROOF_FEATURES_MB", 2048, least=0) * 2**20


def device(environment: Mapping[str, str] = os.environ) -> str:
    """The torch device, `auto` resolved.

    Raises:
        PruneProofError: if PRUNEPROOF_DEVICE is malformed, or names an accelerator that this machine lacks.
    """
    wanted = wanted_device(environment)
    if wanted == "cpu":
        return wanted
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    present = torch.backends.mps.is_available() if wanted == "mps" else torch.cuda.is_available()
    number = int(wanted.partition(":")[2] or 0)
    if not present or (wanted.startswith("cuda") and number >= torch.cuda.device_count()):
        raise PruneProofError(f"PRUNEPROOF_DEVICE is {wanted!r}, which torch does not find here: use auto or cpu")
    return wanted


def wanted_device(environment: Mapping[str, str] = os.environ) -> str:
    """The device as it is asked for; whether it exists is not checked, since that would import torch.

    Raises:
        PruneProofError: if PRUNEPROOF_DEVICE is malformed.
    """
    wanted = environment.get("PRUNEPROOF_DEVICE", "").strip() or "auto"
    if not _DEVICE.fullmatch(wanted):
        raise PruneProofError(f"PRUNEPROOF_DEVICE is {wanted[:40]!r}: use auto, cpu, cuda, cuda:<n> or mps")
    return wanted


def _usable_cores() -> int:
    """Cores that this process may run on: fewer than the machine's in a container or under taskset."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _count(environment: Mapping[str, str], name: str, default: int, least: int = 1) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    most = _MOST[name]
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise PruneProofError(f"{name} is {text[:40]!r}: use a whole number from {least} to {most}; default {default}")
    return int(text)
