"""Whether a CLIP's image half is the vision tower of a backbone: only then is S_inter what the ATP paper means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pruneproof.backbones.clip.space_end import image_end
from pruneproof.backbones.clip.text_towers import ClipSpace
from pruneproof.errors import PruneProofError
from pruneproof.settings import BackboneSettings

LEAST_COSINE = {"float32": 0.995, "bfloat16": 0.98, "float16": 0.98}
"""Least cosine of a token embedded through the tower and through CLIP alone, by dtype of the tower.

The same weights give 1 up to rounding: 0.9996 in bfloat16 through 39 layers of EVA-g's shape with random weights.
Towers that were trained apart give cosines around 0, and a tower that was trained further lies in between."""


@torch.inference_mode()
def check_pairing(
    settings: BackboneSettings,
    clip: ClipSpace,
    prepare: Callable[[list[Image.Image]], Tensor],
    last_states: Callable[[Tensor], Tensor],
) -> None:
    """Refuse a CLIP whose image half is not the backbone's vision tower, unless the settings allow a mismatch.

    The comparison covers pixels (side, mean, standard deviation), width, number of patches, and weights: one fixed
    random image must have the same tokens in CLIP space through the tower and CLIP's remaining layers as through CLIP
    alone (its `encode_image` for CLS). How a picture is cut to a square is not compared: published BLIP-2 squeezes it
    where open_clip crops it, and the tower sees what the backbone's processor makes.

    Args:
        settings: of the backbone.
        clip: its CLIP.
        prepare: the backbone's image processor: pictures to pixels [..., 3, P, P].
        last_states: pixels [1, 3, P, P] to the output of the tower's last layer [1, 1 + N, D], CLS first, before any
            norm that follows.

    Raises:
        PruneProofError: naming what differs; for another width also if the settings allow a mismatch, because
            its patches cannot pass CLIP's norm at all.
    """
    visual, end = clip.visual, image_end(clip.visual, clip.depth)
    side, *statistics = _preprocessing(prepare)
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(clip.matched.device)
    states = last_states(noise.to(getattr(torch, settings.dtype)))[0]
    found = states.shape[1]
    if found != end.width:
        raise _refused(settings, [f"width is {end.width}, not {found}"], "choose the CLIP that this tower is part of")
    if settings.allow_tower_mismatch:
        return
    differences = _of_preprocessing(visual.preprocess_cfg, side, *statistics)
    if not differences:
        differences = _of_tokens(visual, end(states), noise, LEAST_COSINE[settings.dtype])
    if differences:
        raise _refused(
            settings,
            differences,
            "choose the CLIP that this tower is part of, or set `allow_tower_mismatch: true` to accept a score that "
            "may mean nothing",
        )


def _preprocessing(prepare: Callable[[list[Image.Image]], Tensor]) -> tuple[int, Tensor, Tensor]:
    """Side of the pixels, and mean and standard deviation of each channel, from a black and a white picture."""
    pixels = prepare([Image.new("RGB", (64, 64), colour) for colour in ("black", "white")]).float()
    channels = pixels.reshape(-1, *pixels.shape[-3:]).transpose(0, 1).flatten(1)
    black, white = channels.amin(dim=1), channels.amax(dim=1)
    deviation = 1.0 / (white - black)
    return pixels.shape[-1], -black * deviation, deviation


def _of_preprocessing(theirs: dict[str, Any], side: int, mean: Tensor, deviation: Tensor) -> list[str]:
    size = theirs["size"]
    differences = []
    if (size if isinstance(size, int) else max(size)) != side:
        differences.append(f"its images have {size} pixels per side, not {side}")
    for name, ours in (("mean", mean), ("std", deviation)):
        other = torch.tensor(theirs[name])
        if not torch.allclose(ours, other, atol=1e-3):
            differences.append(f"its {name} of pixels is {_rounded(other)}, not {_rounded(ours)}")
    return differences


def _of_tokens(visual: Any, ours: Tensor, noise: Tensor, least: float) -> list[str]:
    """Differences of the tokens [1 + N, E] of one image from those that CLIP itself gives."""
    output = visual.forward_intermediates(noise, indices=1, output_fmt="NLC", output_extra_tokens=True)
    patches = image_end(visual)(output["image_intermediates"][-1][0])
    theirs = torch.cat([torch.nn.functional.normalize(output["image_features"], dim=-1), patches])
    if len(theirs) != len(ours):
        return [f"it cuts an image into {len(theirs) - 1} patches, not {len(ours) - 1}"]
    cosine = float((theirs * ours).sum(dim=-1).min())
    if cosine >= least:
        return []
    return [f"its weights differ: tokens of one image agree with a cosine of only {cosine:.3f}, but {least} is needed"]


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 4) for value in values]


def _refused(settings: BackboneSettings, differences: list[str], remedy: str) -> PruneProofError:
    return PruneProofError(
        f"text_tower {settings.text_tower!r} does not match the vision tower of {settings.checkpoint!r}: "
        f"{'; '.join(differences)}; {remedy}"
    )
