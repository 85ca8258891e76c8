"""ATP against official codes restated step by step, worked examples, and properties of its score."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from pruneproof.pruning.atp import Atp, Normalisation, Settings, atp_scores, normalise
from pruneproof.seeds import generator

RASTER = 256
HEADS = 4


@dataclass
class Image:
    """A made-up image: attention maps of three layers, patches and texts in CLIP space."""

    maps: list[Tensor]
    """Softmaxed attention [HEADS, 1 + N, 1 + N] by layer."""
    patches: Tensor
    texts: dict[str, Tensor]

    @property
    def count(self) -> int:
        return len(self.patches)

    @property
    def features(self) -> Tensor:
        return self.patches

    def cls_attention(self, layer: int) -> Tensor:
        return self.maps[layer][:, 0, 1:].mean(0)

    def aligned(self, layer: int) -> Tensor:
        assert layer == -1
        return torch.nn.functional.normalize(self.patches, dim=-1)


@dataclass
class Asked:
    """Questions in CLIP space."""

    image: Image
    questions: tuple[str, ...]

    @property
    def in_clip(self) -> Tensor:
        return torch.nn.functional.normalize(torch.stack([self.image.texts[q] for q in self.questions]), dim=-1)


def select(method: Atp, image: Image, questions: Sequence[str]) -> Tensor:
    """[Q, K] or [1, K] indices."""
    return torch.stack([kept.index for kept in method.select(image, Asked(image, tuple(questions)), generator(0))])


@pytest.fixture(params=range(3))
def image(request: pytest.FixtureRequest) -> Image:
    rng = torch.Generator().manual_seed(request.param)
    maps = [(torch.randn(HEADS, 1 + RASTER, 1 + RASTER, generator=rng) * 2).softmax(-1) for _ in range(3)]
    patches = torch.randn(RASTER, 32, generator=rng)
    return Image(maps, patches, {q: torch.randn(32, generator=rng) for q in ("a", "b", "c")})


def atp(keep: float = 0.25, **options: Any) -> Atp:
    return Atp(Settings(keep=keep, **options))


def fastervlm(maps: list[Tensor], tokens: int) -> Tensor:
    """Theia-4869/FasterVLM `clip_encoder.py::feature_select`, then the mask of `llava_arch.py::encode_images`."""
    attentions = [layer[None] for layer in maps]
    cls_attn = attentions[-2][:, :, 0, 1:].mean(dim=1)
    indices = torch.topk(cls_attn, k=tokens, dim=1, largest=True).indices
    mask = torch.zeros_like(cls_attn, dtype=torch.bool)
    mask.scatter_(1, indices, True)
    return mask[0].nonzero()[:, 0]


def trim(patches: Tensor, text: Tensor, tokens: int) -> Tensor:
    """FreedomIntelligence/TRIM `clip_encoder.py::token_reduction` with a ratio: dot product, negated, softmax, best."""
    similarity = -(patches @ text)
    weights = torch.softmax(similarity, dim=-1)
    return weights.topk(tokens).indices.sort().values


@pytest.mark.parametrize("keep", [0.6, 0.25, 0.1])
def test_alpha_0_at_layer_minus_2_is_fastervlm(image: Image, keep: float) -> None:
    kept = select(atp(keep, alpha=0.0, attention_layer=-2), image, ["a", "b"])
    assert kept.shape[0] == 1
    assert torch.equal(kept[0], fastervlm(image.maps, kept.shape[1]))


def test_the_layer_matters(image: Image) -> None:
    last, before = (select(atp(alpha=0.0, attention_layer=n), image, ["a"]) for n in (-1, -2))
    assert not torch.equal(last, before)


def test_alpha_1_with_the_sign_reversed_is_trim_on_unit_patches(image: Image) -> None:
    unit = torch.nn.functional.normalize(image.patches, dim=-1)
    kept = select(atp(alpha=1.0, relevance_sign=-1), image, ["a", "b", "c"])
    for row, question in zip(kept, "abc", strict=True):
        assert torch.equal(row, trim(unit, image.texts[question], 64))


def test_trim_itself_does_not_normalise_patches_and_so_differs(image: Image) -> None:
    kept = select(atp(alpha=1.0, relevance_sign=-1), image, ["a"])[0]
    assert not torch.equal(kept, trim(image.patches, image.texts["a"], 64))


@pytest.mark.parametrize("how", get_args(Normalisation))
def test_the_sign_turns_the_order_of_relevance_round(image: Image, how: Normalisation) -> None:
    relevance = Asked(image, ("a",)).in_clip @ image.aligned(-1).T
    up, down = (atp_scores(image.cls_attention(-1), relevance, 1.0, how, sign) for sign in (1, -1))
    assert torch.equal(up[0].argsort(stable=True), relevance[0].argsort(stable=True))
    assert torch.equal(down[0].argsort(stable=True), (-relevance[0]).argsort(stable=True))


def test_scores_worked_by_hand() -> None:
    attention = torch.tensor([0.1, 0.3, 0.2, 0.1])
    relevance = torch.tensor([[0.20, 0.20, 0.24, 0.28], [0.30, 0.26, 0.22, 0.22]])
    plus = atp_scores(attention, relevance, 0.25, "minmax", 1)
    # 0.25 x relevance from 0 to 1 and 0.75 x attention (0, 1, 0.5, 0).
    expected = torch.tensor([[0.0, 0.75, 0.5, 0.25], [0.25, 0.875, 0.375, 0.0]])
    torch.testing.assert_close(plus, expected)
    minus = atp_scores(attention, relevance, 0.25, "minmax", -1)
    torch.testing.assert_close(minus[0], torch.tensor([0.25, 1.0, 0.5, 0.0]))


def test_normalisations_worked_by_hand() -> None:
    scores = torch.tensor([1.0, 3.0, 2.0, 2.0])
    torch.testing.assert_close(normalise(scores, "minmax"), torch.tensor([0.0, 1.0, 0.5, 0.5]))
    torch.testing.assert_close(normalise(scores, "sum"), torch.tensor([0.125, 0.375, 0.25, 0.25]))
    torch.testing.assert_close(normalise(scores, "zscore"), torch.tensor([-1.0, 1.0, 0.0, 0.0]) * 2**0.5)
    e = torch.tensor([1.0, 3.0, 2.0, 2.0]).exp()
    torch.testing.assert_close(normalise(scores, "softmax"), e / e.sum())
    torch.testing.assert_close(normalise(torch.tensor([-1.0, 1.0, 0.0]), "sum"), torch.tensor([0.0, 2 / 3, 1 / 3]))


@pytest.mark.parametrize("how", get_args(Normalisation))
def test_constant_scores_stay_finite_and_constant(how: Normalisation) -> None:
    for value in (0.0, 0.25, -3.0):
        found = normalise(torch.full((2, 5), value), how)
        assert bool(found.isfinite().all())
        assert float(found.max() - found.min()) == 0.0


@pytest.mark.parametrize("how", get_args(Normalisation))
@given(values=hnp.arrays("float32", (8,), elements=st.integers(-50, 50).map(lambda n: n / 10)))
def test_normalising_never_turns_an_order_round(how: Normalisation, values: Any) -> None:
    scores = torch.from_numpy(values)
    found = normalise(scores, how)
    greater = scores[:, None] > scores[None]
    assert bool((found[:, None] >= found[None])[greater].all())


@pytest.mark.parametrize("how", ["minmax", "zscore"])
@given(
    alpha=st.floats(0.0, 1.0),
    scale=st.floats(0.1, 100.0),
    shift=st.floats(-10.0, 10.0),
)
def test_the_units_of_either_score_do_not_matter(how: Normalisation, alpha: float, scale: float, shift: float) -> None:
    rng = torch.Generator().manual_seed(0)
    attention, relevance = torch.rand(32, generator=rng), torch.rand(2, 32, generator=rng)
    once = atp_scores(attention, relevance, alpha, how, 1)
    again = atp_scores(attention * scale + shift, relevance / scale - shift, alpha, how, 1)
    torch.testing.assert_close(once, again, atol=2e-3, rtol=0.0)


def test_alpha_0_looks_at_no_question(image: Image) -> None:
    image.texts.clear()
    assert select(atp(alpha=0.0), image, ["never embedded"]).shape == (1, 64)


def test_options_are_read_without_torch() -> None:
    """`check` validates params.yaml in a fraction of a second."""
    code = "import pruneproof.pruning.atp, pruneproof.pruning.random, sys; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
