"""Reading a checkpoint by `from_pretrained`: the same checks and the same errors for every family."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoProcessor
from transformers.utils import logging

from pruneproof.backbones.checkpoints.finite import require_finite
from pruneproof.backbones.checkpoints.int8 import compress
from pruneproof.backbones.checkpoints.kinds import other_family
from pruneproof.backbones.checkpoints.memory import model_bytes, require_memory
from pruneproof.backbones.checkpoints.remote_code import NO_REMOTE_CODE, reason
from pruneproof.backbones.checkpoints.weights import locate
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings


def load_pretrained(
    settings: BackboneSettings,
    root: Path,
    device: str,
    model_type: str,
    model_class: Any,
    language: Callable[[Any], Iterable[torch.nn.Module]],
    processor_of: Callable[[BackboneSettings, str], Any] | None = None,
) -> tuple[Any, Any]:
    """Model and processor of a checkpoint, from a local folder or the hub.

    Args:
        settings: name, revision, dtype and the language model's weights.
        root: the project's root, to which local folders are relative.
        device: a torch device.
        model_type: the `model_type` that the checkpoint's config must have.
        model_class: a transformers class with `from_pretrained`.
        language: the parts of such a model that are its language model.
        processor_of: reads its processor; None for `read_processor`.

    Returns:
        The model on the device, in evaluation mode and without gradients, and its processor.

    Raises:
        PruneProofError: if the checkpoint is missing, partial, of another family or cannot be read, needs its own
            code, holds NaN or infinite weights, or does not fit into memory.
    """
    source = locate(settings, root)
    if Path(source).is_dir():
        require_memory(Path(source), settings.dtype, device)
    config = read_config(settings, source, model_type)
    if not Path(source).is_dir():
        with named(settings):
            needed = model_bytes(model_class, config, settings.dtype)
        require_memory(needed, settings.dtype, device)
    processor = (processor_of or read_processor)(settings, source)
    with named(settings), _silent():
        model, report = model_class.from_pretrained(
            source,
            revision=settings.revision,
            dtype=getattr(torch, settings.dtype),
            output_loading_info=True,
            use_safetensors=True,
            **NO_REMOTE_CODE,
        )
    # transformers fills what is missing with random numbers and only warns.
    if absent := sorted(report["missing_keys"]):
        raise PruneProofError(
            f"checkpoint {settings.checkpoint!r} lacks {len(absent)} tensors, such as {absent[0]}: restore its files"
        )
    what = f"checkpoint {settings.checkpoint!r}"
    if settings.language_weights == "int8":
        compress(language(model), model.get_output_embeddings(), what)
    model = model.to(device).eval().requires_grad_(False)
    require_finite(model, what)
    return model, processor


def read_config(settings: BackboneSettings, source: str, *model_types: str) -> Any:
    """The config at `source` (from `locate`), whose `model_type` must be one of those given.

    Raises:
        PruneProofError: if it cannot be read, or is of another family.
    """
    with named(settings):
        config = AutoConfig.from_pretrained(source, revision=settings.revision, **NO_REMOTE_CODE)
    if config.model_type not in model_types:
        raise PruneProofError(other_family(settings.checkpoint, config.model_type, model_types))
    return config


def read_processor(settings: BackboneSettings, source: str) -> Any:
    """Tokenizer and image processor at `source`, with the chat template of the settings if these give one.

    Raises:
        PruneProofError: if they cannot be read.
    """
    kind: Any = AutoProcessor
    with named(settings):
        processor = kind.from_pretrained(source, revision=settings.revision, **NO_REMOTE_CODE)
    if settings.chat_template is not None:
        processor.chat_template = settings.chat_template
    return processor


@contextmanager
def named(settings: BackboneSettings) -> Iterator[None]:
    """Errors of `from_pretrained` in one line with the checkpoint's name: a damaged file makes it raise anything."""
    try:
        yield
    except (PruneProofError, MemoryError):
        raise
    except Exception as error:
        raise PruneProofError(f"checkpoint {settings.checkpoint!r} cannot be read: {reason(error)}") from error


@contextmanager
def _silent() -> Iterator[None]:
    """Without transformers' progress bar over tensors, which would get between those of the stages."""
    bar: Any = logging
    shown = bar.is_progress_bar_enabled()
    bar.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            bar.enable_progress_bar()
