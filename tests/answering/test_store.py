from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pruneproof.answering import store as store_module
from pruneproof.answering.grid import Batch, batches
from pruneproof.answering.store import Store, base_fingerprint, code_files, encoder_fingerprint, fingerprint
from pruneproof.errors import PruneProofError
from pruneproof.folders import Folders
from pruneproof.records import ANSWERS, Condition
from pruneproof.settings import BackboneSettings, MethodSettings, Study

ATP: dict[str, Any] = {"method": "atp", "keep": 0.25, "alpha": 0.5}


def base(settings: BackboneSettings, root: Path, seed: int = 0, **method: Any) -> str:
    return base_fingerprint(settings, MethodSettings.model_validate(ATP | method), seed, root)


def test_what_changes_an_answer_changes_the_fingerprint(
    llava_settings: BackboneSettings, llava_root: Path, tmp_path: Path
) -> None:
    def changed(**fields: Any) -> str:
        return base(llava_settings.model_copy(update=fields), llava_root)

    shutil.copytree(llava_root / "data", tmp_path / "data")
    weights = tmp_path / "data/backbones/tiny_llava/model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    found = [
        base(llava_settings, llava_root),
        base(llava_settings, llava_root, alpha=0.6),
        base(llava_settings, llava_root, keep=0.3),
        base(llava_settings, llava_root, relevance_sign=-1),
        base(llava_settings, llava_root, seed=1),
        base(llava_settings, tmp_path),
        changed(dtype="bfloat16"),
        changed(max_new_tokens=7),
        changed(max_caption_tokens=13),
        changed(question_suffix="briefly"),
        changed(caption_prompt="Caption:"),
    ]
    assert len(set(found)) == len(found)


def test_where_the_weights_lie_does_not(llava_settings: BackboneSettings, llava_root: Path, tmp_path: Path) -> None:
    shutil.copytree(llava_root / "data/backbones/tiny_llava", tmp_path / "elsewhere")
    moved = llava_settings.model_copy(update={"checkpoint": "elsewhere", "text_tower": "elsewhere/clip"})
    assert base(moved, tmp_path) == base(llava_settings, llava_root)


def test_the_text_tower_and_the_code_count(
    llava_settings: BackboneSettings, llava_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base(llava_settings, llava_root), encoder_fingerprint(llava_settings, llava_root)
    shutil.copytree(llava_root / "data", tmp_path / "data")
    config = tmp_path / "data/backbones/tiny_llava/clip/open_clip_config.json"
    config.write_text(config.read_text() + " ")
    assert base(llava_settings, tmp_path) != before[0]
    assert encoder_fingerprint(llava_settings, tmp_path) != before[1]

    home = tmp_path / "pruneproof"
    shutil.copytree(store_module._HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(store_module, "_HOME", home)
    assert base(llava_settings, llava_root) == before[0]
    (home / "backbones/another_family.py").write_text("from pruneproof.backbones._vision import ClipImage\n")
    for name in ("pruning/random.py", "scoring/stage.py"):
        (home / name).write_text((home / name).read_text() + "\n# changed\n")
    assert base(llava_settings, llava_root) == before[0], "another method, another family and scoring change no answer"
    seen = {before[0]}
    for name in ("pruning/atp.py", "pruning/__init__.py", "backbones/llava.py", "answering/answerer.py", "seeds.py"):
        (home / name).write_text((home / name).read_text() + "\n# changed\n")
        seen.add(base(llava_settings, llava_root))
    assert len(seen) == 6


@pytest.mark.parametrize(
    "statement",
    [
        "from pruneproof.pruning._shared import x",
        "from pruneproof.pruning import _shared",
        "import pruneproof.pruning._shared",
    ],
)
def test_what_a_method_imports_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    home = tmp_path / "pruneproof"
    shutil.copytree(store_module._HOME, home, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(store_module, "_HOME", home)
    shared = home / "pruning/_shared.py"
    shared.write_text("x = 1\n")
    assert shared not in code_files("llava", "atp")
    (home / "pruning/atp.py").write_text(f"{statement}\n")
    assert shared in code_files("llava", "atp")
    assert shared not in code_files("llava", "random")


def test_every_code_file_exists() -> None:
    files = code_files("llava", "atp")
    assert all(path.is_file() for path in files)
    imported_by_llava_or_by_what_it_imports = {"_generation.py", "_skipping.py", "_vision.py", "text_towers.py"}
    assert {"atp.py", "answerer.py", "llava.py"} | imported_by_llava_or_by_what_it_imports <= {f.name for f in files}
    assert not {path for path in files if path.parent.name == "builtin"}


@pytest.fixture
def batch(study: Study, folders: Folders) -> Batch:
    return next(iter(batches(study, folders)))


def test_inputs_change_the_fingerprint_of_a_batch(batch: Batch) -> None:
    first, *others = batch.images
    question = first.questions[0]

    def with_question(**fields: Any) -> Batch:
        questions = (replace(question, **fields), *first.questions[1:])
        return replace(batch, images=(replace(first, questions=questions), *others))

    found = [
        fingerprint("base", batch),
        fingerprint("other", batch),
        fingerprint("base", replace(batch, condition=Condition("image", "gaussian_noise", 1))),
        fingerprint("base", replace(batch, images=(replace(first, png=first.png + b"\0"), *others))),
        fingerprint("base", replace(batch, images=(replace(first, image_id="x"), *others))),
        fingerprint("base", replace(batch, images=tuple(others))),
        fingerprint("base", with_question(text="is there a cat?")),
        fingerprint("base", with_question(caption=True)),
        fingerprint("base", with_question(sample_ids=("y",))),
        fingerprint("base", with_question(history=(("is it red?", "yes"),))),
        fingerprint("base", with_question(history=(("is it red?", "no"),))),
        fingerprint("base", with_question(selecting="is it red?")),
    ]
    assert len(set(found)) == len(found)
    assert fingerprint("base", replace(batch)) == found[0]


def test_a_damaged_batch_is_removed_and_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = "ab" * 32
    store.put(key, ANSWERS.empty_table())
    assert store.holds(key)
    assert store.get(key).num_rows == 0
    path = store.path(key)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(PruneProofError, match=r"damaged and is removed.*run `dvc repro` again"):
        store.get(key)
    assert not store.holds(key)
