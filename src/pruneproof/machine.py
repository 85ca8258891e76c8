"""What only changes speed, from environment variables: no result depends on anything here.

PRUNEPROOF_WORKERS  processes for corruptions, rewordings and the bootstrap; default: the cores this process may use
PRUNEPROOF_BATCH    questions answered at once; default 16
PRUNEPROOF_FEATURES_MB  disk for encoded images, which methods share; default 2048, 0 for none
PRUNEPROOF_DEVICE   `auto`, `cpu`, `cuda`, `cuda:<n>` or `mps`; default `auto`: cuda if there is one, else cpu. Several
                    with commas between them, or `cuda:all`, answer questions in one process each; whatever needs one
                    device takes the first
PRUNEPROOF_ENGINE   `pool`: processes of this machine, the default; `ray`: actors of a Ray cluster (docs/engines.md)
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pruneproof.errors import PruneProofError

_ONE = r"(cpu|mps|cuda(:[0-9]{1,4})?)"
_DEVICES = re.compile(rf"auto|cuda:all|{_ONE}(,{_ONE}){{0,255}}")
ENGINES = ("pool", "ray")
_MOST = {"PRUNEPROOF_WORKERS": 1024, "PRUNEPROOF_BATCH": 65_536, "PRUNEPROOF_FEATURES_MB": 10**9}


def workers(environment: Mapping[str, str] = os.environ) -> int:
    """Number of worker processes.

    Raises:
        PruneProofError: if PRUNEPROOF_WORKERS is not a whole number from 1 to 1024.
    """
    return _count(environment, "PRUNEPROOF_WORKERS", cores())


def wanted_workers(environment: Mapping[str, str] = os.environ) -> int | None:
    """The same number if it is asked for, else None; raises as `workers` does."""
    return workers(environment) if environment.get("PRUNEPROOF_WORKERS", "").strip() else None


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
    """The torch device of work that is not divided, the first of `devices`; raises as that does."""
    return devices(environment)[0]


def devices(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The torch devices on which questions are answered side by side, `auto` and `cuda:all` resolved.

    Raises:
        PruneProofError: if PRUNEPROOF_DEVICE is malformed, or names an accelerator that this machine lacks.
    """
    wanted = wanted_device(environment)
    named = tuple(wanted.split(","))
    if set(named) == {"cpu"}:
        return named
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return ("cuda",) if count else ("cpu",)
    if wanted == "cuda:all" and count:
        return tuple(f"cuda:{number}" for number in range(count))
    there = {"cpu", *(["cuda"] if count else []), *(f"cuda:{number}" for number in range(count))}
    if torch.backends.mps.is_available():
        there.add("mps")
    for one in named:
        kind, _, number = one.partition(":")
        if one != "cuda:all" and (f"{kind}:{int(number)}" if number else kind) in there:
            continue
        raise PruneProofError(f"PRUNEPROOF_DEVICE is {wanted[:40]!r}, but {_lacking(one, count)}")
    return named


def _lacking(wanted: str, count: int) -> str:
    """Why there is no such device, and what to set instead."""
    if wanted == "mps":
        return "torch finds no Apple GPU here: set PRUNEPROOF_DEVICE=cpu, or leave it unset"
    if not count:
        return "torch finds no NVIDIA GPU on this machine: set PRUNEPROOF_DEVICE=cpu, or leave it unset"
    last = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
    return f"torch finds no {wanted} here, only {last}: set PRUNEPROOF_DEVICE to one of these, or to cuda:all"


def wanted_device(environment: Mapping[str, str] = os.environ) -> str:
    """The device, or the list of them, as it is asked for; whether they exist is not checked, since that would import
    torch.

    Raises:
        PruneProofError: if PRUNEPROOF_DEVICE is malformed.
    """
    wanted = environment.get("PRUNEPROOF_DEVICE", "").replace(" ", "") or "auto"
    if not _DEVICES.fullmatch(wanted):
        raise PruneProofError(
            f"PRUNEPROOF_DEVICE is {wanted[:40]!r}: use auto, cpu, cuda, cuda:<n>, cuda:all or mps, or several with "
            "commas between them"
        )
    return wanted


def engine(environment: Mapping[str, str] = os.environ) -> str:
    """What answers questions, one of `ENGINES`.

    Raises:
        PruneProofError: if PRUNEPROOF_ENGINE is another word.
    """
    wanted = environment.get("PRUNEPROOF_ENGINE", "").strip() or ENGINES[0]
    if wanted not in ENGINES:
        raise PruneProofError(f"PRUNEPROOF_ENGINE is {wanted[:40]!r}: use {' or '.join(ENGINES)}")
    return wanted


def cores() -> int:
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
