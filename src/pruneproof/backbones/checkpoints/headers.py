"""What the header of a file with weights tells before anything reads them."""

from __future__ import annotations

import json
import struct
from pathlib import Path


def safetensors_fault(path: Path) -> str | None:
    """Why a safetensors file cannot be complete, from its header alone; None if header and size agree.

    The format: eight bytes with the header's length (little endian), the header as JSON, then the tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if prefix.startswith(b"version "):
            return "is a Git LFS pointer, not the weights: run `git lfs pull`"
        if len(prefix) < 8 or (length := struct.unpack("<Q", prefix)[0]) > size - 8:
            return f"is truncated ({size} bytes): restore it, `git checkout -- {path}`"
        try:
            header = json.loads(file.read(length))
            end = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0)
        except (ValueError, TypeError, KeyError, AttributeError):
            return f"has no safetensors header: restore it, `git checkout -- {path}`"
    expected = 8 + length + end
    return None if size == expected else f"has {size} bytes, its header asks for {expected}: restore it"
