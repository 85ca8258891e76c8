"""What is counted beforehand for families that read pictures at their own size, against what small ones compute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.backbones._asking import ask
from tests.backbones._llava_onevision_checkpoint import save_llava_onevision
from tests.backbones._qwen_vl_checkpoint import save_qwen_vl
from tests.backbones._smolvlm_checkpoint import save_smolvlm
from tests.backbones.families._alike import everything
from tests.planning.test_counts import batch, computed, foretold

from pruneproof.answering.answerer import Answerer, load_answerer
from pruneproof.answering.features import FeatureStore
from pruneproof.files import write_rows
from pruneproof.folders import Folders
from pruneproof.planning.asked import NOTHING
from pruneproof.planning.memory import memory_of
from pruneproof.planning.prompts import Prompts, prompts_of
from pruneproof.planning.shapes import Shape, picture_of, shape_of
from pruneproof.pruning.protocol import Signals
from pruneproof.published import CHECKPOINTS
from pruneproof.records import IMAGES
from pruneproof.settings import BackboneSettings, MethodSettings, Study
from pruneproof.stored import columns

SAVED = {
    "qwen2_5_vl": save_qwen_vl,
    "qwen3_vl": lambda folder: save_qwen_vl(folder, "qwen3_vl"),
    "llava_onevision": save_llava_onevision,
    "smolvlm": save_smolvlm,
}
SIZES = ((150, 110), (60, 170))
METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "random": {"method": "random", "keep": 0.5},
    "hiprune": {"method": "hiprune", "keep": 0.5, "object_layer": -1, "layer": -1},
    "average_pool": {"method": "average_pool", "keep": 0.25},
    "atp_received": {"method": "atp_received", "keep": 0.5},
    "mmtok": {"method": "mmtok", "keep": 0.5},
    "divprune": {"method": "divprune", "keep": 0.5},
    "fastv": {"method": "fastv", "keep": 0.5, "layer": 1, "of": 2},
}


@pytest.fixture(scope="module", params=SAVED)
def settings(request: pytest.FixtureRequest) -> BackboneSettings:
    return BackboneSettings(family=request.param, checkpoint=request.param, max_new_tokens=2)


@pytest.fixture(scope="module")
def root(settings: BackboneSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    SAVED[settings.family](folder / settings.checkpoint)
    return folder


@pytest.fixture(scope="module")
def answerer(settings: BackboneSettings, root: Path) -> Answerer:
    return load_answerer(settings, 0, root, "cpu", FeatureStore(root / "features", "", 0), Signals())


@pytest.fixture(params=SIZES, ids=["wide", "tall"])
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


@pytest.fixture
def shape(settings: BackboneSettings, root: Path, size: tuple[int, int]) -> Shape:
    return shape_of(settings, root, size)


def test_visual_tokens_are_as_many_as_there_are(shape: Shape, answerer: Answerer, size: tuple[int, int]) -> None:
    (tokens,) = answerer.backbone.encode([Image.effect_noise(size, 90).convert("RGB")])
    assert shape.tokens == tokens.count
    assert shape.width == tokens.features.shape[-1]
    assert sum(rows * columns for rows, columns in shape.grids) == tokens.count
    held = [(places[:, 1:].max(dim=0).values + 1).tolist() for places in by_grid(tokens.places)]
    assert [list(grid) for grid in shape.grids] == held


def by_grid(places: Any) -> list[Any]:
    return [places[places[:, 0] == number] for number in range(int(places[:, 0].max()) + 1)]


def check_flops(shape: Shape, answerer: Answerer, name: str, size: tuple[int, int]) -> None:
    chosen = MethodSettings.model_validate(METHODS[name])
    counted = sum(amount.flops for amount in foretold(shape, answerer, chosen).values())
    # MMTok's words are letters for so small a tokenizer, and two questions may keep the same tokens.
    assert counted == pytest.approx(computed(answerer, chosen, batch(size)), rel=0.15 if name == "mmtok" else 0.1)


def test_flops_are_those_that_are_computed(settings: BackboneSettings, root: Path, answerer: Answerer) -> None:
    check_flops(shape_of(settings, root, SIZES[0]), answerer, "atp_received", SIZES[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_so_they_are_with_every_kind_of_method(
    shape: Shape, answerer: Answerer, name: str, size: tuple[int, int]
) -> None:
    check_flops(shape, answerer, name, size)


def test_prompts_are_read_by_the_familys_own_tokenizer(
    settings: BackboneSettings, root: Path, answerer: Answerer
) -> None:
    backbone: Any = answerer.backbone
    known = replace(NOTHING, examples=("is there a dog?", "how many cars?"))
    own = [backbone.prompt(text) for text in known.examples]
    found = prompts_of(settings, root, known)
    assert found.before == len(own[0].before)
    assert found.question == sum(len(one.after) for one in own) / 2


def test_text_between_a_pictures_tokens_is_counted(shape: Shape, answerer: Answerer, size: tuple[int, int]) -> None:
    backbone: Any = answerer.backbone
    picture = Image.effect_noise(size, 90).convert("RGB")
    (image,) = backbone.encode([picture])
    (reply,) = ask(backbone, [image], ["?"], everything(image), 1)
    others = reply.sequence - reply.visual[0] - len(backbone.prompt("?"))
    # Two ends of lines that follow each other are one token or two, which the tokenizer decides.
    assert abs(shape.around - others) <= (shape.family == "smolvlm")


PUBLISHED = {"Qwen/Qwen2.5-VL-7B-Instruct": (17, 23), "Qwen/Qwen3-VL-8B-Instruct": (15, 20)}
"""Groups of a picture of 640 x 480: of 28 and of 32 pixels, the nearest whole numbers of them."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_are_counted_without_being_here(name: str) -> None:
    known = CHECKPOINTS[name]
    settings = BackboneSettings(family=known.family, checkpoint=name, revision=known.revision, dtype="bfloat16")
    shape = shape_of(settings, Path("nowhere"))
    assert shape.grids == (PUBLISHED[name],)
    held = memory_of(shape, Prompts(15, 30.0, 10.0, 20.0, 1.0, 20.0), rows=2)
    assert held.weights == 2 * known.parameters
    # Keys and values in 16 bits, of two prompts with one further token each
    assert held.cache == 2 * known.layers * known.width * 2 * 2 * (15 + shape.tokens + 31)
    # All pictures at one size, if the settings say so: 16 x 16 groups of 28 pixels, which are 14 x 14 of 32
    fixed = settings.model_copy(update={"pixels": (16 * 16 * 28**2,) * 2})
    assert shape_of(fixed, Path("nowhere"), (500, 500)).tokens == {28: 256, 32: 196}[28 if "2.5" in name else 32]


def test_the_studys_pictures_are_as_large_as_coco_has_them_until_they_are_here(tmp_path: Path) -> None:
    scenes = Study.model_validate_json(
        """{"study": {"name": "a"}, "benchmark": {"name": "scenes", "images": 10},
        "backbones": {"one": {"family": "qwen3_vl", "checkpoint": "a"}}, "methods": {"full": {"method": "full"}}}"""
    )
    pope = scenes.model_copy(update={"benchmark": scenes.benchmark.model_copy(update={"name": "pope"})})
    folders = Folders(tmp_path)
    assert (picture_of(scenes, folders), picture_of(pope, folders)) == ((224, 224), (640, 480))
    rows = [
        {"image_id": "a", "group": "b", "width": width, "height": height, **columns(b"")}
        for width, height in ((300, 200), (201, 400))
    ]
    write_rows(folders.benchmark / "images.parquet", rows, IMAGES)
    assert picture_of(pope, folders) == (250, 300)
