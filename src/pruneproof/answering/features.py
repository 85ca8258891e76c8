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

import torch
from PIL.Image import Image
from safetensors.torch import load, save
from torch import Tensor

from pruneproof.backbones import Backbone
from pruneproof.backbones.clip.tower import ReducedImage
from pruneproof.files import digest, sealed, unsealed, write_bytes
from pruneproof.pictures import read_picture
from pruneproof.pruning.protocol import Signals, VisualTokens


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An encoded image without its tower; implements `VisualTokens` with the signals that were kept."""

    size: tuple[int, int]
    features: Tensor
    width: int
    """Columns of them that are `tower_features`; the others are what the connector gets of earlier layers."""
    cls: Tensor
    places: Tensor
    signals: Mapping[tuple[str, int], Tensor]
    """By name and layer."""

    @property
    def count(self) -> int:
        """Number of patches."""
        return len(self.features)

    @property
    def start(self) -> int:
        """All of them."""
        return self.count

    @property
    def origin(self) -> Tensor:
        """[N] each is itself."""
        return torch.arange(self.count, device=self.features.device)

    @property
    def tower_features(self) -> Tensor:
        """[N, D] as the tower leaves them."""
        return self.features[:, : self.width]

    def cls_attention(self, layer: int) -> Tensor:
        """[N] of a layer that was kept."""
        return self._signal("cls_attention", layer)

    def joined_attention(self, layer: int) -> Tensor:
        """[N] of a layer that was kept."""
        return self._signal("joined_attention", layer)

    def received_attention(self, layer: int) -> Tensor:
        """[N] of a layer that was kept."""
        return self._signal("received_attention", layer)

    def keys(self, layer: int) -> Tensor:
        """[H, N, W] of a layer that was kept."""
        return self._signal("keys", layer)

    def aligned(self, layer: int) -> Tensor:
        """[N, E] of a layer that was kept."""
        return self._signal("aligned", layer)

    def projected(self, layer: int) -> Tensor:
        """[N, E] of a layer that was kept."""
        return self._signal("projected", layer)

    def _signal(self, name: str, layer: int) -> Tensor:
        return self.signals[name, layer]


@dataclass(frozen=True, slots=True)
class FeatureStore:
    """A folder of encoded images."""

    folder: Path
    base: str
    """Digest of everything except the pixels that decides the tower's output."""
    limit: int
    """Bytes that the folder may take; the oldest files are deleted first, and 0 keeps nothing."""

    def encode(self, backbone: Backbone, pngs: Sequence[bytes], signals: Signals) -> Sequence[VisualTokens]:
        """Encoded images, from the folder or else from the tower; the numbers are the same.

        Args:
            backbone: reads the images that are not there.
            pngs: pixels as PNG, kept and found together.
            signals: that will be asked for.
        """
        wanted = [(name, layer) for name, layers in (backbone.usual | signals).by_name().items() for layer in layers]
        pictures = [read_picture(png) for png in pngs]
        key = digest(self.base.encode(), str(wanted).encode(), *pngs)
        tensors = self._kept(
            key,
            backbone,
            lambda: [
                {
                    "features": image.features,
                    "width": torch.tensor(image.tower_features.shape[-1]),
                    "cls": image.cls,
                    # Pictures of one size may share theirs, which safetensors refuses.
                    "places": image.places.clone(),
                }
                | {f"{name}{layer}": getattr(image, name)(layer) for name, layer in wanted}
                for image in backbone.encode(pictures)
            ],
        )
        return [
            StoredImage(
                picture.size,
                tensors[f"{i}.features"],
                int(tensors[f"{i}.width"]),
                tensors[f"{i}.cls"],
                tensors[f"{i}.places"],
                {(name, layer): tensors[f"{i}.{name}{layer}"] for name, layer in wanted},
            )
            for i, picture in enumerate(pictures)
        ]

    def encode_with(
        self,
        backbone: Backbone,
        pngs: Sequence[bytes],
        maker: str,
        make: Callable[[Sequence[Image]], Sequence[VisualTokens]],
    ) -> Sequence[VisualTokens]:
        """Images encoded with a method that acts at the picture or inside the tower, kept for that method alone.

        Args:
            backbone: reads the images that are not there.
            pngs: pixels as PNG, kept and found together.
            maker: digest of the method, and of all that its decisions depend on besides the pixels.
            make: encodes pictures with it.
        """
        pictures = [read_picture(png) for png in pngs]
        tensors = self._kept(
            digest(self.base.encode(), maker.encode(), *pngs),
            backbone,
            lambda: [
                {
                    "features": image.features,
                    "cls": image.cls,
                    "origin": image.origin,
                    "start": torch.tensor(image.start),
                }
                for image in make(pictures)
            ],
        )
        return [
            ReducedImage(
                tensors[f"{i}.features"],
                tensors[f"{i}.cls"],
                picture.size,
                tensors[f"{i}.origin"],
                int(tensors[f"{i}.start"]),
            )
            for i, picture in enumerate(pictures)
        ]

    def _kept(
        self, key: str, backbone: Backbone, make: Callable[[], Sequence[Mapping[str, Tensor]]]
    ) -> dict[str, Tensor]:
        """The tensors of some images under their numbers, from the folder or else made and kept."""
        tensors = self._read(key, backbone.device)
        if tensors is None:
            tensors = {
                f"{i}.{name}": tensor.contiguous() for i, image in enumerate(make()) for name, tensor in image.items()
            }
            self._write(key, tensors)
        return tensors

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
