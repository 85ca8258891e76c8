"""The package's own functions: what a picture is, and how a perturbation is found and called."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scenery import picture

from pruneproof.errors import PruneProofError
from pruneproof.perturbations import images
from pruneproof.perturbations.images import Picture, perturb, perturbation, registered

RNG = np.random.default_rng(0)


def test_all_corruptions_both_occlusions_and_the_shift_are_registered() -> None:
    assert len(registered()) == 22
    assert {"gaussian_noise", "saturate", "occlusion_random", "occlusion_object", "pixel_shift"} <= set(registered())


def test_an_unknown_name_lists_the_known_ones_closest_first() -> None:
    message = (
        r"unknown image perturbation 'gausian_noise' \(did you mean 'gaussian_noise'\?\); known: gaussian_noise, br"
    )
    with pytest.raises(PruneProofError, match=message):
        perturbation("gausian_noise")


def test_listing_names_imports_no_image_library() -> None:
    code = (
        "import sys; from pruneproof.perturbations.images import registered; registered(); "
        "print(sorted({'cv2', 'imagecorruptions', 'numba', 'skimage', 'torch', 'PIL'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("severity", [-1, 0, 6])
def test_severities_outside_1_to_5_are_refused(severity: int) -> None:
    with pytest.raises(PruneProofError, match=f"severity of contrast must be 1 to 5, got {severity}"):
        perturb("contrast", picture(), severity, RNG)


def test_a_perturbation_that_breaks_the_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    shrinking = {"shrink": lambda picture, severity, rng: picture.pixels[::2]}
    monkeypatch.setattr(images, "registered", lambda: shrinking)
    with pytest.raises(PruneProofError, match=r"shrink must return uint8 of shape \(8, 6, 3\), got uint8 \(4, 6, 3\)"):
        perturb("shrink", picture(height=8, width=6), 1, RNG)


@pytest.mark.parametrize(
    ("pixels", "masks", "message"),
    [
        (np.zeros((4, 4), np.uint8), (), r"a picture must be uint8 .* got uint8 \(4, 4\)"),
        (np.zeros((4, 4, 3)), (), r"a picture must be uint8 .* got float64 \(4, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), (np.zeros((4, 5), bool),), r"a mask must be bool .* got bool \(4, 5\)"),
        (np.zeros((4, 4, 3), np.uint8), (np.zeros((4, 4)),), r"a mask must be bool .* got float64 \(4, 4\)"),
    ],
)
def test_a_picture_of_the_wrong_kind_is_refused(pixels, masks, message: str) -> None:
    with pytest.raises(PruneProofError, match=message):
        Picture(pixels, masks)
