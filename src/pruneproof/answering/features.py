"""The vision tower's output on images, cached on disk for all conditions that show them and for methods added later.

The folder may be deleted at any time; its size is limited.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetensors.torch import load, save
from torch import Tensor

from pruneproof.backbones import Backbone, EncodedImage
from pruneproof.files import digest, sealed, unsealed, write_bytes
from pruneproof.pictures import read_picture

LAYERS = frozenset({-1, -2})
"""Layers whose CLS attention is always kept: methods that need no others share their files."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image without its tower; implements `EncodedImage`."""

    size: tuple[int, int]
    features: Tensor
    unprunable: Tensor
    aligned: Tensor
    attentions: Mapping[int, Tensor]
    embed_text: Callable[[Sequence[str], bool], Tensor]

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.features)

    def attention(self, layer: int) -> Tensor:
        """[N] CLS attention of a layer that was kept."""
        return self.attentions[layer]

    def relevance(self, questions: Sequence[str], matched: bool = True) -> Tensor:
        """[Q, N] cosine of question and patch in CLIP space."""
        return self.embed_text(questions, matched) @ self.aligned.T


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """A folder of encoded images."""

    folder: Path
    base: str
    """Digest of everything except the pixels that decides the tower's output."""
    limit: int
    """Bytes that the folder may take; the oldest files are deleted first, and 0 keeps nothing."""

    def encode(self, backbone: Backbone, pngs: Sequence[bytes], layers: Sequence[int]) -> Sequence[EncodedImage]:
        """Encoded images, from the folder or else from the tower; the numbers are the same.

        Args:
            backbone: reads the images that are not there.
            pngs: pixels as PNG, kept and found together.
            layers: layers whose CLS attention will be asked for.
        """
        wanted = sorted(LAYERS.union(layers))
        pictures = [read_picture(png) for png in pngs]
        key = digest(self.base.encode(), str(wanted).encode(), *pngs)
        tensors = self._read(key, backbone.device)
        if tensors is None:
            images = backbone.encode(pictures)
            tensors = {
                name: tensor.contiguous()
                for i, image in enumerate(images)
                for name, tensor in (
                    (f"{i}.features", image.features),
                    (f"{i}.unprunable", image.unprunable),
                    (f"{i}.aligned", image.aligned),
                    *((f"{i}.attention{layer}", image.attention(layer)) for layer in wanted),
                )
            }
            self._write(key, tensors)
        return [
            StoredImage(
                picture.size,
                tensors[f"{i}.features"],
                tensors[f"{i}.unprunable"],
                tensors[f"{i}.aligned"],
                {layer: tensors[f"{i}.attention{layer}"] for layer in wanted},
                backbone.embed_text,
            )
            for i, picture in enumerate(pictures)
        ]

    def clear(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.features"

    def _read(self, key: str, device: str) -> dict[str, Tensor] | None:
        """The tensors of a key, or None if there are none or the file is not as it was written."""
        try:
            content = unsealed(key, self._path(key).read_bytes())
        except OSError:
            return None
        return None if content is None else {name: tensor.to(device) for name, tensor in load(content).items()}

    def _write(self, key: str, tensors: dict[str, Tensor]) -> None:
        """Keep tensors if there is room; a full disk is no reason to stop, since nothing depends on this folder."""
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size > self.limit:
            return
        try:
            self._make_room(size)
            write_bytes(self._path(key), sealed(key, save({name: tensor.cpu() for name, tensor in tensors.items()})))
        except OSError as error:
            _warn_once(
                f"encoded images are not kept ({error.strerror}): answering goes on and encodes them again when needed"
            )

    def _make_room(self, size: int) -> None:
        if not self.folder.is_dir():
            return
        files = []
        for path in self.folder.iterdir():
            try:
                stat = path.stat()
            except FileNotFoundError:  # another worker has made room
                continue
            files.append((stat.st_mtime, stat.st_size, path))
        total = sum(length for _, length, _ in files)
        for _, length, path in sorted(files):
            if total + size <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= length


@cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)
