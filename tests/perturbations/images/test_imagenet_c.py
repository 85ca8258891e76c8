"""ImageNet-C's corruptions: the package's own pixels, and the same ones whatever happened before."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagecorruptions import corrupt, get_corruption_names
from scenery import picture, pixels

from pruneproof.errors import PruneProofError
from pruneproof.perturbations.images import perturb
from pruneproof.perturbations.images.imagenet_c import NAMES
from pruneproof.seeds import generator

DETERMINISTIC = {
    "brightness", "contrast", "defocus_blur", "gaussian_blur", "jpeg_compression", "pixelate", "saturate", "zoom_blur",
}  # fmt: skip
STOCHASTIC = [name for name in NAMES if name not in DETERMINISTIC]


def test_names_are_the_packages_in_its_order() -> None:
    assert list(NAMES) == get_corruption_names("all")


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", sorted(DETERMINISTIC))
def test_deterministic_corruptions_equal_a_direct_call(name: str, severity: int) -> None:
    expected = corrupt(pixels(), corruption_name=name, severity=severity)
    np.testing.assert_array_equal(perturb(name, picture(), severity, generator(0)), expected)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_corruptions_equal_a_direct_call_with_the_same_seed(name: str) -> None:
    seed = int(generator("one stream").integers(2**32))
    np.random.seed(seed)
    options = {"seed": seed} if name in ("impulse_noise", "glass_blur") else {}
    expected = corrupt(pixels(), corruption_name=name, severity=2, **options)
    np.testing.assert_array_equal(perturb(name, picture(), 2, generator("one stream")), expected)


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


def test_global_random_state_is_put_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        np.random.normal(size=3)
        raise ValueError("no snow today")

    monkeypatch.setattr("imagecorruptions.corrupt", fail)
    np.random.seed(3)
    with pytest.raises(PruneProofError, match="snow at severity 1 failed: no snow today"):
        perturb("snow", picture(), 1, generator(0))
    assert np.random.randint(2**31) == np.random.RandomState(3).randint(2**31)


def test_a_picture_that_is_too_small_is_refused() -> None:
    with pytest.raises(PruneProofError, match="fog needs at least 32 pixels a side, got 40 x 31"):
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
