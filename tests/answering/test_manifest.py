"""What changes an answer changes the manifest, and nothing else changes what cells are known by."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pruneproof.answering import manifest, sources
from pruneproof.answering.manifest import Manifest, of_backbone
from pruneproof.digests import Digests
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.settings import Study


@pytest.fixture
def root(llava_root: Path, tmp_path: Path) -> Path:
    """A project whose weights tests may change."""
    shutil.copytree(llava_root / "data", tmp_path / "project/data")
    return tmp_path / "project"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package that tests may change."""
    home = tmp_path / "pruneproof"
    shutil.copytree(sources.HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "HOME", home)
    return home


def changed(study: Study, **values: Any) -> Study:
    """The study with other values at dotted places, `__` for the dot."""
    found = study.model_dump()
    for place, value in values.items():
        *way, last = place.split("__")
        at = found
        for key in way:
            at = at[key]
        at[last] = value
    return Study.model_validate(found)


def of(study: Study, root: Path | None = None) -> Manifest:
    study = study if root is None else changed(study, study__root=str(root))
    return of_backbone(study, Folders(Path("nowhere")), "tiny", Digests())


def base(study: Study, root: Path | None = None) -> str:
    return of(study, root).base("atp_25")


def test_settings_that_change_an_answer_change_its_base(study: Study) -> None:
    tower = study.backbones["tiny"].text_tower
    found = [
        base(changed(study, **values))
        for values in (
            {},
            {"methods__atp_25__alpha": 0.6},
            {"methods__atp_25__keep": 0.3},
            {"methods__atp_25__relevance_sign": -1},
            {"study__seed": 2},
            {"backbones__tiny__dtype": "bfloat16"},
            {"backbones__tiny__language_weights": "int8"},
            {"backbones__tiny__max_new_tokens": 7},
            {"backbones__tiny__max_caption_tokens": 13},
            {"backbones__tiny__question_suffix": "briefly"},
            {"backbones__tiny__caption_prompt": "Caption:"},
            {"backbones__tiny__control_text_tower": tower},
            {"backbones__tiny__control_text_tower": "ViT-B-32"},
            {"backbones__tiny__control_text_tower": "ViT-B-32", "backbones__tiny__control_text_tower_pretrained": "a"},
        )
    ]
    assert len(set(found)) == len(found)


def test_pictures_are_encoded_once_for_stored_and_int8_language_weights(study: Study) -> None:
    assert of(changed(study, backbones__tiny__language_weights="int8")).encoder == of(study).encoder
    assert of(changed(study, backbones__tiny__pixels=[9, 9])).encoder != of(study).encoder


def test_a_methods_settings_are_its_own(study: Study) -> None:
    other = changed(study, methods__atp_25__alpha=0.6)
    for method in ("full", "random_25", "attention_25"):
        assert of(other).base(method) == of(study).base(method)
    renamed = changed(study, methods={"another": study.methods["atp_25"].model_dump()})
    assert of(renamed).base("another") == base(study), "an id is a name"


def test_where_the_weights_lie_changes_nothing(study: Study, root: Path) -> None:
    (root / "data/backbones/tiny_llava").rename(root / "elsewhere")
    moved = changed(study, backbones__tiny__checkpoint="elsewhere", backbones__tiny__text_tower="elsewhere/clip")
    assert base(moved, root) == base(study)


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("model.safetensors", True),
        ("config.json", True),
        ("tokenizer.json", True),
        ("chat_template.jinja", True),
        ("merges.txt", True),
        ("vocab.bpe", True),
        ("tokenizer.model", True),
        ("additional_chat_templates/tool.jinja", True),
        ("clip/open_clip_config.json", True),
        ("clip/open_clip_model.safetensors", True),
        ("README.md", False),
        ("training.json", False),
        ("curve.png", False),
        ("training_args.bin", False),
        (".cache", False),
    ],
)
def test_every_file_that_a_loader_may_read_counts(study: Study, root: Path, name: str, counts: bool) -> None:
    path = root / "data/backbones/tiny_llava" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    before = of(study, root)
    path.write_bytes(path.read_bytes() + b" ")
    after = of(study, root)
    assert (after.base("full") != before.base("full")) == counts
    assert (after.encoder != before.encoder) == counts


def test_weights_elsewhere_count(study: Study, root: Path) -> None:
    """A text tower of another backbone's folder is a dependency of this one."""
    shutil.copytree(root / "data/backbones/tiny_llava/clip", root / "other/clip")
    other = changed(study, backbones__tiny__text_tower="other/clip")
    before = base(other, root)
    config = root / "other/clip/open_clip_config.json"
    config.write_text(config.read_text() + " ")
    assert base(other, root) != before


def test_packages_count(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    before = of(study)
    assert before.packages["torchvision"] != "none", "it resizes the pictures"
    for name in (*manifest.PACKAGES, "python"):
        monkeypatch.setattr(manifest, "packages", lambda name=name: {**before.packages, name: "0.0"})
        after = of(study)
        assert after.base("full") != before.base("full")
        assert after.encoder != before.encoder


def edit(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.mark.parametrize(
    "name",
    ["answering/answerer.py", "answering/batch.py", "answering/features.py", "backbones/families/llava.py", "seeds.py",
     "backbones/language/generation.py", "backbones/clip/text_towers.py", "backbones/__init__.py",
     "pruning/__init__.py", "pruning/atp.py", "registry.py"],
)  # fmt: skip
def test_code_that_answers_counts_and_its_comments_do_not(study: Study, home: Path, name: str) -> None:
    before = of(study)
    edit(home / name, '\n# A comment.\n"""A docstring."""\n')
    assert of(study) == before
    edit(home / name, "\nCHANGED = 1\n")
    after = of(study)
    assert after.base("atp_25") != before.base("atp_25")
    encodes = name in ("answering/features.py", "registry.py", "pruning/__init__.py") or name.startswith("backbones/")
    assert (after.encoder != before.encoder) == encodes
    others = {method for method in study.methods if after.base(method) == before.base(method)}
    assert others == ({"full", "random_25"} if name == "pruning/atp.py" else set())


@pytest.mark.parametrize(
    "name",
    ["answering/stage.py", "answering/grid.py", "answering/store.py", "perturbations/text/typo.py", "records.py",
     "settings.py", "answering/worker.py"],
)  # fmt: skip
def test_code_around_answering_makes_tables_anew_and_asks_nothing(study: Study, home: Path, name: str) -> None:
    before = of(study)
    edit(home / name, "\nCHANGED = 1\n")
    after = of(study)
    assert asdict(after) != asdict(before)
    assert [after.base(method) for method in study.methods] == [before.base(method) for method in study.methods]


@pytest.mark.parametrize(
    "name",
    ["backbones/clip/patch_boxes.py", "backbones/checkpoints/memory.py", "backbones/families/another_family.py",
     "scoring/stage.py", "pruning/another_method.py", "backbones/families/blip2.py"],
)  # fmt: skip
def test_other_code_changes_nothing(study: Study, home: Path, name: str) -> None:
    before = of(study)
    edit(home / name, "\nfrom pruneproof.backbones.clip.vision import ClipImage\n")
    assert of(study) == before


def test_what_is_written_down_is_what_cells_are_known_by(study: Study, root: Path, folders: Folders) -> None:
    own = changed(study, study__root=str(root))
    manifest.run(own, folders)
    assert json.loads(folders.manifest_of("tiny").read_text()) == json.loads(json.dumps(asdict(of(own))))
    assert {path.name for path in folders.manifests.iterdir()} == {
        "answers", "benchmark.json", "costs.json", "patches.json",
    }  # fmt: skip
    before = {path: path.read_bytes() for path in folders.manifests.rglob("*.json")}
    config = root / "data/backbones/tiny_llava/clip/open_clip_config.json"
    config.write_text(config.read_text() + " ")
    manifest.run(own, folders)
    after = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert after == {"tiny.json", "costs.json", "patches.json"}


def test_missing_weights_are_said_before_anything_runs(study: Study, folders: Folders) -> None:
    with pytest.raises(PruneProofError, match="neither a folder"):
        manifest.run(changed(study, backbones__tiny__checkpoint="no/such/place"), folders)
