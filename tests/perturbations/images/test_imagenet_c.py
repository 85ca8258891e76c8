"""ImageNet-C's corruptions: the package's own pixels, and the same ones whatever happened before."""

from __future__ import annotations

import random
import subprocess
import sys
from itertools import product

import by_the_package
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecorruptions import corrupt, get_corruption_names
from scenery import picture, pixels

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import Picture, Pixels, perturb
from pruneproof.perturbations.images.imagenet_c import NAMES
from pruneproof.seeds import generator

DETERMINISTIC = {
    "brightness", "contrast", "defocus_blur", "gaussian_blur", "jpeg_compression", "pixelate", "saturate", "zoom_blur",
}  # fmt: skip
STOCHASTIC = [name for name in NAMES if name not in DETERMINISTIC]


def test_names_are_the_packages_in_its_order() -> None:
    assert list(NAMES) == get_corruption_names("all")


def directly(name: str, severity: int, seed: int, image: Pixels) -> Pixels:
    """What a direct call gives, with OpenCV's own code for spatter: IPP's distances differ."""
    np.random.seed(seed)
    options = {"seed": seed} if name in ("impulse_noise", "glass_blur") else {}
    used = cv2.ipp.useIPP()
    cv2.ipp.setUseIPP(used and name != "spatter")
    try:
        return corrupt(image, corruption_name=name, severity=severity, **options)
    finally:
        cv2.ipp.setUseIPP(used)


@pytest.mark.parametrize("name", NAMES)
def test_pixels_are_within_one_grey_level_of_the_packages(name: str) -> None:
    for severity, (height, width) in product(range(1, 6), ((96, 96), (70, 113))):
        seed = int(generator("one stream", severity).integers(2**32))
        expected = directly(name, severity, seed, pixels(severity, height, width))
        ours = perturb(name, picture(severity, height, width), severity, generator("one stream", severity))
        assert np.abs(ours.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
@pytest.mark.parametrize("name", ["glass_blur", "gaussian_blur", "motion_blur", "defocus_blur", "zoom_blur"])
def test_flat_pictures_are_within_one_grey_level_of_the_packages_too(name: str, level: int) -> None:
    flat = Picture(np.full((64, 64, 3), level, np.uint8))
    for severity in range(1, 6):
        expected = directly(name, severity, 0, flat.pixels)
        assert np.abs(perturb(name, flat, severity, generator(0)).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", NAMES)
def test_pixels_equal_the_packages_steps_with_a_steady_cut(name: str) -> None:
    for severity, (height, width) in product(range(1, 6), ((32, 41), (64, 50))):
        equal_step_by_step(name, severity, pixels(severity, height, width), severity)


def test_a_drop_thicker_than_255_begins_again_at_0() -> None:
    """As the package's cast does; seed 5 has such a drop."""
    equal_step_by_step("spatter", 3, pixels(0, 70, 64), 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_pixels_equal_the_packages_steps_at_all_sizes(name: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [pixels(1, 224, 224), pixels(2, 480, 640), pixels(4, 33, 400), pixels(5, 700, 40)]
    pictures += [rng.integers(0, 256, (90, 110, 3), dtype=np.uint8), rng.choice(EXTREMES, (70, 64, 3))]
    pictures += [np.repeat(pixels(6, 80, 60)[..., :1], 3, axis=2)]  # grey
    pictures += [np.full((40, 64, 3), level, np.uint8) for level in (0, 1, 128, 254, 255)]
    for (number, image), severity in product(enumerate(pictures), range(1, 6)):
        equal_step_by_step(name, severity, image, number)


EXTREMES = np.array([0, 1, 254, 255], np.uint8)


def equal_step_by_step(name: str, severity: int, image: Pixels, number: int) -> None:
    try:
        ours = perturb(name, Picture(image), severity, generator(number))
    except PruneProofError as error:
        assert str(error).startswith("spatter")  # noqa: PT017
        return
    expected = by_the_package.corrupted(name, image, severity, int(generator(number).integers(2**32)))
    np.testing.assert_array_equal(ours, expected)


def test_a_change_of_the_last_place_moves_no_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    """`exp` differs by one unit in the last place from processor to processor."""
    blurs = ["defocus_blur", "glass_blur", "motion_blur", "gaussian_blur", "snow", "elastic_transform"]
    before = [perturb(name, picture(), 4, generator(0)) for name in blurs]
    exact = np.exp
    for towards in (0.0, 2.0):
        monkeypatch.setattr(np, "exp", lambda x, towards=towards: np.nextafter(exact(x), towards))
        for name, pixels_before in zip(blurs, before, strict=True):
            np.testing.assert_array_equal(perturb(name, picture(), 4, generator(0)), pixels_before)


def test_outputs_do_not_depend_on_what_ran_before() -> None:
    jobs = [(name, number) for name in NAMES for number in (0, 1)]

    def run(order: list[tuple[str, int]], noise: int) -> dict[tuple[str, int], bytes]:
        results = {}
        for name, number in order:
            np.random.seed(noise)
            random.seed(noise)
            corrupt(pixels(), corruption_name="glass_blur", severity=1, seed=noise)  # Moves Numba's own state.
            results[name, number] = perturb(name, picture(number), 4, generator(7, number, name, 4)).tobytes()
        return results

    assert run(jobs, noise=1) == run(random.Random(0).sample(jobs, len(jobs)), noise=2)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_another_stream_gives_another_image(name: str) -> None:
    first, second = (perturb(name, picture(), 3, generator("stream", number)) for number in (0, 1))
    assert (first != second).any()


@pytest.mark.parametrize("name", ["gaussian_noise", "glass_blur", "impulse_noise", "motion_blur"])
def test_global_random_states_and_the_picture_stay_as_they_were(name: str) -> None:
    original = picture()
    random.seed(3)
    np.random.seed(3)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    perturb(name, original, 3, generator(0))
    assert random.getstate() == python_state
    for before, after in zip(numpy_state, np.random.get_state(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(original.pixels, pixels())


def test_the_package_is_not_imported_for_any_corruption() -> None:
    """Importing it takes a third of a second, and compiling its loop over a second, in every worker."""
    script = (
        "import sys, numpy as np\n"
        "from pruneproof.perturbations.images import Picture, perturb\n"
        "from pruneproof.perturbations.images.imagenet_c import NAMES\n"
        "for name in NAMES:\n"
        "    perturb(name, Picture(np.full((40, 40, 3), 90, np.uint8)), 5, np.random.default_rng(0))\n"
        "print([m for m in ('imagecorruptions', 'numba', 'skimage', 'scipy.ndimage', 'torch') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(PruneProofError, match="fog needs at least 32 pixels per side, got 40 x 31"):
        perturb("fog", picture(height=31, width=40), 1, generator(0))


def test_undefined_pixels_are_an_error_and_not_a_picture() -> None:
    # On so small an image this stream draws no drop at all, and the package then divides zero by zero.
    with pytest.raises(PruneProofError, match="spatter at severity 1 failed: invalid value encountered in divide"):
        perturb("spatter", picture(42, 32, 32), 1, generator(42))


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    severity=st.integers(1, 5),
    height=st.integers(64, 120),
    width=st.integers(64, 120),
    number=st.integers(0, 99),
)
def test_any_shape_keeps_its_shape_and_type(name: str, severity: int, height: int, width: int, number: int) -> None:
    result = perturb(name, picture(number, height, width), severity, generator(number))
    assert result.shape == (height, width, 3)
    assert result.dtype == np.uint8


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [0, 255])
def test_flat_pictures_give_valid_pixels(name: str, level: int) -> None:
    flat = picture()
    flat.pixels[:] = level
    for severity in (1, 5):
        assert perturb(name, flat, severity, generator(level)).shape == (224, 224, 3)
